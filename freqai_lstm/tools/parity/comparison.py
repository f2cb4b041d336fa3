"""The trades of a bot against those of a backtest: by pair, by cause, one by one and over time."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from freqtrade.constants import DEFAULT_DB_DRYRUN_URL, DEFAULT_DB_PROD_URL
from pandas import DataFrame

from freqai_lstm.exceptions import ParityError
from freqai_lstm.tools.equity import marked_to_market
from freqai_lstm.tools.parity.matching import BACKTEST, BOT, BOTH, Known, causes, match, why_missing
from freqai_lstm.tools.parity.retraded import Retraded, retrade
from freqai_lstm.tools.parity.trades import TIME, Span, is_there, read_bot, settled


@dataclass(frozen=True)
class PairTrades:
    """Trades of one pair, or of all.

    ``both`` were made by bot and backtest, ``bot`` and ``backtest`` by one of the two. ``entry_bp``
    and ``exit_bp`` say by how many basis points the bot's prices were worse, on average; exits on
    another candle (``apart``) are not in it. Fees and profits are in the stake currency.
    """

    pair: str
    both: int
    bot: int
    backtest: int
    entry_bp: float
    exit_bp: float
    apart: int
    fees_bot: float
    fees_backtest: float
    profit_bot: float
    profit_backtest: float


@dataclass(frozen=True)
class TradeComparison:
    """What a bot traded, and a backtest on the same predictions.

    :ivar trades: As of :func:`~freqai_lstm.tools.parity.matching.match`, with the reason why one
        of the two lacks a trade in ``why``.
    :ivar equity: Of both on every candle, in units of the start; columns ``bot``, ``backtest``.
    :ivar outside: Trades of the bot that were opened outside of the compared time.
    :ivar balance: The money at the start, in ``currency``.
    """

    span: Span
    trades: DataFrame
    equity: DataFrame
    outside: int
    balance: float
    currency: str

    @property
    def pairs(self) -> list[PairTrades]:
        """The pairs by name, and all of them if there are several."""
        found = [_of_pair(str(pair), rows) for pair, rows in self.trades.groupby("pair")]
        return [*found, _of_pair("All", self.trades)] if len(found) > 1 else found

    @property
    def causes(self) -> dict[str, tuple[int, float]]:
        """How many trades and how much money make the difference of the profits, by cause."""
        return causes(self.trades)


def _of_pair(pair: str, rows: DataFrame) -> PairTrades:
    counts = rows["whose"].value_counts()
    both = rows[rows["whose"] == BOTH]
    return PairTrades(
        pair=pair,
        both=int(counts.get(BOTH, 0)),
        bot=int(counts.get(BOT, 0)),
        backtest=int(counts.get(BACKTEST, 0)),
        entry_bp=float(both["entry_bp"].mean()),
        exit_bp=float(both["exit_bp"].mean()),
        apart=int(both["exit_bp"].isna().sum()),
        fees_bot=float(rows["fees_bot"].sum()),
        fees_backtest=float(rows["fees_backtest"].sum()),
        profit_bot=float(rows["profit_bot"].sum()),
        profit_backtest=float(rows["profit_backtest"].sum()),
    )


def database_url(config: Mapping[str, Any]) -> str:
    """Return where a bot with this configuration keeps its trades, as freqtrade does."""
    named = config.get("db_url")
    if config.get("dry_run", True):
        return DEFAULT_DB_DRYRUN_URL if named in (None, DEFAULT_DB_PROD_URL) else str(named)
    return str(named or DEFAULT_DB_PROD_URL)


def missing_database(config: Mapping[str, Any]) -> str | None:
    """Return freqtrade's own database if no other one is named and it is not there."""
    url = database_url(config)
    return url if not (config.get("db_url") or is_there(url)) else None


def compare_trades(
    args: argparse.Namespace, config: Mapping[str, Any], history: Mapping[str, DataFrame]
) -> TradeComparison:
    """Compare what a bot traded with a backtest on the predictions that it recorded.

    :param history: Rows that a model predicted live, by pair.
    :raises ParityError: If there is no database, or no trade to compare.
    :raises OperationalException: If the exchange cannot be reached, or candles are missing.
    """
    url = database_url(config)
    bot = read_bot(url, config["strategy"])
    again = retrade(args, history)
    span = again.span
    sides = {side.name: settled(side, span) for side in (bot, again.side)}
    inside = sides[BOT][span.holds(sides[BOT]["candle"])]
    if inside.empty and sides[BACKTEST].empty:
        raise ParityError(
            f"{url}: must hold a trade that was opened from {span.start:{TIME}} to "
            f"{span.stop:{TIME}}, when the bot's predictions were recorded, has none; nor "
            f"does a backtest trade then"
        )
    trades = match(inside, sides[BACKTEST])
    limit = again.max_open_trades
    known = {
        BACKTEST: Known(BACKTEST, sides[BACKTEST], again.side.locks, limit, again.signals),
        BOT: Known(BOT, sides[BOT], bot.locks, limit),
    }
    trades["why"] = [*_reasons(trades, known, span)]
    return TradeComparison(
        span=span,
        trades=trades,
        equity=DataFrame(
            {name: _equity(made[span.holds(made["candle"])], again) for name, made in sides.items()}
        ),
        outside=len(sides[BOT]) - len(inside),
        balance=again.balance,
        currency=again.currency,
    )


def _reasons(trades: DataFrame, known: Mapping[str, Known], span: Span) -> Iterator[str]:
    for trade in trades.to_dict("records"):
        if trade["whose"] == BOTH:
            yield ""
        else:
            other = known[BACKTEST if trade["whose"] == BOT else BOT]
            asked = {name: trade[name] for name in ("pair", "is_short", "candle")}
            yield why_missing(
                asked | {"enter_tag": trade[f"enter_tag_{trade['whose']}"]}, other, span
            )


def _equity(trades: DataFrame, again: Retraded) -> "pd.Series[float]":
    names = {"opened": "open_date", "closed": "close_date", "profit": "profit_abs"}
    return marked_to_market(trades.rename(columns=names), again.closes, again.balance)
