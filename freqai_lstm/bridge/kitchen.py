"""FreqAI's data kitchen with the candles before a slice, and what else it makes of candles."""

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.exceptions import OperationalException
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from numpy.lib.stride_tricks import sliding_window_view
from pandas import DataFrame

from freqai_lstm.bridge.drawer import set_aside
from freqai_lstm.bridge.folders import Window
from freqai_lstm.bridge.universe import whitelist
from freqai_lstm.files import replacing

logger = logging.getLogger(__name__)

Labels = tuple[DataFrame, list[str]]
"""A column for each label, and the names of the classes if the labels are classes."""


class WindowedDataKitchen(FreqaiDataKitchen):
    """Remembers the candles before the latest slice, so that its first rows have whole windows.

    FreqAI hands ``predict`` the rows of a slice alone; live, the same candles arrive with their
    history. These are the same raw candles, with the same features.

    In a backtest it keeps the features of all candles to itself, in one block of memory, and gives
    FreqAI the candles alone: FreqAI copies all that it has four times for each training window. A
    slice of candles gets its features here.

    In a backtest the last slice has the candle that opens where the timerange ends, too: freqtrade
    shows it to the strategy, and it is predicted as any other.

    :param history_candles: Candles to remember before a slice.
    :param with_last: Whether the last slice is that of the timerange.

    ``stale`` names the candles that had not arrived when a live prediction was due.
    """

    def __init__(
        self,
        config: dict[str, Any],
        live: bool,
        pair: str,
        history_candles: int,
        with_last: bool = True,
    ) -> None:
        super().__init__(config, live, pair)
        if with_last and not live and not self.backtest_live_models:
            self.backtesting_timeranges[-1].stopts += timeframe_to_seconds(config["timeframe"])
        self.history_candles = history_candles
        self.features = DataFrame()
        self.history = DataFrame()
        self.stale: list[str] = []
        self._slice_candles = 0

    def use_strategy_to_populate_indicators(
        self, strategy: Any, *args: Any, **kwargs: Any
    ) -> DataFrame:
        """Compute the features of candles, and return the candles; live with their features."""
        features = super().use_strategy_to_populate_indicators(strategy, *args, **kwargs)
        return features if self.live else self.keep(features)

    def keep(self, features: DataFrame) -> DataFrame:
        """Keep features of all candles, and return the candles without them.

        :param features: Candles with their features, oldest first.
        """
        # A copy has all columns of a type in one block; each was one of its own.
        self.features = features.copy()
        return self.remove_features_from_df(self.features)

    def find_features(self, dataframe: DataFrame) -> None:
        """Take note of the names of the features."""
        kept = dataframe if self.features.empty else self.features.iloc[:0]
        super().find_features(self.remove_special_chars_from_feature_names(kept.copy()))

    def label(self, strategy: Any, candles: int) -> DataFrame:
        """Let a strategy set the labels of the first candles, from these and their features alone.

        :return: The columns that the strategy adds, a row for each candle.
        """
        known = self.features.iloc[:candles]
        labelled = strategy.set_freqai_targets(known.copy(deep=False), metadata={"pair": self.pair})
        return labelled[[column for column in labelled.columns if column not in known.columns]]

    def get_unique_classes_from_labels(self, dataframe: DataFrame) -> None:
        """Take note of the classes of labels, once: FreqAI adds them again with each window."""
        self.unique_class_list: list[str] = []
        super().get_unique_classes_from_labels(dataframe)

    def save_backtesting_prediction(self, append_df: DataFrame) -> None:
        """Save the predictions of a slice, all of them or none."""
        self.backtesting_results_path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.backtesting_results_path) as file:
            append_df.to_feather(file)

    def check_if_backtest_prediction_is_valid(self, len_backtest_df: int) -> bool:
        """Tell whether a slice's predictions are saved; a file that cannot be read is none.

        One of another timerange may have more candles: they are predicted alike.
        """
        self._slice_candles = len_backtest_df
        try:
            return bool(super().check_if_backtest_prediction_is_valid(len_backtest_df))
        except (OSError, ValueError) as error:
            set_aside(self.backtesting_results_path, str(error), "the slice is predicted again")
            return False

    def get_backtesting_prediction(self) -> DataFrame:
        """Return the saved predictions of a slice, as many as it has candles."""
        saved: DataFrame = super().get_backtesting_prediction()
        return saved.head(self._slice_candles)

    def slice_dataframe(self, timerange: TimeRange, df: DataFrame) -> DataFrame:
        """Return the candles of a timerange with their features, and remember those before it."""
        candles = super().slice_dataframe(timerange, df)
        if self.live:
            return candles
        start = self.features["date"].searchsorted(timerange.startdt)
        history = self.features.iloc[max(start - self.history_candles, 0) : start].copy()
        self.history = self.remove_special_chars_from_feature_names(history)
        labels = [column for column in candles.columns if column not in self.features.columns]
        rows = self.features.iloc[start : start + len(candles)]
        return pd.concat([rows, candles[labels]], axis=1)


