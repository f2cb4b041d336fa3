"""The score once more, candle by candle with loops, from its definition alone.

Numbers that are not defined are NaN. Only the recursions' starting values follow TA-Lib.
"""

import math
from collections.abc import Callable, Sequence

import pandas as pd

NAN = float("nan")
Series = list[float]


def rolling(series: Series, window: int, statistic: Callable[[Series], float]) -> Series:
    """Apply a statistic to the last values of every row; NaN while there are too few."""
    latest = [series[max(row - window + 1, 0) : row + 1] for row in range(len(series))]
    return [
        statistic(values) if len(values) == window and not any(map(math.isnan, values)) else NAN
        for values in latest
    ]


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def spread(values: Sequence[float], freedom: int) -> float:
    """Return the standard deviation with ``len(values) - freedom`` in the denominator."""
    centre = mean(values)
    squares = math.fsum((value - centre) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - freedom))


def sample_std(values: Sequence[float]) -> float:
    return spread(values, freedom=1)


def divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else NAN


def zscore(series: Series, window: int) -> Series:
    return rolling(series, window, lambda last: divide(last[-1] - mean(last), sample_std(last)))


def change(series: Series, candles: int) -> Series:
    return [NAN] * candles + [
        now - before for before, now in zip(series, series[candles:], strict=False)
    ]


def exponential_average(series: Series, period: int, first: int) -> Series:
    """Return the EMA whose first value is the simple mean of ``period`` values."""
    average = [NAN] * first + [mean(series[first - period + 1 : first + 1])]
    for value in series[first + 1 :]:
        average.append(average[-1] + (value - average[-1]) * 2 / (period + 1))
    return average


def wilder_average(series: Series, period: int) -> Series:
    """Return Wilder's average of a series whose first value, at row 0, does not exist."""
    average = [NAN] * period + [mean(series[1 : period + 1])]
    for value in series[period + 1 :]:
        average.append((average[-1] * (period - 1) + value) / period)
    return average


def macd_line(close: Series) -> Series:
    fast = exponential_average(close, 12, first=25)
    slow = exponential_average(close, 26, first=25)
    # TA-Lib shows the line together with its signal only, eight candles later.
    return [NAN] * 33 + [a - b for a, b in zip(fast[33:], slow[33:], strict=True)]


def relative_strength(close: Series, period: int) -> Series:
    moves = change(close, 1)
    gains = wilder_average([max(move, 0.0) for move in moves], period)
    losses = wilder_average([max(-move, 0.0) for move in moves], period)
    return [100 * divide(gain, gain + loss) for gain, loss in zip(gains, losses, strict=True)]


def commodity_channel(typical: Series, period: int) -> Series:
    def index(last: Series) -> float:
        deviation = mean([abs(value - mean(last)) for value in last])
        return divide(last[-1] - mean(last), 0.015 * deviation)

    return rolling(typical, period, index)


def on_balance_volume(close: Series, volume: Series) -> Series:
    balance = [volume[0]]
    for move, traded in zip(change(close, 1)[1:], volume[1:], strict=True):
        balance.append(balance[-1] + traded * ((move > 0) - (move < 0)))
    return balance


def average_range(high: Series, low: Series, close: Series, period: int) -> Series:
    true_range = [NAN] + [
        max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        for row in range(1, len(close))
    ]
    return wilder_average(true_range, period)


def slow_stochastic(high: Series, low: Series, close: Series) -> Series:
    highest, lowest = rolling(high, 5, max), rolling(low, 5, min)
    fast = [
        100 * divide(now - bottom, top - bottom)
        for now, bottom, top in zip(close, lowest, highest, strict=True)
    ]
    return rolling(fast, 3, mean)


def reference_components(
    candles: pd.DataFrame, threshold: float = 1.5, boost: float = 1.5
) -> pd.DataFrame:
    """Return ``w0`` .. ``w8`` and ``volatility`` of at least 100 candles."""
    high, low, close, volume = (
        candles[name].tolist() for name in ("high", "low", "close", "volume")
    )
    rows = range(len(close))

    middle = rolling(close, 20, mean)
    deviation = rolling(close, 20, lambda last: spread(last, freedom=0))
    upper = [m + 2 * d for m, d in zip(middle, deviation, strict=True)]
    lower = [m - 2 * d for m, d in zip(middle, deviation, strict=True)]
    width = [u - b for u, b in zip(upper, lower, strict=True)]

    trend = [
        abs(average - now) for average, now in zip(rolling(close, 10, mean), close, strict=True)
    ]
    usual_trend, trend_spread = rolling(trend, 14, mean), rolling(trend, 14, sample_std)
    strong = [trend[row] > usual_trend[row] + threshold * trend_spread[row] for row in rows]

    momentum = zscore(change(close, 4), 4)
    strength = zscore(relative_strength(close, 10), 10)
    growth = [100 * divide(d, now - d) for d, now in zip(change(close, 2), close, strict=True)]
    typical = [(h + b + c) / 3 for h, b, c in zip(high, low, close, strict=True)]
    atr = average_range(high, low, close, 14)
    terms = {
        "w0": zscore(close, 10),
        "w1": zscore(macd_line(close), 26),
        "w2": zscore(growth, 2),
        "w3": [strength[row] + (boost if strong[row] else 1) * momentum[row] for row in rows],
        "w4": rolling(width, 20, lambda last: divide(mean(last), sample_std(last))),
        "w5": zscore(commodity_channel(typical, 20), 20),
        "w6": zscore(on_balance_volume(close, volume), 14),
        "w7": zscore(atr, 14),
        "w8": zscore(slow_stochastic(high, low, close), 14),
    }

    average = rolling(close, 100, mean)
    regime = [(close[row] > upper[row]) - (close[row] < lower[row]) for row in rows]
    long_regime = [1 if close[row] > average[row] else -1 for row in rows]
    components = {
        name: [
            NAN if math.isnan(average[row]) else regime[row] * long_regime[row] * term[row]
            for row in rows
        ]
        for name, term in terms.items()
    }
    volatility = [divide(middle[row], width[row]) * divide(1.0, atr[row]) for row in rows]
    return pd.DataFrame({**components, "volatility": volatility}, index=candles.index)
