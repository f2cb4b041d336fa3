"""Indicators over candles: pure, vectorised, and using candles <= t only.

``candles`` is a frame with the columns ``open``, ``high``, ``low``, ``close`` and ``volume`` in
price and base-asset units, oldest first. Every function returns rows aligned with its input and
NaN where the indicator is not defined: during the warm-up, and where a scale is zero.
"""

import numpy as np
import pandas as pd
import talib


def rolling_zscore(series: pd.Series, window: int) -> pd.Series:
    """Return how many rolling standard deviations a value lies from its rolling mean.

    Warm-up: ``window - 1`` candles after the first value of ``series``. NaN where the rolling
    standard deviation is zero. Uses candles <= t.

    :param series: Any indicator, shape ``(candles,)``.
    :param window: Candles in the rolling window, the present one included.
    :return: Dimensionless z-score, shape ``(candles,)``.
    """
    rolling = series.rolling(window)
    return (series - rolling.mean()) / _nonzero(rolling.std())


def rolling_mean_to_std(series: pd.Series, window: int) -> pd.Series:
    """Return the rolling mean in units of the rolling standard deviation.

    Warm-up and NaN as in :func:`rolling_zscore`. Uses candles <= t.

    :param series: Any indicator, shape ``(candles,)``.
    :param window: Candles in the rolling window, the present one included.
    :return: Dimensionless ratio, shape ``(candles,)``.
    """
    rolling = series.rolling(window)
    return rolling.mean() / _nonzero(rolling.std())


def bollinger_bands(close: pd.Series, period: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return the Bollinger bands at two standard deviations.

    Warm-up: ``period - 1`` candles. Where the price was flat over the whole period, the bands
    coincide exactly. Uses candles <= t.

    :param close: Closing prices, shape ``(candles,)``.
    :param period: Candles of the moving average and its standard deviation.
    :return: ``(upper, middle, lower)`` in price units, each of shape ``(candles,)``.

    Source: TA-Lib ``BBANDS``, which leaves rounding noise between the bands of a flat price.
    """
    upper, middle, lower = talib.BBANDS(close, period)
    rolling = close.rolling(period)
    flat = rolling.max() == rolling.min()
    return upper.mask(flat, close), middle.mask(flat, close), lower.mask(flat, close)


def average_true_range(candles: pd.DataFrame, period: int) -> pd.Series:
    """Return Wilder's average true range, NaN where it is zero.

    Warm-up: ``period`` candles; the recursion forgets its start by ``1 - 1 / period`` a candle.
    Uses candles <= t.

    :param candles: Open, high, low, close and volume.
    :param period: Candles of the smoothing.
    :return: Average true range in price units, shape ``(candles,)``.

    Source: TA-Lib ``ATR``.
    """
    return _nonzero(talib.ATR(candles["high"], candles["low"], candles["close"], period))


def band_position(close: pd.Series, upper: pd.Series, lower: pd.Series) -> pd.Series:
    """Return where the close lies between two bands: 0 at the lower one, 1 at the upper one.

    NaN where the bands coincide. Uses candles <= t.

    :param close: Closing prices, shape ``(candles,)``.
    :param upper: Upper band in price units, shape ``(candles,)``.
    :param lower: Lower band in price units, shape ``(candles,)``.
    :return: Dimensionless position, shape ``(candles,)``.
    """
    return (close - lower) / _nonzero(upper - lower)


def log_volume_ratio(volume: pd.Series, window: int) -> pd.Series:
    """Return the logarithm of the volume against its own rolling mean.

    Range: 0 at the mean, -4.6 for a candle without trades, which counts as a hundredth of the
    mean. Warm-up: ``window - 1`` candles. NaN where there were no trades in the whole window. Uses
    candles <= t.

    :param volume: Traded volume in base-asset units, shape ``(candles,)``.
    :param window: Candles in the rolling window, the present one included.
    :return: Dimensionless logarithm, shape ``(candles,)``.
    """
    ratio = volume / _nonzero(volume.rolling(window).mean())
    logarithm: pd.Series = np.log((ratio + 0.01) / 1.01)
    return logarithm


def _nonzero(series: pd.Series) -> pd.Series:
    """Return the series with NaN in place of zeros, for use as a divisor."""
    return series.where(series != 0)
