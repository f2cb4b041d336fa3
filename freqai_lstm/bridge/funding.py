"""The funding rates of a pair of perpetual futures, as they were known candle by candle."""

from typing import Any

import pandas as pd
from freqtrade.enums import TRADE_MODES, CandleType

_TIMEFRAME = "1h"
"""freqtrade's of funding rates; it has a row only where funding is paid."""


def funding_pairs(strategy: Any) -> list[tuple[str, str, str]]:
    """Return what a strategy's ``informative_pairs`` must ask for, nothing of spot."""
    if strategy.config.get("trading_mode") != "futures":
        return []
    kind = str(CandleType.FUNDING_RATE)
    return [(pair, _TIMEFRAME, kind) for pair in strategy.dp.current_whitelist()]


def known_funding_rate(strategy: Any, pair: str, dates: pd.Series) -> pd.Series:
    """Return the newest funding rate that was known when each candle opened.

    :param dates: Opening times, shape ``(candles,)``, oldest first.
    :return: What a long position pays at one funding, as a fraction of its value; 0 in spot mode
        and before the first rate. Index of ``dates``.
    """
    unknown = pd.Series(0.0, dates.index)
    if strategy.config.get("trading_mode") != "futures":
        return unknown
    kind = str(CandleType.FUNDING_RATE)
    if strategy.config["runmode"] in TRADE_MODES:
        rates = strategy.dp.get_pair_dataframe(pair, _TIMEFRAME, kind)
    else:
        rates = strategy.dp.historic_ohlcv(pair, _TIMEFRAME, kind)
    if rates.empty:
        return unknown
    rate = rates.set_index("date")["open"]
    return rate.reindex(dates, method="ffill").fillna(0.0).set_axis(dates.index)
