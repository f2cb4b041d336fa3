"""A pair's rank among others, candle by candle: what it has done against a market."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from freqai_lstm.score.indicators import ATR_PERIOD, Frame, average_true_range, in_ranges

LOOKBACKS = (1, 3, 6, 12, 24, 48, 96, 168)
"""Candles that the past returns of :func:`past_ranks` go back."""


def rank_among(own: pd.Series, others: pd.DataFrame) -> pd.Series:
    """Return the rank of values among those of others, evenly spread about 0.

    From the lowest to the highest, with the standard deviation that an even spread over a range of
    sqrt(12) has, which is 1. NaN where the own value is; others without a value have no rank.

    :param own: Shape ``(candles,)``.
    :param others: Index of ``own``, a column for each of them.
    """
    below, same = others.lt(own, axis="index"), others.eq(own, axis="index")
    counted = others.notna().sum(axis="columns") + 1
    place = below.sum(axis="columns") + (same.sum(axis="columns") + 1) / 2
    return ((place / counted - 0.5) * math.sqrt(12)).where(own.notna())


def places(values: pd.Series) -> pd.Series:
    """Return the place of each value among all, evenly spread about 0 between -1 and 1.

    NaN without a value; what has none does not count.
    """
    counted = values.count()
    return (2 * values.rank() - counted - 1) / counted


def at_dates(values: Frame, other: pd.DataFrame, candles: pd.DataFrame) -> Frame:
    """Return what belongs to the candles of another pair at the candles of a pair.

    NaN where the other one has no candle.

    :param values: Index of ``other``.
    :param other: Its candles, with their dates.
    :return: Index of ``candles``.
    """
    return values.set_axis(other["date"]).reindex(candles["date"]).set_axis(candles.index)


def past_ranks(
    candles: pd.DataFrame, others: Iterable[pd.DataFrame], lookbacks: Sequence[int] = LOOKBACKS
) -> pd.DataFrame:
    """Return how a pair has done against others, by the rank of its past returns in ATR(14).

    Uses candles <= t. NaN from where one of the others has no candle any more: live it may only be
    late, and a rank without it would be another one than a backtest's.

    :param candles: Date, open, high, low, close and volume, oldest first.
    :param others: The same of each other pair.
    :param lookbacks: How many candles each return goes back.
    :return: A column ``rank_<lookback>`` for each, index of ``candles``.
    """
    dates, others = candles["date"], [*others]
    known = dates <= min((other["date"].iloc[-1] for other in others), default=dates.iloc[-1])
    own = _past_returns(candles, lookbacks)
    theirs = [at_dates(_past_returns(other, lookbacks), other, candles) for other in others]
    ranks = {
        f"rank_{lookback}": rank_among(
            own[lookback],
            pd.DataFrame({number: each[lookback] for number, each in enumerate(theirs)}, own.index),
        )
        for lookback in lookbacks
    }
    return pd.DataFrame(ranks).where(known, axis="index")


def _past_returns(candles: pd.DataFrame, lookbacks: Sequence[int]) -> pd.DataFrame:
    close, average_range = candles["close"], average_true_range(candles, ATR_PERIOD)
    return pd.DataFrame({n: in_ranges(close.diff(n), average_range) for n in lookbacks})
