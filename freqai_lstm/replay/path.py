"""The way of a price: from each candle's open over its extremes to its close."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freqai_lstm.replay.market import Candles

# When a candle's price turns, as parts of its time.
TURNS = (0.0, 0.3, 0.7, 1.0)


def turning_prices(candles: Candles) -> NDArray[np.float64]:
    """Give the prices at which candles turn: the extreme away from the close comes first.

    :return: Shape ``(candles, 4)``, at the times of :data:`TURNS`.
    """
    rises = candles.close >= candles.open
    first = np.where(rises, candles.low, candles.high)
    second = np.where(rises, candles.high, candles.low)
    return np.stack([candles.open, first, second, candles.close], axis=1)


@dataclass(frozen=True)
class PricePath:
    """Where a price turns; it moves in straight lines in between, or jumps where two times agree.

    Both arrays have shape ``(points,)``; times are milliseconds since 1970 and never fall.
    """

    time_ms: NDArray[np.float64]
    price: NDArray[np.float64]

    @classmethod
    def of(cls, candles: Candles, end_ms: NDArray[np.int64]) -> "PricePath":
        """Walk through candles.

        :param end_ms: When each of them closes.
        """
        length = (end_ms - candles.open_ms)[:, None]
        time_ms = candles.open_ms[:, None] + length * np.array(TURNS)
        return cls(time_ms.ravel(), turning_prices(candles).ravel())

    def at(self, time_ms: int) -> float | None:
        """Tell the price at a moment, after a jump if there is one; nothing outside of the path."""
        after = int(np.searchsorted(self.time_ms, time_ms, side="right"))
        if after in (0, len(self.time_ms)):
            return None
        (t0, t1), (p0, p1) = self.time_ms[after - 1 : after + 1], self.price[after - 1 : after + 1]
        return float(p0 + (time_ms - t0) / (t1 - t0) * (p1 - p0))

    def first_reach(self, level: float, *, falls: bool, since_ms: int) -> int | None:
        """Find when the price first is at a level or beyond it.

        :param falls: Whether beyond is below.
        :param since_ms: From when on.
        :return: The first whole millisecond, or nothing if the path does not reach it.
        """
        start = self.at(since_ms)
        if start is None:
            return None
        after = int(np.searchsorted(self.time_ms, since_ms, side="right"))
        price = np.append(start, self.price[after:])
        reached = price <= level if falls else price >= level
        if not reached.any():
            return None
        if reached[0]:
            return since_ms
        k = after - 1 + int(reached.argmax())
        (t0, t1), (p0, p1) = self.time_ms[k - 1 : k + 1], self.price[k - 1 : k + 1]
        return max(since_ms, math.ceil(t0 + (level - p0) / (p1 - p0) * (t1 - t0)))
