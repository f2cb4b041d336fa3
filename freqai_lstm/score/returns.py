"""Forward returns: what a forecast of the price is trained on and judged by.

Every function here looks ahead, as labels must. Never use one as a feature.
"""

import math
from collections.abc import Iterable

import pandas as pd

from freqai_lstm.score.indicators import ATR_PERIOD, average_true_range
from freqai_lstm.score.ranks import at_dates

RETURN_LABEL = "&-return"
"""The name of the return head's label."""

RELATIVE_RETURN_LABEL = "&-relative_return"
"""The name of the label that is the return against that of a market."""

# Standard deviation of pairs about their mean, in ATRs after one candle; it grows with the root of
# time. 0.34 after 4, 0.36 after 12, 0.45 after 96 candles of fifteen coins, hourly, 2020 to 2022.
_DISPERSION = 0.4

LARGEST_DEVIATION = 3.0
"""Standard deviations that a pair's change is cut at, against that of a market."""


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
    """Return what a pair does some candles later against others, in their standard deviations.

    What all pairs do together is most of what each of them does, and the least foreseeable part of
    it. Of the rest, a few wild hours would decide: so the change of a pair in units of ATR(14),
    less the mean of all, is divided by their standard deviation at that candle, cut at
    :data:`LARGEST_DEVIATION`, and multiplied by the one that pairs usually have.
    NaN where the pair's own change is; others without a candle, or without one that far ahead, do
    not count. Uses candles <= t + ``ahead`` and none of others after the newest of ``candles``.

    :param candles: Date, open, high, low, close and volume, oldest first.
    :param ahead: How many candles to look ahead.
    :param others: The same of each other pair.
    :return: Expected change against the others in units of ATR(14), index of ``candles``.
    """
    own = forward_return_in_ranges(candles, ahead)
    known = [other[other["date"] <= candles["date"].iloc[-1]] for other in others]
    theirs = [at_dates(forward_return_in_ranges(other, ahead), other, candles) for other in known]
    changes = pd.concat([own, *theirs], axis="columns")
    deviation = changes.std(axis="columns")
    # Where all do the same, or there are no others, a pair does as the market.
    relative = ((own - changes.mean(axis="columns")) / deviation).where(deviation > 0, 0.0)
    usual = _DISPERSION * math.sqrt(ahead)
    return relative.clip(-LARGEST_DEVIATION, LARGEST_DEVIATION).where(own.notna()) * usual
