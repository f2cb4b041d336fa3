"""Forward returns: what a forecast of the price is trained on and judged by.

Every function here looks ahead, as labels must. Never use one as a feature.
"""

import math
from collections.abc import Iterable

import pandas as pd

from freqai_lstm.score.indicators import ATR_PERIOD, average_true_range
from freqai_lstm.score.ranks import at_dates, rank_among

RETURN_LABEL = "&-return"
"""The name of the return head's label."""

RELATIVE_RETURN_LABEL = "&-relative_return"
"""The name of the label that is the return against that of a market."""

# Standard deviation of pairs about their mean, in ATRs after one candle; it grows with the root of
# time. 0.34 after 4, 0.36 after 12, 0.45 after 96 candles of fifteen coins, hourly, 2020 to 2022.
_DISPERSION = 0.4


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
    return (close.shift(-ahead) - close) / average_true_range(candles, ATR_PERIOD)


def relative_return_in_ranges(
    candles: pd.DataFrame, ahead: int, others: Iterable[pd.DataFrame]
) -> pd.Series:
    """Return what a pair does some candles later against others, by its rank.

    What all pairs do together is most of what each of them does, and the least foreseeable part of
    it. Of the rest, a few wild candles would decide: so a pair gets the rank of its change in units
    of ATR(14), spread evenly about 0, with the standard deviation that pairs have about their mean.
    NaN where the pair's own change is; others without a candle, or without one that far ahead, have
    no rank. Uses candles <= t + ``ahead`` and none of others after the newest of ``candles``.

    :param candles: Date, open, high, low, close and volume, oldest first.
    :param ahead: How many candles to look ahead.
    :param others: The same of each other pair.
    :return: Expected change against the others in units of ATR(14), index of ``candles``.
    """
    known = [other[other["date"] <= candles["date"].iloc[-1]] for other in others]
    theirs = {
        number: at_dates(forward_return_in_ranges(other, ahead), other, candles)
        for number, other in enumerate(known)
    }
    own = forward_return_in_ranges(candles, ahead)
    return rank_among(own, pd.DataFrame(theirs, candles.index)) * _DISPERSION * math.sqrt(ahead)
