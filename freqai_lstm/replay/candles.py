"""Timeframes, and longer candles from shorter ones."""

import re
from datetime import UTC, datetime

import numpy as np
from ccxt import Exchange
from numpy.typing import NDArray

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.market import Candles
from freqai_lstm.replay.path import TURNS, turning_prices

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# 1970-01-01 was a Thursday, and weeks start on Monday.
_FIRST_MONDAY_MS = 4 * DAY_MS

# Months ("1M") have no fixed length and are handled by name.
_FIXED_LENGTHS = (
    *("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h"),
    *("6h", "8h", "12h", "1d", "3d", "1w"),
)
_FIXED_LENGTH_MS = {name: 1000 * Exchange.parse_timeframe(name) for name in _FIXED_LENGTHS}
TIMEFRAMES = (*_FIXED_LENGTH_MS, "1M")


def fixed_length_ms(timeframe: str) -> int:
    """Give the length of a timeframe other than a month.

    :raises ReplayError: If there is no such timeframe.
    """
    if timeframe not in _FIXED_LENGTH_MS:
        known = ", ".join(_FIXED_LENGTH_MS)
        raise ReplayError(f"The timeframe must be one of {known}; was {timeframe!r}.")
    return _FIXED_LENGTH_MS[timeframe]


def candle_start_ms(time_ms: NDArray[np.int64], timeframe: str) -> NDArray[np.int64]:
    """Find when the candles open that contain these moments.

    :param time_ms: Moments in milliseconds since 1970 UTC, any shape.
    :param timeframe: One of :data:`TIMEFRAMES`.
    :return: Opening times, same shape: multiples of the timeframe since 1970, Mondays for weeks,
        first days for months.
    """
    if timeframe == "1M":
        months = time_ms.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    length_ms = fixed_length_ms(timeframe)
    offset_ms = _FIRST_MONDAY_MS if timeframe == "1w" else 0
    return (time_ms - offset_ms) // length_ms * length_ms + offset_ms


def candle_end_ms(start_ms: NDArray[np.int64], timeframe: str) -> NDArray[np.int64]:
    """Find when the candles that open at these moments close, which is when the next ones open."""
    if timeframe == "1M":
        months = start_ms.astype("datetime64[ms]").astype("datetime64[M]")
        return (months + np.timedelta64(1, "M")).astype("datetime64[ms]").astype(np.int64)
    return start_ms + fixed_length_ms(timeframe)


def can_build(source: str, target: str) -> bool:
    """Tell whether whole candles of ``source`` make up the candles of ``target``."""
    if source == target:
        return True
    if source == "1M":
        return False
    target_ms = DAY_MS if target == "1M" else fixed_length_ms(target)
    return target_ms % fixed_length_ms(source) == 0


def aggregate(candles: Candles, timeframe: str) -> Candles:
    """Build longer candles.

    :param candles: Candles of a timeframe that :func:`can_build` the wanted one, oldest first.
    :param timeframe: One of :data:`TIMEFRAMES`.
    :return: The longer candles. The first and the last may be made of fewer candles than fit.
    """
    if not len(candles):
        return candles
    start_ms = candle_start_ms(candles.open_ms, timeframe)
    first = np.concatenate([[0], np.flatnonzero(np.diff(start_ms)) + 1])
    last = np.concatenate([first[1:], [len(candles)]]) - 1
    return Candles(
        open_ms=start_ms[first],
        open=candles.open[first],
        high=np.maximum.reduceat(candles.high, first),
        low=np.minimum.reduceat(candles.low, first),
        close=candles.close[last],
        volume=np.add.reduceat(candles.volume, first),
    )


def parse_day_ms(text: str) -> int:
    """Read a UTC day such as ``20240131``.

    :return: The day's start in milliseconds since 1970.
    :raises ReplayError: If the text is not a day.
    """
    if not re.fullmatch(r"\d{8}", text):
        raise ReplayError(f"A day must be written YYYYMMDD; was {text!r}.")
    try:
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ReplayError(f"A day must be written YYYYMMDD; was {text!r}.") from error
    return int(day.timestamp()) * 1000


def format_day(time_ms: int) -> str:
    """Write the UTC day of a moment, such as ``2024-01-31``."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def unfinished(candle: Candles, elapsed: float, decimals: int) -> Candles:
    """Show a candle as it looks before it closes.

    The price walks in straight lines from the open to the two extremes (the one away from the
    close first) and on to the close, so that the finished candle is the candle itself.

    :param elapsed: The part of its time that has passed, 0 to 1.
    :param decimals: Decimals of the current price.
    :return: The candle made of what happened until then.
    """
    turns = turning_prices(candle)[0].tolist()
    price = round(float(np.interp(elapsed, TURNS, turns)), decimals)
    price = min(max(price, float(candle.low[0])), float(candle.high[0]))
    seen = [level for turn, level in zip(TURNS, turns, strict=True) if turn <= elapsed] + [price]
    return Candles(
        candle.open_ms,
        candle.open,
        np.array([max(seen)]),
        np.array([min(seen)]),
        np.array([price]),
        candle.volume * elapsed,
    )