class PreparedDataKitchen(WindowedDataKitchen):
    """A data kitchen of a backtest whose features have been computed already.

    :param features: The pair's candles with the features over the whole range.
    """

    def __init__(
        self,
        config: dict[str, Any],
        pair: str,
        history_candles: int,
        features: DataFrame,
        with_last: bool,
    ) -> None:
        super().__init__(config, False, pair, history_candles, with_last)
        self._prepared = features

    def use_strategy_to_populate_indicators(self, strategy: Any, *_: Any, **__: Any) -> DataFrame:
        """Return the candles."""
        return self.keep(self._prepared)


class LabelledTrainings:
    """Stands for a strategy in a walk-forward, and labels the candles of trainings alone.

    FreqAI has a strategy label the candles that are to be predicted as well, and then takes no
    notice of it.

    :param regressor: FreqAI's model, which knows the present training period.
    :param kitchen: Has the features.
    :param remember: Finds labels and the names of classes that are known, by the first candle and
        the one after the last, or has them computed.
    """

    def __init__(
        self,
        strategy: Any,
        regressor: Any,
        kitchen: WindowedDataKitchen,
        remember: Callable[[int, int, Callable[[], Labels]], Labels] | None = None,
    ) -> None:
        self._strategy, self._regressor, self._kitchen = strategy, regressor, kitchen
        self._remember = remember or (lambda _first, _stop, label: label())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def set_freqai_targets(self, dataframe: DataFrame, **_: Any) -> DataFrame:
        """Return the candles of the training period with their labels, or others as they are."""
        dates, period = dataframe["date"], self._regressor.training_timerange
        if dates.iloc[-1] >= period.stopdt:
            return dataframe
        first, stop = int(dates.searchsorted(period.startdt)), len(dataframe)
        labels, names = self._remember(first, stop, lambda: self._label(first, stop))
        self._regressor.class_names = names
        return pd.concat([dataframe.iloc[first:], labels], axis=1)

    def _label(self, first: int, stop: int) -> Labels:
        labels = self._kitchen.label(self._strategy, stop).iloc[first:]
        # A strategy names the classes while it sets the labels.
        return labels, self._regressor.class_names


def plan_windows(config: dict[str, Any], pair: str) -> list[Window]:
    """Return the models that a walk-forward over a pair needs, as FreqAI cuts the timerange.

    :return: Its windows, oldest first.
    :raises OperationalException: If the timerange is open.
    """
    kitchen = FreqaiDataKitchen(config, False, pair)
    return [
        Window(
            pair=pair,
            start=int(backtest.startts),
            stop=int(backtest.stopts),
            trained_timestamp=int(kitchen.buffer_timerange(train).stopts),
        )
        for train, backtest in zip(
            kitchen.training_timeranges, kitchen.backtesting_timeranges, strict=True
        )
    ]


def candle_timestamps(dates: pd.Series) -> pd.Series:
    """Return opening times in whole seconds, whatever unit pandas keeps them in.

    :param dates: Opening times with a time zone, shape ``(candles,)``.
    :return: Seconds since 1970 UTC, int64, index of ``dates``.
    """
    return (dates - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)


def label_names(strategy: Any, dataframe: DataFrame, metadata: dict[str, Any]) -> list[str]:
    """Return the names of the labels that a strategy sets."""
    return [*map(str, true_labels(strategy, dataframe, metadata["pair"]))]


