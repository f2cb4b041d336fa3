"""Indicators over candles: pure, vectorised, and using candles <= t only.

``candles`` is a frame with the columns ``open``, ``high``, ``low``, ``close`` and ``volume`` in
price and base-asset units, oldest first. Every function returns rows aligned with its input and
NaN where the indicator is not defined: during the warm-up, and where a scale is zero.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import talib
from numpy.lib.stride_tricks import sliding_window_view

ATR_PERIOD = 14
"""Candles of the average true range that changes of the price are counted in."""

Values = npt.NDArray[np.float64]
Frame = TypeVar("Frame", pd.Series, pd.DataFrame)


def rolling_zscore(series: pd.Series, window: int) -> pd.Series:
    """Return how many rolling standard deviations a value lies from its rolling mean.

    Warm-up: ``window - 1`` candles after the first value of ``series``. NaN where the rolling
    standard deviation is zero. Uses candles <= t.

    :param series: Any indicator, shape ``(candles,)``.
    :param window: Candles in the rolling window, the present one included.
    :return: Dimensionless z-score, shape ``(candles,)``.
    """
    mean, std = _rolling_deviation(series, window)
    return pd.Series(-mean / _nonzero(std), index=series.index)


def rolling_mean_to_std(series: pd.Series, window: int) -> pd.Series:
    """Return the rolling mean in units of the rolling standard deviation.

    Warm-up and NaN as in :func:`rolling_zscore`. Uses candles <= t.

    :param series: Any indicator, shape ``(candles,)``.
    :param window: Candles in the rolling window, the present one included.
    :return: Dimensionless ratio, shape ``(candles,)``.
    """
    mean, std = _rolling_deviation(series, window)
    return pd.Series((series.to_numpy() + mean) / _nonzero(std), index=series.index)


def bollinger_bands(close: pd.Series, period: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return the Bollinger bands at two standard deviations.

    Warm-up: ``period - 1`` candles. Where the price was flat over the whole period, the bands
    coincide exactly. Uses candles <= t.

    :param close: Closing prices, shape ``(candles,)``.
    :param period: Candles of the moving average and its standard deviation.
    :return: ``(upper, middle, lower)`` in price units, each of shape ``(candles,)``.

    Source: TA-Lib ``BBANDS``, which leaves rounding noise between the bands of a flat price.
    """
    values = close.to_numpy(dtype=float)
    flat = talib.MAX(values, period) == talib.MIN(values, period)
    upper, middle, lower = (
        pd.Series(np.where(flat, values, band), index=close.index)
        for band in talib.BBANDS(values, period)
    )
    return upper, middle, lower


def average_true_range(candles: pd.DataFrame, period: int) -> pd.Series:
    """Return Wilder's average true range, NaN where it is zero.

    Warm-up: ``period`` candles; the recursion forgets its start by ``1 - 1 / period`` a candle.
    Uses candles <= t.

    :param candles: Open, high, low, close and volume.
    :param period: Candles of the smoothing.
    :return: Average true range in price units, shape ``(candles,)``.

    Source: TA-Lib ``ATR``.
    """
    high, low, close = (candles[name].to_numpy(dtype=float) for name in ("high", "low", "close"))
    return pd.Series(_nonzero(talib.ATR(high, low, close, period)), index=candles.index)


def in_ranges(change: pd.Series, average_range: pd.Series) -> pd.Series:
    """Return a change of the price in units of the average true range.

    0 where the range is zero: nothing moved. Warm-up: the longer one of the two. Uses candles <= t.

    :param change: In price units, shape ``(candles,)``.
    :param average_range: In price units, zeros included, such as TA-Lib ``ATR``; the same shape.
    :return: Dimensionless change, shape ``(candles,)``.
    """
    return (change / _nonzero(average_range.to_numpy())).mask(average_range == 0, 0.0)


def band_position(close: pd.Series, upper: pd.Series, lower: pd.Series) -> pd.Series:
    """Return where the close lies between two bands: 0 at the lower one, 1 at the upper one.

    0.5 where the bands coincide. Uses candles <= t.

    :param close: Closing prices, shape ``(candles,)``.
    :param upper: Upper band in price units, shape ``(candles,)``.
    :param lower: Lower band in price units, shape ``(candles,)``.
    :return: Dimensionless position, shape ``(candles,)``.
    """
    width = upper - lower
    return ((close - lower) / _nonzero(width.to_numpy())).mask(width == 0, 0.5)


def log_volume_ratio(volume: pd.Series, window: int) -> pd.Series:
    """Return the logarithm of the volume against its own rolling mean.

    Range: 0 at the mean, -4.6 for a candle without trades, which counts as a hundredth of the
    mean. Warm-up: ``window - 1`` candles. 0 where there were no trades in the whole window. Uses
    candles <= t.

    :param volume: Traded volume in base-asset units, shape ``(candles,)``.
    :param window: Candles in the rolling window, the present one included.
    :return: Dimensionless logarithm, shape ``(candles,)``.
    """
    mean = volume.rolling(window).mean()
    ratio = volume / _nonzero(mean.to_numpy())
    return np.log((ratio + 0.01) / 1.01).mask(mean == 0, 0.0)


def neutral_after(values: Frame, warmup_candles: int) -> Frame:
    """Return values with 0 in place of NaN behind the warm-up, where they only have no scale.

    A feature that is NaN costs the whole candle. Uses candles <= t.

    :param values: A column or several, shape ``(candles, ...)``.
    :param warmup_candles: First candles, whose NaN stay.
    """
    filled = values.fillna(0.0)
    filled.iloc[:warmup_candles] = values.iloc[:warmup_candles]
    return filled


def _rolling_deviation(series: pd.Series, window: int) -> tuple[Values, Values]:
    """Return mean and standard deviation of each window's values less its last value.

    Every window is summed by itself. A running sum, as in pandas' ``rolling``, would carry the
    rounding of all candles before it: a backtest and a live bot start at different ones. Equal
    values give exactly zero.

    :return: Both of shape ``(candles,)``, NaN for the first ``window - 1`` candles.
    """
    values = series.to_numpy(dtype=float)
    mean, std = np.full((2, len(values)), np.nan)
    if len(values) >= window:
        windows = sliding_window_view(values, window)
        with np.errstate(invalid="ignore"):
            deviations = windows - windows[:, -1:]
        mean[window - 1 :] = deviations.mean(axis=1)
        std[window - 1 :] = deviations.std(axis=1, ddof=1)
    return mean, std


def _nonzero(values: Values) -> Values:
    """Return the values with NaN in place of zeros, for use as a divisor."""
    return np.where(values == 0, np.nan, values)
