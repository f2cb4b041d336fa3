"""FreqAI's walk-forward over windows of candles: checked before it, accounted for after it."""

import logging
from abc import abstractmethod
from typing import Any

from freqtrade.exchange import timeframe_to_seconds
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame

from freqai_lstm.bridge.account import Account
from freqai_lstm.bridge.configuration import read_settings
from freqai_lstm.bridge.folders import check_coins, identifier_folder
from freqai_lstm.bridge.incidents import described
from freqai_lstm.bridge.kitchen import (
    LabelledTrainings,
    WindowedDataKitchen,
    has_candles,
    label_names,
    pairs_with_candles,
    without_predictions,
)
from freqai_lstm.bridge.live import LiveRegressor
from freqai_lstm.bridge.manifest import IdentifierGuard, labelled_by, trained_with
from freqai_lstm.bridge.offline import warn_of_timeframe
from freqai_lstm.bridge.versions import warn_if_untested

logger = logging.getLogger(__name__)


class WindowedRegressor(LiveRegressor):
    """Lets FreqAI train and predict pair after pair, each slice with the candles before it.

    :raises SettingsError: If the configuration has problems, or the identifier's models were
        trained with other settings; one line for each.
    """

    def __init__(self, **kwargs: Any) -> None:
        warn_if_untested()
        config = kwargs["config"]
        self.settings = read_settings(config["freqai"], timeframe_to_seconds(config["timeframe"]))
        self.identifier_guard = IdentifierGuard(identifier_folder(config))
        self.identifier_guard.check(
            trained_with(self.settings, config["timeframe"], type(self).__name__)
        )
        super().__init__(**kwargs)
        self._pairs = set(config["exchange"]["pair_whitelist"])
        check_coins(sorted(self._pairs))
        self.window_size = self.CONV_WIDTH = self.settings.window_size
        self.account = Account()
        self._labels: list[str] = []

    @abstractmethod
    def predicted_columns(self, labels: list[str]) -> list[str]:
        """Return the columns that are predicted.

        :raises SettingsError: If these labels cannot be predicted.
        """

    @abstractmethod
    def train_pair(self, unfiltered_df: DataFrame, pair: str, dk: FreqaiDataKitchen) -> Any:
        """Train on the candles of one training window.

        :param unfiltered_df: Features, labels and dates of the training window.
        """

    def start(self, dataframe: DataFrame, metadata: dict[str, Any], strategy: Any) -> DataFrame:
        """Train and predict one pair for the strategy.

        :raises SettingsError: If the identifier's models were trained on other labels or features,
            the labels cannot be predicted, or FreqAI would keep this pair's models in the folders
            of another pair.
        """
        self.check_pair(dataframe, metadata, strategy)
        analysed: DataFrame = super().start(dataframe, metadata, strategy)
        # FreqAI knows the labels alone where there is no model to predict with.
        absent = [name for name in self.predicted_columns(self._labels) if name not in analysed]
        return analysed.assign(**dict.fromkeys(absent, 0.0)) if absent else analysed

    def check_pair(self, dataframe: DataFrame, metadata: dict[str, Any], strategy: Any) -> None:
        """Check all that :meth:`start` does, which features that are known already do without.

        :param dataframe: Candles of the pair, oldest first.
        :raises SettingsError: As there.
        """
        check_coins([*sorted(self._pairs), metadata["pair"]])
        self._pairs.add(metadata["pair"])
        if not self._labels and not dataframe.empty:
            warn_of_timeframe(strategy)
            labels = label_names(strategy, dataframe, metadata)
            self.predicted_columns(labels)
            self.identifier_guard.check(labelled_by(strategy, labels))
            self._labels = labels

    def start_backtesting(
        self, dataframe: DataFrame, metadata: dict[str, Any], dk: FreqaiDataKitchen, strategy: Any
    ) -> FreqaiDataKitchen:
        """Walk forward over one pair, each slice with the candles before it as history.

        A pair without candles of a timeframe is skipped with an error in the log, so that the
        other pairs go on.

        :raises OperationalException: If a pair of ``include_corr_pairlist`` has no candles.
        :raises PredictionError: After the last pair, if hardly a candle was predicted.
        """
        pair = metadata["pair"]
        self.account.begin(pair)
        self.dk = dk = WindowedDataKitchen(
            self.config, self.live, pair, history_candles=self.window_size - 1
        )
        if has_candles(strategy, pair, self.config):
            labelling = LabelledTrainings(strategy, self, dk)
            super().start_backtesting(dataframe, metadata, dk, labelling)
        else:
            labels = label_names(strategy, dataframe, metadata)
            dk.return_dataframe = without_predictions(dataframe, self.predicted_columns(labels))
            self.account.note_failure(pair, f"no candles of an include_timeframes of {pair}")
        frame, begin = dk.return_dataframe, dk.backtesting_timeranges[0].startdt
        self.account.end(pair, frame.loc[frame["date"] >= begin, "do_predict"])
        if self.account.is_poor:
            # Which pairs have candles takes reading those of all.
            self.account.check(pairs_with_candles(strategy, self.config))
        return dk

    def train(
        self, unfiltered_df: DataFrame, pair: str, dk: FreqaiDataKitchen, **kwargs: Any
    ) -> Any:
        """Train on the candles of one training window.

        Parameters, result and errors are those of :meth:`train_pair`.
        """
        try:
            return self.train_pair(unfiltered_df, pair, dk)
        except Exception as error:
            # FreqAI tells it among many lines, and goes on with zeros in a backtest.
            self.account.note_failure(pair, described(error))
            raise

    def after_failed_slice(self, dk: FreqaiDataKitchen) -> None:
        """Try a failed training again next time: FreqAI would keep its zeros as predictions."""
        dk.backtesting_results_path.unlink()