def true_labels(strategy: Any, dataframe: DataFrame, pair: str) -> DataFrame:
    """Return the labels that a strategy sets, as far as the candles reach.

    :param dataframe: Candles, oldest first.
    :return: A column for each label, index of ``dataframe``.
    """
    try:
        labelled = strategy.set_freqai_targets(dataframe.copy(), metadata={"pair": pair})
    except KeyError:
        # Labels may be made of features, which take longer.
        kitchen = FreqaiDataKitchen(strategy.config, False, pair)
        featured = kitchen.use_strategy_to_populate_indicators(
            strategy, prediction_dataframe=dataframe, pair=pair
        )
        labelled = strategy.set_freqai_targets(featured, metadata={"pair": pair})
    return labelled[[column for column in labelled.columns if column.startswith("&")]]


def has_candles(strategy: Any, pair: str, config: Mapping[str, Any]) -> bool:
    """Tell whether there are candles of every timeframe that a pair's features need.

    Where some of its own are missing, the log says so: other pairs can go on.

    :raises OperationalException: If a pair of ``include_corr_pairlist`` has no candles.
    """
    parameters = config["freqai"]["feature_parameters"]

    def missing(name: str) -> str:
        timeframes = parameters["include_timeframes"]
        return ", ".join(
            each for each in timeframes if strategy.dp.get_pair_dataframe(name, each).empty
        )

    if names := missing(pair):
        logger.error(
            f"{pair}: skipped, no candles of {names} (include_timeframes) in {config['datadir']}; "
            f"freqtrade download-data gets them"
        )
        return False
    for corr_pair in parameters["include_corr_pairlist"]:
        if names := missing(corr_pair):
            raise OperationalException(
                f"freqai.feature_parameters.include_corr_pairlist: {corr_pair} has no candles of "
                f"{names} in {config['datadir']}; freqtrade download-data gets them"
            )
    return True


def pairs_with_candles(strategy: Any, config: Mapping[str, Any]) -> list[str]:
    """Return the pairs of the whitelist that a backtest has candles of."""
    timeframe, provider = config["timeframe"], strategy.dp
    return [
        pair
        for pair in whitelist(strategy, config)
        if not provider.get_pair_dataframe(pair, timeframe).empty
    ]


def without_predictions(dataframe: DataFrame, labels: list[str]) -> DataFrame:
    """Return candles with the columns of a prediction, all zero and ``do_predict`` 0."""
    statistics = [f"{label}_{name}" for label in labels for name in ("mean", "std")]
    columns = [*labels, *statistics, "do_predict", "DI_values"]
    return pd.concat([dataframe, DataFrame(0.0, dataframe.index, columns)], axis=1)


def latest_statistics(
    predictions: DataFrame, candles: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the statistics of the newest predictions.

    :param predictions: A column for each label, oldest row first.
    :param candles: Number of newest rows to use.
    :return: Mean and population standard deviation by label; 0 where nothing was predicted.
    """
    newest = predictions.tail(candles).to_numpy(dtype=float)
    mean, std = (values[0].tolist() for values in _statistics(newest[np.newaxis]))
    labels = predictions.columns
    return dict(zip(labels, mean, strict=True)), dict(zip(labels, std, strict=True))


def rolling_statistics(predictions: DataFrame, candles: int) -> dict[str, DataFrame]:
    """Return, for every row, the statistics of the rows before it.

    :param predictions: A column for each label, oldest row first.
    :param candles: Number of rows before a row to use.
    :return: ``{"mean": ..., "std": ...}`` with columns and index of ``predictions`` from row
        ``candles`` on; empty frames if there are no more rows than that.
    """
    values = predictions.to_numpy(dtype=float)
    index = predictions.index[candles:]
    found = [np.empty((0, values.shape[1]))] * 2
    if len(index):
        windows = sliding_window_view(values, candles, axis=0)[:-1]
        found = [*_statistics(windows.transpose(0, 2, 1))]
    mean, std = (DataFrame(each, index, predictions.columns) for each in found)
    return {"mean": mean, "std": std}


def _statistics(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over axis 1 of ``(rows, candles, labels)``."""
    with warnings.catch_warnings():
        # A window without any prediction has no statistics.
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, std = np.nanmean(windows, axis=1), np.nanstd(windows, axis=1)
    return np.nan_to_num(mean), np.nan_to_num(std)
