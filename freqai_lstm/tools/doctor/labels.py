"""Counts what a training period holds: labels and features, made by the strategy itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import torch
from freqtrade.configuration import TimeRange
from freqtrade.data.dataprovider import DataProvider
from freqtrade.exceptions import OperationalException
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import Series

from freqai_lstm.bridge.incidents import described
from freqai_lstm.bridge.internals import load_parameters
from freqai_lstm.bridge.kitchen import candle_timestamps, has_candles
from freqai_lstm.bridge.splits import split_rows
from freqai_lstm.model.windows import whole_window_ends
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.settings import SECONDS_PER_DAY, FreqaiSettings
from freqai_lstm.tools.candles import stored_candles
from freqai_lstm.tools.doctor.findings import Finding, listening

# A strategy may set hundreds of features.
_NAMED = 5


@dataclass(frozen=True)
class TrainingRows:
    """The candles of a training period, less its buffers, and what they carry.

    :param start: When it begins.
    :param stop: When it ends.
    :param candles: How many are there.
    :param labels: How many of them carry each label.
    :param features: How many of them carry each feature.
    :param labelled: How many carry all labels.
    :param complete: How many carry all features too: FreqAI trains and tests on no others.
    :param train_dates: Opening times of those that are trained on.
    """

    pair: str
    start: datetime
    stop: datetime
    candles: int
    labels: dict[str, int]
    features: dict[str, int]
    labelled: int
    complete: int
    train_dates: "Series[Any]"

    @property
    def place(self) -> str:
        """The pair and the period, for people."""
        return f"{self.pair} from {self.start:%Y-%m-%d %H:%M} to {self.stop:%Y-%m-%d %H:%M}"


def count_training_rows(config: dict[str, Any], strategy: Any, model: Any) -> TrainingRows | None:
    """Let a strategy make the features and labels of one training period, as FreqAI does.

    It is the first one of the timerange, or without one the last of the stored candles, of the
    first pair whose candles are there.

    :param config: The model's configuration; its timerange is changed.
    :return: None if there are no candles.
    :raises Exception: Whatever the strategy raises.
    """
    wanted = TimeRange.parse_timerange(config.get("timerange")).startts
    for pair in config["pairs"]:
        stored = stored_candles(config, pair)
        if stored.empty:
            continue
        end = stored["date"].iloc[-1] + pd.Timedelta(config["timeframe"])
        start = wanted or int(end.timestamp())
        # The training comes before the timerange; what is predicted in it does not matter here.
        config["timerange"] = TimeRange(
            "date", "date", start, start + SECONDS_PER_DAY
        ).timerange_str
        config["startup_candle_count"] = strategy.startup_candle_count
        strategy.dp = DataProvider(config, None)
        if _has_candles(config, strategy, pair):
            # As freqtrade starts it, with a model that is loaded already.
            strategy.freqai, strategy.freqai_info = model, model.freqai_info
            strategy.bot_start()
            load_parameters(strategy)
            return _count(config, strategy, model, pair)
    return None


def _has_candles(config: dict[str, Any], strategy: Any, pair: str) -> bool:
    try:
        return has_candles(strategy, pair, config)
    except OperationalException:
        return False


def _count(config: dict[str, Any], strategy: Any, model: Any, pair: str) -> TrainingRows | None:
    kitchen = FreqaiDataKitchen(config, False, pair)
    training = kitchen.training_timeranges[0]
    frame = kitchen.use_strategy_to_populate_indicators(
        strategy,
        prediction_dataframe=strategy.dp.get_pair_dataframe(pair, config["timeframe"]),
        pair=pair,
    )
    frame = strategy.set_freqai_targets(
        frame[frame["date"] < training.stopdt], metadata={"pair": pair}
    )
    frame = kitchen.slice_dataframe(kitchen.buffer_timerange(training), frame)
    if frame.empty:
        return None
    # By FreqAI's own rule.
    carried = {
        mark: frame[[name for name in frame if mark in name]]
        .replace([np.inf, -np.inf], np.nan)
        .notna()
        for mark in ("&", "%")
    }
    labelled = carried["&"].all(axis="columns")
    complete = labelled & carried["%"].all(axis="columns")
    rows = frame[complete]
    train_dates = rows["date"][:0]
    # One row cannot be split.
    if len(rows) > 1:
        gap = _horizon(model) * timeframe_to_seconds(config["timeframe"])
        stamps = candle_timestamps(rows["date"])
        train_dates = split_rows(kitchen, rows[["date"]], rows, stamps, gap)["train_features"][
            "date"
        ]
    return TrainingRows(
        pair,
        training.startdt,
        training.stopdt,
        len(frame),
        labels=carried["&"].sum().to_dict(),
        features=carried["%"].sum().to_dict(),
        labelled=int(labelled.sum()),
        complete=int(complete.sum()),
        train_dates=train_dates,
    )


def _horizon(model: Any) -> int:
    """Return how many candles a model leaves out before its test split."""
    is_own = isinstance(model, LSTMRegressor)
    return model.settings.feature_parameters.label_period_candles if is_own else 0


def check_labels(config: dict[str, Any], strategy: Any, model: Any) -> Iterator[Finding]:
    """Report what the first training period of a strategy holds.

    :param config: The model's configuration; its timerange is changed.
    """
    name = type(strategy).__name__
    with listening():
        try:
            rows = count_training_rows(config, strategy, model)
        except Exception as error:  # noqa: BLE001 - the strategy is anybody's code
            problem = (
                f"{name}: must make features and labels of stored candles for FreqAI to train on, "
                f"was: {described(error)}"
            )
            yield Finding("labels", "not counted", problem)
            return
    if rows is None:
        yield Finding("labels", "not counted: no candles of a training period")
        return
    yield _columns_finding("labels", f"{name}.set_freqai_targets", "&", rows.labels, rows)
    yield _columns_finding("features", f"{name}.feature_engineering_*", "%", rows.features, rows)
    if rows.labels and rows.features and all({**rows.labels, **rows.features}.values()):
        settings = model.settings if isinstance(model, LSTMRegressor) else None
        yield _rows_finding(rows, settings, timeframe_to_seconds(config["timeframe"]))


def _columns_finding(
    subject: str, where: str, mark: str, counts: dict[str, int], rows: TrainingRows
) -> Finding:
    """Report columns that are missing, or empty in the whole training period."""
    if not counts:
        problem = f"{where}: must set a column with {mark!r} in its name, set none"
        return Finding(subject, "none", problem)
    found = f"{len(counts)}, on at least {min(counts.values())} of {rows.candles} training candles"
    empty = [name for name, count in counts.items() if not count]
    if not empty:
        return Finding(subject, found)
    more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
    problem = (
        f"{where}: each column must have numbers in the training period, was NaN or infinite on "
        f"all {rows.candles} candles of {rows.place}: {', '.join(empty[:_NAMED])}{more}. FreqAI "
        f"trains only on candles that carry all labels and features, so on none."
    )
    return Finding(subject, found, problem)


def _rows_finding(
    rows: TrainingRows, settings: FreqaiSettings | None, candle_seconds: int
) -> Finding:
    """Report whether enough rows are left to train on: a batch of windows, or for others one."""
    count = len(rows.train_dates)
    if settings is None:
        found, need, enough = f"{count}", "a candle", count > 0
    else:
        window = settings.window_size
        batch = settings.model_training_parameters.trainer_kwargs.batch_size
        timestamps = torch.tensor(candle_timestamps(rows.train_dates).to_numpy())
        windows = len(whole_window_ends(window, timestamps, candle_seconds))
        found = f"{count}, with {windows} windows of {window}"
        need, enough = f"a batch of {batch} windows of {window} candles", windows >= batch
    problem = ""
    if not enough:
        scarce = min(rows.features, key=lambda name: rows.features[name])
        problem = (
            f"freqai.train_period_days: must leave {need} to train on, left {found}: of "
            f"{rows.candles} candles ({rows.place}, less buffer_train_data_candles), "
            f"{rows.labelled} carry all labels, whose horizon takes the last ones, and "
            f"{rows.complete} of these all features, whose warm-up takes the first ones ({scarce} "
            f"has only {rows.features[scarce]}); data_split_parameters.test_size takes its share"
        )
    return Finding("training rows", f"{found}, of {rows.place}", problem)
