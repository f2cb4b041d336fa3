"""Forward returns: what a forecast of the price is trained on and judged by.

Every function here looks ahead, as labels must. Never use one as a feature.
"""

import pandas as pd

from freqai_lstm.score.indicators import average_true_range

RETURN_LABEL = "&-return"
"""The name of the return head's label."""

_ATR_PERIOD = 14


def forward_return(close: pd.Series, candles: int) -> pd.Series:
    """Return the return from the close of a candle to the close some candles later.

    NaN for the last ``candles`` candles. Uses candles <= t + ``candles``.

    :param close: Closing prices, shape ``(candles,)``.
    :param candles: How far to look ahead.
    :return: Return as a fraction, shape ``(candles,)``.
    """
    return close.shift(-candles) / close - 1


def forward_return_in_ranges(candles: pd.DataFrame, ahead: int) -> pd.Series:
    """Return the change of the close some candles later, in units of ATR(14).

    In this unit calm and wild markets, cheap and dear coins weigh alike. NaN for the last
    ``ahead`` candles, the first 14, and where the range was flat. Uses candles <= t + ``ahead``.

    :param candles: Open, high, low, close and volume, oldest first.
    :param ahead: How many candles to look ahead.
    :return: Dimensionless change, shape ``(candles,)``.
    """
    close = candles["close"]
    return (close.shift(-ahead) - close) / average_true_range(candles, _ATR_PERIOD)
