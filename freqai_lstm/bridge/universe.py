"""The pairs that a return is relative to, and their candles: in a backtest, and live."""

from typing import Any

from freqtrade.enums import RunMode
from freqtrade.exceptions import OperationalException
from pandas import DataFrame

from freqai_lstm.exceptions import SettingsError

WHITELIST = "whitelist"
"""Stands for all pairs of the whitelist in ``freqai.feature_parameters.relative_to``."""

_RELATIVE_TO = "freqai.feature_parameters.relative_to"


def universe(strategy: Any) -> list[str]:
    """Return the pairs that returns are relative to; none where they are absolute."""
    pairs = strategy.config["freqai"]["feature_parameters"].get("relative_to") or []
    if pairs != WHITELIST:
        return list(pairs)
    try:
        return list(strategy.dp.current_whitelist())
    except OperationalException:
        # Without an exchange there is nobody who makes a list.
        return list(strategy.config["exchange"]["pair_whitelist"])


def universe_candles(strategy: Any) -> list[DataFrame]:
    """Return the candles of each pair that returns are relative to, oldest first.

    Live they are those that FreqAI gathers to train on, else the stored ones.

    :raises SettingsError: If a pair has none.
    """
    config, pairs = strategy.config, universe(strategy)
    timeframe = config["timeframe"]
    if config["runmode"] in (RunMode.DRY_RUN, RunMode.LIVE):
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
