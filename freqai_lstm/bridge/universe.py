"""The pairs that a return is relative to, and their candles: in a backtest, and live."""

from collections.abc import Mapping, Sequence
from typing import Any

from freqtrade.enums import TRADE_MODES
from freqtrade.exceptions import OperationalException
from pandas import DataFrame

from freqai_lstm.exceptions import SettingsError

WHITELIST = "whitelist"
"""Stands for all pairs of the whitelist in ``freqai.feature_parameters.relative_to``."""

_RELATIVE_TO = "freqai.feature_parameters.relative_to"


def whitelist(strategy: Any, config: Mapping[str, Any]) -> list[str]:
    """Return the pairs of the whitelist, without an exchange those of the configuration."""
    try:
        return list(strategy.dp.current_whitelist())
    except OperationalException:
        # Without an exchange there is nobody who makes a list.
        return list(config["exchange"]["pair_whitelist"])


def relative_pairs(parameters: Mapping[str, Any], pairs: Sequence[str]) -> list[str]:
    """Return the pairs that returns are relative to; none where they are absolute.

    :param parameters: ``freqai.feature_parameters``.
    :param pairs: Those of the whitelist.
    """
    named = parameters.get("relative_to") or []
    return list(pairs if named == WHITELIST else named)


def universe(strategy: Any) -> list[str]:
    """Return the pairs that a strategy's returns are relative to; none where they are absolute."""
    config = strategy.config
    return relative_pairs(config["freqai"]["feature_parameters"], whitelist(strategy, config))


def candles_of_others(strategy: Any, pair: str) -> list[DataFrame]:
    """Return the candles of each other pair that a pair's returns are relative to, oldest first.

    Live they are those that FreqAI gathers to train on, else the stored ones.

    :raises SettingsError: If one has none.
    """
    config, pairs = strategy.config, [name for name in universe(strategy) if name != pair]
    timeframe = config["timeframe"]
    if config["runmode"] in TRADE_MODES:
        gathered = strategy.freqai.dd.historic_data
        # A pair that has just joined the whitelist has none yet.
        return [gathered[pair][timeframe] for pair in pairs if pair in gathered]
    found = {pair: strategy.dp.historic_ohlcv(pair, timeframe) for pair in pairs}
    if missing := [pair for pair, candles in found.items() if candles.empty]:
        raise SettingsError(
            f"{_RELATIVE_TO}: must name pairs with {timeframe} candles in {config['datadir']}, "
            f"{', '.join(missing)} had none; freqtrade download-data gets them"
        )
    return list(found.values())
