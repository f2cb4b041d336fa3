"""A strategy with stored candles and without an exchange."""

import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from freqtrade.data.dataprovider import DataProvider
from freqtrade.resolvers import StrategyResolver

from freqai_lstm.bridge.internals import load_parameters, start_strategy
from freqai_lstm.exceptions import SettingsError

logger = logging.getLogger(__name__)


def load_offline_strategy(config: dict[str, Any]) -> Any:
    """Return a started strategy, with its regressor, that reads candles from the data directory."""
    strategy = StrategyResolver.load_strategy(config)
    strategy.dp = DataProvider(config, None)
    start_strategy(strategy)
    warn_of_timeframe(strategy)
    return strategy


def load_labelling_strategy(config: Mapping[str, Any]) -> Any:
    """Return a strategy with its parameters that can set its labels, without a prediction model.

    :raises SettingsError: If the configuration names no strategy.
    """
    if not config.get("strategy"):
        raise SettingsError("strategy: must name the strategy's class (--strategy), was missing")
    own = dict(config)
    strategy = StrategyResolver.load_strategy(own)
    # All stored candles are labelled, and labels may be made of other pairs' candles.
    strategy.dp = DataProvider({**own, "timerange": None}, None)
    strategy.freqai_info = own["freqai"]
    # All that FreqAI's documentation lets a strategy set on its model.
    strategy.freqai = SimpleNamespace(class_names=[])
    load_parameters(strategy)
    warn_of_timeframe(strategy)
    return strategy


def other_timeframe(strategy: Any) -> str | None:
    """Return the timeframe that a strategy was written for, None if it is the one in use."""
    own = getattr(type(strategy), "timeframe", None)
    return own if own != strategy.timeframe else None


def warn_of_timeframe(strategy: Any) -> None:
    """Tell in the log that the configuration has replaced the timeframe of a strategy."""
    if own := other_timeframe(strategy):
        logger.warning(
            f"timeframe: {type(strategy).__name__} was written for {own}, the configuration's "
            f"{strategy.timeframe} is used in its place; set timeframe to {own}, and "
            f"include_timeframes with it, if that is not meant"
        )
