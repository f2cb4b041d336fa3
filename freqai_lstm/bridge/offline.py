"""A strategy with stored candles and without an exchange."""

from typing import Any

from freqtrade.data.dataprovider import DataProvider
from freqtrade.resolvers import StrategyResolver

from freqai_lstm.bridge.internals import start_strategy


def load_offline_strategy(config: dict[str, Any]) -> Any:
    """Return a started strategy, with its regressor, that reads candles from the data directory."""
    strategy = StrategyResolver.load_strategy(config)
    strategy.dp = DataProvider(config, None)
    start_strategy(strategy)
    return strategy
