"""The predictions of a finished backtest beside what came true, label by label, pair by pair.

Reads what FreqAI left in the identifier's folder; needs no model and no exchange. The truth is what
the strategy's own ``set_freqai_targets`` says of the stored candles.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.exchange import timeframe_to_seconds

from freqai_lstm import score
from freqai_lstm.bridge.folders import identifier_folder, prediction_file
from freqai_lstm.bridge.kitchen import true_labels
from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.exceptions import SettingsError, SkillError
from freqai_lstm.settings import SECONDS_PER_DAY
from freqai_lstm.tools.candles import stored_candles

SCORE = "score"
"""Stands for the composed score among the labels."""

_CUTS = 12
_CUT_CANDLES = 2_000


@dataclass(frozen=True)
class PairPredictions:
    """What a backtest predicted of one label of one pair, and what came true.

    ``candles`` has a row for each candle of the predictions, by opening time:

    * ``window``: the training window that predicted it, by its end in seconds;
    * ``do_predict``;
    * ``predicted``, ``true``: the label, or of classes its name;
    * ``present``: the newest label whose truth was known by then, ``horizon`` candles before;
    * ``mean``: the running mean of the labels known by then, over a training period;
    * ``close``;
    * of classes also ``p_<class>``, the probability, and ``mean_<class>``, how frequent the class
      was among the labels known by then.

    Of the score of :func:`~freqai_lstm.score.target_score`, which is composed of its components:

    * ``to_traded``: factor from it to the score without units that is traded on;
    * ``predicted_return``: the return head's forecast in units of ATR, if there is one.

    ``closes`` are those of all stored candles, to look ahead with. ``horizon`` is how many candles
    the label looks ahead.

    ``errors`` has what an ensemble says of its errors, for the label and each component: columns
    ``error`` (predicted less true) and ``spread``. The score's are those of the sum of its
    components, since its volatility would scale both alike. Empty for a single network.
    """

    pair: str
    horizon: int
    windows: tuple[int, ...]
    candles: pd.DataFrame
    closes: pd.Series
    errors: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    label: str = SCORE
    classes: tuple[str, ...] = ()

    @property
    def trusted(self) -> pd.Series:
        """Which candles were predicted, and have a true and a present label to compare with."""
        labels = self.candles[["predicted", "true", "present"]]
        return (self.candles["do_predict"] == 1) & labels.notna().all(axis="columns")

    def within(self, chosen: pd.Series) -> "PairPredictions":
        """Return the same of some candles alone."""
        return replace(self, candles=self.candles[chosen])


Predictions = Mapping[str, Sequence[PairPredictions]]
"""Those of all pairs, by label. The score comes first, if the labels are its components."""


def load_predictions(config: Mapping[str, Any], strategy: Any = None) -> Predictions:
    """Return the predictions of every pair of a finished backtest.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :param strategy: The strategy that set the labels; the configured one by default.
    :return: By label, an entry for each pair of the whitelist that has predictions, in its order.
    :raises SkillError: If no pair has any prediction for the timerange, or the strategy sets other
        labels than were predicted.
    """
    strategy = strategy or load_labelling_strategy(config)
    found: dict[str, list[PairPredictions]] = {}
    for pair in config["exchange"]["pair_whitelist"]:
        if stored := _stored_predictions(config, pair):
            for each in _pair_predictions(config, strategy, pair, stored):
                found.setdefault(each.label, []).append(each)
    if not found:
        raise SkillError(
            f"{identifier_folder(config) / 'backtesting_predictions'}: must hold predictions for "
            f"the timerange {config['timerange']!r}, had none. Run freqtrade backtesting with it "
            f"first."
        )
    return found


def asked_for(labels: Iterable[str]) -> list[str]:
    """Return the labels that a trader asks about: the score in place of its components."""
    known = list(dict.fromkeys(labels))
    return [label for label in known if SCORE not in known or label not in score.LABELS]


def sample_labels(strategy: Any, config: Mapping[str, Any]) -> list[str]:
    """Return the labels that a strategy sets, and the score, if they are its components.

    :raises SettingsError: If there are no candles to set them on, or it sets none.
    """
    pair = config["exchange"]["pair_whitelist"][0] if config["exchange"]["pair_whitelist"] else ""
    candles = stored_candles(config, pair) if pair else pd.DataFrame()
    if candles.empty:
        raise SettingsError(
            f"{config['datadir']}: must hold {config['timeframe']} candles of the first pair of "
            f"the whitelist, {pair!r}, had none; freqtrade download-data gets them"
        )
    labels = list(true_labels(strategy, candles.tail(_CUT_CANDLES).reset_index(drop=True), pair))
    if not labels:
        raise SettingsError(
            f"{type(strategy).__name__}: set_freqai_targets must set a label that begins with &, "
            f"set none"
        )
    return [*([SCORE] if {*score.LABELS} <= {*labels} else ()), *map(str, labels)]


def training_stamps(config: Mapping[str, Any]) -> range:
    """Return the ends of the training windows, as FreqAI names its files, in seconds."""
    timerange = TimeRange.parse_timerange(config["timerange"])
    stop = timerange.stopts or int(datetime.now(tz=UTC).timestamp())
    period = int(config["freqai"]["backtest_period_days"] * SECONDS_PER_DAY)
    return range(timerange.startts, stop, period)


def _stored_predictions(config: Mapping[str, Any], pair: str) -> dict[int, pd.DataFrame]:
    """Return the predictions of each training window of the timerange, oldest first."""
    folder = identifier_folder(config)
    files = {stamp: prediction_file(folder, pair, stamp) for stamp in training_stamps(config)}
    return {stamp: pd.read_feather(file) for stamp, file in files.items() if file.is_file()}


def _pair_predictions(
    config: Mapping[str, Any], strategy: Any, pair: str, predictions: Mapping[int, pd.DataFrame]
) -> list[PairPredictions]:
    predicted = (
        pd.concat([frame.assign(window=stamp) for stamp, frame in predictions.items()])
        .drop_duplicates("date", keep="last")
        .set_index("date")
    )
    candles = stored_candles(config, pair)
    history = candles.set_index("date")
    true = true_labels(strategy, candles, pair).set_axis(history.index)
    if absent := [name for name in map(str, true) if name not in predicted]:
        raise SkillError(
            f"{pair}: the predictions must have the labels of {type(strategy).__name__}, "
            f"{', '.join(map(str, true))}; {', '.join(absent)} was missing"
        )
    windows = tuple(predictions)
    base = predicted[["window", "do_predict"]].assign(close=history["close"])
    horizons = _horizons(strategy, candles, true, pair)
    found = [
        PairPredictions(
            pair,
            horizons[name],
            windows,
            base.join(_compared(config, predicted, true[name], horizons[name])),
            history["close"],
            _errors(predicted, true[[name]]),
            name,
            _classes(predicted, true[name]),
        )
        for name in map(str, true)
    ]
    if {*score.LABELS} <= {*true}:
        horizon = max(horizons[name] for name in score.LABELS)
        found.insert(
            0, _score_predictions(config, strategy, pair, windows, base, predicted, true, horizon)
        )
    return found


def _compared(
    config: Mapping[str, Any], predicted: pd.DataFrame, true: pd.Series, horizon: int
) -> pd.DataFrame:
    """Return predictions and truth of a label, and what was known of it at the time."""
    known = true.shift(horizon)
    frame = pd.DataFrame({"predicted": predicted[true.name], "true": true, "present": known})
    frame = frame.reindex(predicted.index)
    period = config["freqai"]["train_period_days"] * SECONDS_PER_DAY
    candles = max(period // timeframe_to_seconds(config["timeframe"]), 1)
    if classes := _classes(predicted, true):
        for name in classes:
            is_it = known.eq(name).astype(float).where(known.notna())
            frame[f"p_{name}"] = predicted[name]
            frame[f"mean_{name}"] = is_it.rolling(candles, min_periods=1).mean()
    else:
        frame["mean"] = known.rolling(candles, min_periods=1).mean()
    return frame


def _classes(predicted: pd.DataFrame, true: pd.Series) -> tuple[str, ...]:
    """Return the classes of a label, none of a number."""
    if pd.api.types.is_numeric_dtype(true):
        return ()
    return tuple(sorted({*map(str, true.dropna().unique())} & {*predicted.columns}))


def _horizons(
    strategy: Any, candles: pd.DataFrame, true: pd.DataFrame, pair: str
) -> dict[str, int]:
    """Return how many candles ahead each label looks: how many of the newest change with time.

    Labels that are comparisons know no NaN, so it takes several cuts to see it.
    """
    recent = candles.tail(_CUT_CANDLES).reset_index(drop=True)
    whole = true_labels(strategy, recent, pair)
    horizons = dict.fromkeys(map(str, true), 0)
    for cut in range(len(recent) // 2, len(recent), max(len(recent) // (2 * _CUTS), 1)):
        known = true_labels(strategy, recent.iloc[:cut].copy(), pair)
        for name in horizons:
            before, after = known[name], whole[name].iloc[:cut]
            changed = (before != after) & ~(before.isna() & after.isna())
            if changed.any():
                horizons[name] = max(horizons[name], cut - int(changed.to_numpy().argmax()))
    return horizons


def _score_predictions(
    config: Mapping[str, Any],
    strategy: Any,
    pair: str,
    windows: tuple[int, ...],
    base: pd.DataFrame,
    predicted: pd.DataFrame,
    true: pd.DataFrame,
    horizon: int,
) -> PairPredictions:
    """Compose the score of its components, as the strategy does."""
    history = stored_candles(config, pair).set_index("date")
    parameters = config["freqai"]["feature_parameters"]
    weights = strategy_weights(strategy)
    components = score.configured_components(history, parameters)
    composition = score.Composition(
        weights, components["volatility"], score.relative_volatility(history)
    )
    present = composition.target(components[list(score.WEIGHT_NAMES)]).rename(SCORE)
    target = composition.target(predicted[score.LABELS]).rename(SCORE)
    compared = _compared(config, target.to_frame(), present.shift(-horizon), horizon)
    candles = base.join(compared).assign(to_traded=composition.to_score)
    if score.RETURN_LABEL in true:
        candles["predicted_return"] = predicted[score.RETURN_LABEL]
    labels = true.assign(**{SCORE: candles["true"] / components["volatility"]})
    errors = _errors(_with_score(predicted, weights), labels)
    return PairPredictions(pair, horizon, windows, candles, history["close"], errors)


def _with_score(predicted: pd.DataFrame, weights: Sequence[float]) -> pd.DataFrame:
    """Add the sum of the components and the bound of its spread, where there are spreads."""
    spreads = score.spread_columns(score.LABELS)
    if not {*spreads} <= {*predicted}:
        return predicted
    [score_spread] = score.spread_columns([SCORE])
    return predicted.assign(
        **{
            column: score.compose_score(
                predicted[names].set_axis(score.WEIGHT_NAMES, axis="columns"), weights
            )
            for column, names in ((SCORE, score.LABELS), (score_spread, spreads))
        }
    )


def _errors(predicted: pd.DataFrame, true: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return error and spread of each label that has a spread."""
    names = [
        name for name in map(str, true) if {name, *score.spread_columns([name])} <= {*predicted}
    ]
    return {
        name: pd.DataFrame(
            {"error": predicted[name] - true[name], "spread": predicted[spread]},
            index=predicted.index,
        )
        for name, spread in zip(names, score.spread_columns(names), strict=True)
    }


def strategy_weights(strategy: Any) -> tuple[float, ...]:
    """Return the weights of a strategy as it would use them now, the default ones without any."""
    values = _parameters(strategy)
    weights = tuple(float(values.get(name, 0)) for name in score.WEIGHT_NAMES)
    return weights if sum(weights) > 0 else score.DEFAULT_WEIGHTS


def strategy_signals(strategy: Any) -> score.Signals | None:
    """Return the thresholds of a strategy as it would use them now, None where it has none."""
    values = _parameters(strategy)
    if not {"threshold_buy", "threshold_sell"} <= values.keys():
        return None
    fade = values.get("direction") == "fade"
    return score.Signals(values["threshold_buy"], values["threshold_sell"], fade)


def _parameters(strategy: Any) -> dict[str, Any]:
    return {name: parameter.value for name, parameter in strategy.enumerate_parameters()}
