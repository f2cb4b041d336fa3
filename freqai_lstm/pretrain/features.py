"""The candles and features of every pair, as freqtrade's backtesting hands them to FreqAI."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.exceptions import ConfigurationError
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.optimize.backtesting import Backtesting
from pandas import DataFrame

from freqai_lstm.data_kitchen import label_names, missing_timeframes, without_predictions
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor


@dataclass(frozen=True)
class WalkForward:
    """A strategy with its regressor, ready to walk forward, and the candles of its pairs.

    ``candles`` reach back before the timerange as far as training and warm-up need.
    """

    config: dict[str, Any]
    strategy: Any
    candles: dict[str, DataFrame]

    def features(self, pair: str) -> DataFrame | None:
        """Return a pair's candles with the features over the whole range.

        The strategy populates its indicators as in a backtest. At the moment when FreqAI would
        train, its features are taken, and it goes on without predictions.

        :param pair: A pair with candles.
        :return: None if the pair has no candles of a timeframe of the features; the log says which.
        :raises SettingsError: If the identifier's models were trained on other labels or features.
        :raises OperationalException: If a correlated pair has no candles.
        """
        regressor = self.strategy.freqai
        parameters = self.config["freqai"]["feature_parameters"]
        needed = [pair, *parameters["include_corr_pairlist"]]
        taken: list[DataFrame] = []

        def start_backtesting(
            dataframe: DataFrame, metadata: dict[str, Any], dk: FreqaiDataKitchen, strategy: Any
        ) -> FreqaiDataKitchen:
            timeframes = parameters["include_timeframes"]
            if any(missing_timeframes(strategy, name, timeframes) for name in needed):
                # It trains nothing then, but says what is missing.
                return LSTMRegressor.start_backtesting(regressor, dataframe, metadata, dk, strategy)
            taken.append(
                dk.use_strategy_to_populate_indicators(
                    strategy, prediction_dataframe=dataframe, pair=pair
                )
            )
            dk.return_dataframe = without_predictions(
                dataframe, label_names(strategy, dataframe, metadata)
            )
            return dk

        regressor.start_backtesting = start_backtesting
        try:
            self.strategy.advise_indicators(self.candles[pair].copy(), {"pair": pair})
        finally:
            del regressor.start_backtesting
        return taken[0] if taken else None


def load_walk_forward(options: Mapping[str, Any]) -> WalkForward:
    """Do all that ``freqtrade backtesting`` does before FreqAI: markets, pairs, strategy, candles.

    :param options: freqtrade's command line options by their names in its code.
    :raises ConfigurationError: If FreqAI is not enabled, or the configuration cannot be used.
    :raises OperationalException: If the exchange cannot be reached, or there are no candles.
    """
    config = setup_optimize_configuration(dict(options), RunMode.BACKTEST)
    if not config.get("freqai", {}).get("enabled", False):
        raise ConfigurationError("freqai.enabled: must be true, was false or missing")
    backtesting = Backtesting(config)
    try:
        (strategy,) = backtesting.strategylist
        strategy.dp = backtesting.dataprovider
        strategy.ft_bot_start()
        candles, _ = backtesting.load_bt_data()
    finally:
        backtesting.exchange.close()
    config["exchange"]["pair_whitelist"] = list(backtesting.pairlists.whitelist)
    check_regressor(strategy)
    return WalkForward(config, strategy, candles)


def check_regressor(strategy: Any) -> None:
    """Refuse a prediction model that is not this package's.

    :raises SettingsError: If it is another one.
    """
    if not isinstance(strategy.freqai, LSTMRegressor):
        raise SettingsError(
            f"freqaimodel: must be PyTorchLSTMRegressor or another subclass of "
            f"freqai_lstm.regressor.LSTMRegressor, was {type(strategy.freqai).__name__}"
        )
