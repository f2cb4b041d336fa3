"""What a walk-forward begins with: a strategy with its regressor, and the candles of its pairs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.exceptions import ConfigurationError
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.optimize.backtesting import Backtesting
from pandas import DataFrame

from freqai_lstm.bridge.internals import start_strategy
from freqai_lstm.bridge.kitchen import has_candles, label_names, without_predictions
from freqai_lstm.bridge.offline import load_offline_strategy
from freqai_lstm.tools.candles import stored_candles, with_history

LEFT_OUT = (
    *("api_server", "discord", "external_message_consumer", "telegram", "webhook"),
    *("original_config", "freqaimodel_path", "recursive_strategy_search", "strategy_path"),
)
"""Keys of the configuration that no walk needs: where a bot reports to, with tokens and passwords,
a second copy of everything, and paths of this machine."""


@dataclass(frozen=True)
class WalkForward:
    """A strategy with its prediction model, ready to walk forward, and the candles of its pairs.

    ``candles`` reach back before the timerange as far as training and warm-up need.
    """

    config: dict[str, Any]
    strategy: Any
    candles: dict[str, DataFrame]

    def features(self, pair: str) -> DataFrame | None:
        """Return a pair's candles with the features over the whole range.

        The strategy populates its indicators as in a backtest. At the moment when FreqAI would
        train, its features are taken, and it goes on without predictions.

        :return: None if the pair has no candles of a timeframe of the features; the log says which.
        :raises SettingsError: If the identifier's models were trained on other labels or features.
        :raises OperationalException: If a correlated pair has no candles.
        """
        regressor = self.strategy.freqai
        taken: list[DataFrame] = []

        def start_backtesting(
            dataframe: DataFrame, metadata: dict[str, Any], dk: FreqaiDataKitchen, strategy: Any
        ) -> FreqaiDataKitchen:
            if has_candles(strategy, pair, self.config):
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


@contextmanager
def opened_backtesting(config: dict[str, Any]) -> Iterator[Backtesting]:
    """Yield freqtrade's backtesting with its markets, and let go of the exchange at the end.

    :raises OperationalException: If the exchange cannot be reached.
    """
    backtesting = Backtesting(config)
    try:
        yield backtesting
    finally:
        backtesting.exchange.close()


def load_walk_forward(options: Mapping[str, Any]) -> WalkForward:
    """Do all that ``freqtrade backtesting`` does before FreqAI: markets, pairs, strategy, candles.

    :raises ConfigurationError: If FreqAI is not enabled, or the configuration cannot be used.
    :raises OperationalException: If the exchange cannot be reached, or there are no candles.
    """
    config = setup_optimize_configuration(dict(options), RunMode.BACKTEST)
    if not config.get("freqai", {}).get("enabled", False):
        raise ConfigurationError("freqai.enabled: must be true, was false or missing")
    with opened_backtesting(config) as backtesting:
        (strategy,) = backtesting.strategylist
        strategy.dp = backtesting.dataprovider
        start_strategy(strategy)
        candles, _ = backtesting.load_bt_data()
    config["exchange"]["pair_whitelist"] = list(backtesting.pairlists.whitelist)
    return WalkForward(config, strategy, candles)


def offline_walk_forward(config: Mapping[str, Any]) -> WalkForward:
    """Do the same without an exchange, for the pairs that the configuration names."""
    own = dict(config, runmode=RunMode.BACKTEST)
    # FreqAI makes this folder's children alone.
    (Path(own["user_data_dir"]) / "models").mkdir(parents=True, exist_ok=True)
    strategy = load_offline_strategy(own)
    own["startup_candle_count"] = strategy.startup_candle_count
    timerange = with_history(own)
    pairs = own["exchange"]["pair_whitelist"]
    candles = {pair: stored_candles(own, pair, timerange=timerange) for pair in pairs}
    return WalkForward(own, strategy, candles)
