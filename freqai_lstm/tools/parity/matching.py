"""Which trade of a bot is which of a backtest, why some have none, and what the difference is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Timestamp

from freqai_lstm.tools.parity.trades import TIME, Lock, Span

BOTH, BOT, BACKTEST = "both", "bot", "backtest"

_KEY = ["pair", "is_short", "candle", "nth"]
# freqtrade rounds the profit of a trade to eight digits.
_ROUNDING = 1e-7


@dataclass(frozen=True)
class Known:
    """What is known of one side when one asks why it lacks a trade.

    :param trades: All of its trades, those outside of the compared time too.
    :param signals: Candles with a signal to enter by pair and ``is_short``; None if not known.
    """

    name: str
    trades: DataFrame
    locks: Sequence[Lock]
    max_open_trades: float
    signals: Mapping[tuple[str, bool], "pd.Index[Any]"] | None = None


def match(bot: DataFrame, backtest: DataFrame) -> DataFrame:
    """Put the trades of both sides beside each other, by pair, side and candle of the entry.

    :return: Columns of :func:`~freqai_lstm.tools.parity.trades.settled` with ``_bot`` and
        ``_backtest`` behind their names; ``whose`` says which of the two are there, ``entry_bp``
        and ``exit_bp`` by how many basis points the bot's price was worse (an exit on the same
        candle alone).
    """
    sides = [
        side.assign(nth=side.groupby(_KEY[:-1]).cumcount().astype(int)) for side in (bot, backtest)
    ]
    found = sides[0].merge(
        sides[1], on=_KEY, how="outer", suffixes=("_bot", "_backtest"), indicator="whose"
    )
    names = {"left_only": BOT, "right_only": BACKTEST}
    found["whose"] = found["whose"].astype(object).replace(names)
    sign = np.where(found["is_short"].astype(bool), -1, 1) * 1e4
    same = found["exit_candle_bot"] == found["exit_candle_backtest"]
    found["entry_bp"] = _points(sign * (found["entry_bot"] / found["entry_backtest"] - 1))
    worse = -sign * (found["exit_bot"] / found["exit_backtest"] - 1)
    found["exit_bp"] = _points(worse).where(same)
    return found.sort_values(["candle", "pair"], ignore_index=True)


def _points(differences: "pd.Series[float]") -> "pd.Series[float]":
    """Round basis points, without a minus before nothing."""
    return differences.astype(float).round(6) + 0.0


def causes(trades: DataFrame) -> dict[str, tuple[int, float]]:
    """Say what makes the bot's profit another one than the backtest's.

    :param trades: As of :func:`match`.
    :return: How many trades and how much money, by what it is; the money adds up to the difference
        of the two profits.
    """
    both = trades[trades["whose"] == BOTH]
    side = np.where(both["is_short"].astype(bool), -1, 1)
    bot, backtest = (
        both[
            [f"{name}_{whose}" for name in ("amount", "entry", "exit", "fees", "funding", "profit")]
        ]
        .set_axis(["amount", "entry", "exit", "fees", "funding", "profit"], axis=1)
        .astype(float)
        for whose in (BOT, BACKTEST)
    )
    ratio = bot["amount"] / backtest["amount"]
    exits = side * (bot["exit"] - backtest["exit"]) * bot["amount"]
    same = both["exit_bp"].notna()
    parts = {
        "entry prices": -side * (bot["entry"] - backtest["entry"]) * bot["amount"],
        "exit prices, on the same candle": exits[same],
        "exits on another candle": exits[~same],
        "fees": backtest["fees"] * ratio - bot["fees"],
        "funding": bot["funding"] - backtest["funding"] * ratio,
        "size of the position": backtest["profit"] * (ratio - 1),
    }
    # Positions that grow or shrink do not have one price each for entry and exit.
    rest = (
        bot["profit"]
        - backtest["profit"]
        - sum(part.reindex(both.index, fill_value=0.0) for part in parts.values())
    )
    parts["orders within a trade"] = rest.where(
        rest.abs() > _ROUNDING * bot["amount"] * bot["entry"], 0.0
    )
    alone = {
        f"trades of the {whose} alone": sign
        * trades.loc[trades["whose"] == whose, f"profit_{whose}"].astype(float)
        for whose, sign in ((BOT, 1), (BACKTEST, -1))
    }
    return {
        name: (int((part != 0).sum()), float(part.sum())) for name, part in (alone | parts).items()
    }


def why_missing(trade: Mapping[str, Any], other: Known, span: Span) -> str:
    """Say why a side lacks a trade that the other one made, as far as it can be told.

    :param trade: ``pair``, ``is_short``, ``candle`` and ``enter_tag``.
    :param other: The side that lacks it.
    """
    candle: Timestamp = trade["candle"]
    open_then = other.trades[
        (other.trades["candle"] <= candle) & (other.trades["exit_candle"] >= candle)
    ]
    held = open_then[open_then["pair"] == trade["pair"]]
    if len(held):
        since = held["candle"].iloc[0]
        side = "short" if held["is_short"].iloc[0] else "long"
        return f"the {other.name} was {side} in the pair, since {since:{TIME}}"
    if other.signals is not None:
        signals = other.signals.get((trade["pair"], trade["is_short"]))
        if signals is None or candle - span.step not in signals:
            by_hand = trade["enter_tag"] == "force_entry"
            return "entered by hand (force_entry)" if by_hand else f"the {other.name} had no signal"
    direction = "short" if trade["is_short"] else "long"
    for lock in other.locks:
        applies = lock.pair in (trade["pair"], "*") and lock.side in (direction, "*")
        if applies and lock.start < candle + span.step and lock.stop > candle:
            return f"the {other.name} had locked the pair ({lock.reason})"
    if 0 < other.max_open_trades <= len(open_then):
        return f"the {other.name} had no free slot (max_open_trades {other.max_open_trades:g})"
    return (
        f"signalled, but the {other.name} did not enter: an order that was not filled or was "
        f"refused, too little money, or not confirmed"
    )
