"""Faults of stored candles, each by itself and beside its neighbours."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

# A stretch of so many candles fills the usual periods of indicators (14, 20): ranges and deviations
# over them are zero, and what is divided by them is no number.
_STRETCH_CANDLES = 20
# One candle in twenty without a trade: nobody could have traded what is backtested there.
_EMPTY_SHARE = 0.05
# A price is compared with the middle one of the five closes around it, which two wrong ones do not
# move. A spike is twice or half of it, and no less than 30 robust standard deviations of a return
# away, so that a long candle of a wild coin may reach further. In four and a half years of 1h to 4h
# candles of fifteen coins, the crash of May 2021 and Dogecoin's week of January 2021 among them,
# the farthest true price was 1.9 times the middle one.
_NEIGHBOURS_CANDLES = 5
_SPIKE_RETURN = np.log(2)
_SPIKE_DEVIATIONS = 30
# From the median absolute deviation to the standard deviation of a normal distribution.
_MAD_SCALE = 1.4826
# What rounding may leave between a high and the open or close that it is.
_ROUNDING = 1e-9

_PRICES = ["open", "high", "low", "close"]


class Fault(StrEnum):
    """What can be wrong with a candle."""

    UNREADABLE = "unreadable file"
    NOT_FINITE = "NaN or infinite"
    DUPLICATE = "duplicate"
    UNSORTED = "earlier than the one before"
    NOT_POSITIVE = "price of zero or less"
    INCONSISTENT = "open or close beyond high or low"
    SPIKE = "spike"
    FLAT = "price stands still"
    NO_VOLUME = "no volume"


@dataclass(frozen=True)
class Faulty:
    """The candles of a file that have one fault.

    :param candles: How many.
    :param first: Opening time of the first of them; None if it is not known.
    :param note: More about them.
    """

    fault: Fault
    candles: int
    first: pd.Timestamp | None = None
    note: str = ""


def find_faults(candles: DataFrame, *, traded: bool = True) -> Iterator[Faulty]:
    """Give the faults of candles as they are stored.

    Gaps are none of them: an exchange that rested has no candles to give.

    :param candles: ``date`` and, of candles with prices, ``open``, ``high``, ``low``, ``close`` and
        ``volume``; of others, such as funding rates, their value.
    :param traded: Whether they have a volume: mark prices are stored with one of zero.
    """
    date = candles["date"]
    values = candles.drop(columns="date")
    unknown = values.isna() | np.isinf(values)
    yield from _faulty(candles, Fault.NOT_FINITE, unknown.any(axis="columns") | date.isna())
    yield from _faulty(candles, Fault.DUPLICATE, date.duplicated() & date.notna())
    yield from _faulty(candles, Fault.UNSORTED, date.diff() < pd.Timedelta(0))
    if not set(_PRICES) <= set(candles):
        return
    candles = candles.sort_values("date", kind="stable", ignore_index=True)
    prices = candles[_PRICES]
    yield from _faulty(candles, Fault.NOT_POSITIVE, (prices <= 0).any(axis="columns"))
    yield from _faulty(candles, Fault.INCONSISTENT, _inconsistent(prices))
    yield from _faulty(candles, Fault.SPIKE, _spikes(prices))
    still = prices.eq(prices["close"], axis="index").all(axis="columns")
    runs = _run_lengths(still)
    yield from _faulty(candles, Fault.FLAT, runs >= _STRETCH_CANDLES, _longest(runs))
    if traded:
        empty = candles["volume"] <= 0
        runs = _run_lengths(empty)
        if runs.max() >= _STRETCH_CANDLES or empty.mean() >= _EMPTY_SHARE:
            note = f"{empty.mean():.1%} of all, {_longest(runs)}"
            yield from _faulty(candles, Fault.NO_VOLUME, empty, note)


def _faulty(candles: DataFrame, fault: Fault, rows: Series, note: str = "") -> Iterator[Faulty]:
    """Give the fault, if any row has it."""
    if rows.any():
        first = candles.loc[rows, "date"].iloc[0]
        yield Faulty(fault, int(rows.sum()), None if pd.isna(first) else first, note)


def _inconsistent(prices: DataFrame) -> Series:
    body = prices[["open", "close"]]
    above = body.max(axis="columns") > prices["high"] * (1 + _ROUNDING)
    below = body.min(axis="columns") < prices["low"] * (1 - _ROUNDING)
    return above | below


def _spikes(prices: DataFrame) -> Series:
    logs = prices.where((prices > 0) & (prices < np.inf)).apply(np.log)
    returns = logs["close"].diff()
    deviation = _MAD_SCALE * (returns - returns.median()).abs().median()
    middle = logs["close"].rolling(_NEIGHBOURS_CANDLES, center=True, min_periods=3).median()
    away = logs.sub(middle, axis="index").abs().max(axis="columns")
    return away > np.fmax(_SPIKE_RETURN, _SPIKE_DEVIATIONS * deviation)


def _run_lengths(rows: Series) -> Series:
    """Return, for every row that is true, how many are in a row with it; 0 for the others."""
    return rows.groupby((~rows).cumsum()).transform("sum").where(rows, 0)


def _longest(runs: Series) -> str:
    return f"longest {runs.max()} in a row"
