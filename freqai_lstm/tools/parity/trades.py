"""Trades of a bot and of a backtest in one form: what was filled, paid and made by a given time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.data.btanalysis import trade_list_to_dataframe
from freqtrade.enums import ExitType
from freqtrade.persistence import Trade
from freqtrade.persistence.models import PairLock
from pandas import DataFrame, Timestamp
from sqlalchemy import create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from freqai_lstm.exceptions import ParityError

TIME = "%Y-%m-%d %H:%M"
"""How the commands write opening times of candles."""

OPEN = "still open"
"""The exit reason of a trade that was not over when the compared time was."""

_COLUMNS = (
    *("pair", "is_short", "candle", "opened", "closed", "exit_candle", "is_open", "amount"),
    *("entry", "exit", "stake", "leverage", "fees", "funding", "profit", "enter_tag"),
    *("exit_reason", "fee_open", "orders"),
)
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Lock:
    """A time in which nothing could be entered.

    :param pair: ``*`` for all.
    :param side: ``long``, ``short``, or ``*`` for both.
    """

    pair: str
    side: str
    reason: str
    start: Timestamp
    stop: Timestamp


@dataclass(frozen=True)
class Side:
    """What the bot traded, or the backtest.

    :param name: ``bot`` or ``backtest``.
    :param trades: As freqtrade tells them, with all fields of their orders.
    """

    name: str
    trades: DataFrame
    locks: Sequence[Lock]

    @classmethod
    def of(cls, name: str, trades: Iterable[Any], locks: Iterable[Any]) -> "Side":
        """Take freqtrade's own trades and locks."""
        known = [
            Lock(lock.pair, lock.side, lock.reason or "", *map(_utc, times))
            for lock in locks
            if lock.active
            for times in [(lock.lock_time, lock.lock_end_time)]
        ]
        return cls(name, trade_list_to_dataframe(list(trades), minified=False), known)


def _utc(time: Any) -> Timestamp:
    stamp = Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def is_there(url: str) -> bool:
    """Tell whether there is a database; of one on a server that is not known before it is asked."""
    return not url.startswith(_SQLITE) or Path(url.removeprefix(_SQLITE)).is_file()


def read_bot(url: str, strategy: str) -> Side:
    """Read what a strategy traded from the database of a bot, which may be running.

    :param url: freqtrade's ``db_url``.
    :raises ParityError: If there is no such database, or no trade of the strategy in it.
    """
    if not is_there(url):
        raise ParityError(f"{url}: must be the bot's database (db_url, --db-url), was not found")
    try:
        # freqtrade's own way in changes tables and orders as it opens a database.
        engine = create_engine(url)
        with Session(engine) as session:
            of_strategy = select(Trade).filter(Trade.strategy == strategy).order_by(Trade.id)
            side = Side.of("bot", session.scalars(of_strategy), session.scalars(select(PairLock)))
            others = set(session.scalars(select(Trade.strategy).distinct()))
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ParityError(
            f"{url}: must be a database of freqtrade that can be read: {reason}"
        ) from error
    if side.trades.empty:
        known = f"those of {', '.join(map(str, others))}" if others else "none"
        raise ParityError(f"{url}: must hold trades of the strategy {strategy}, was {known}")
    return side


@dataclass(frozen=True)
class Span:
    """The time that is compared.

    :param start: The first candle on which both sides could enter.
    :param stop: The candle at whose open all that is open is valued.
    :param step: How long a candle is.
    :param prices: The price at ``stop`` by pair.
    """

    start: Timestamp
    stop: Timestamp
    step: pd.Timedelta
    prices: Mapping[str, float]

    def candle(self, time: Timestamp) -> Timestamp:
        """Return the opening time of the candle in which a time lies."""
        return time - (time - self.stop) % self.step

    def holds(self, candles: "pd.Series[Any]") -> "pd.Series[bool]":
        """Tell which candles both sides could enter on, and still exit after."""
        return (candles >= self.start) & (candles < self.stop)


def settled(side: Side, span: Span) -> DataFrame:
    """Return the trades of a side as they stood at the end of a time.

    A trade that was open then counts as if it had been closed at that price.

    :return: A row for each trade of which something was filled, by opening time.
    """
    rows = [_settled(trade, span) for trade in side.trades.to_dict("records")]
    frame = DataFrame([row for row in rows if row], columns=[*_COLUMNS])
    return frame.sort_values("opened", ignore_index=True)


def _settled(trade: Mapping[Any, Any], span: Span) -> dict[str, Any] | None:
    orders = [
        order | {"amount": order["filled"], "order_filled_timestamp": filled}
        for order in trade["orders"]
        if order["filled"]
        for filled in [order["order_filled_timestamp"] or order["order_timestamp"]]
        if filled <= span.stop.timestamp() * 1000
    ]
    entries = [order for order in orders if order["ft_is_entry"]]
    if not entries or trade["pair"] not in span.prices:
        return None
    exits = [order for order in orders if not order["ft_is_entry"]]
    side = -1 if trade["is_short"] else 1
    amount, bought = _sums(entries)
    gone, sold = _sums(exits)
    is_over = pd.notna(trade["close_date"]) and trade["close_date"] <= span.stop
    if not is_over:
        sold += (amount - gone) * span.prices[trade["pair"]]
    fees = trade["fee_open"] * bought + (trade["fee_close"] or 0.0) * sold
    funding = trade["funding_fees"] or 0.0
    profit = trade["profit_abs"] if is_over else side * (sold - bought) - fees + funding
    # A backtest closes what is open at its end.
    ended = is_over and trade["close_date"] == span.stop
    is_open = not is_over or (ended and trade["exit_reason"] == ExitType.FORCE_EXIT.value)
    closed = trade["close_date"] if is_over else span.stop
    left = sold / (gone if is_over else amount) if gone or not is_over else trade["close_rate"]
    return {
        "pair": trade["pair"],
        "is_short": bool(trade["is_short"]),
        "candle": span.candle(trade["open_date"]),
        "opened": pd.to_datetime(entries[0]["order_filled_timestamp"], unit="ms", utc=True),
        "closed": closed,
        "exit_candle": span.candle(closed),
        "is_open": is_open,
        "amount": amount,
        "entry": bought / amount,
        "exit": left,
        "stake": trade["stake_amount"],
        "leverage": trade["leverage"] or 1.0,
        "fees": fees,
        "funding": funding,
        "profit": profit,
        "enter_tag": trade["enter_tag"] or "",
        "exit_reason": OPEN if is_open else trade["exit_reason"],
        "fee_open": trade["fee_open"],
        "orders": orders,
    }


def _sums(orders: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the amount of orders and what it cost."""
    amount = sum(order["amount"] for order in orders)
    return amount, sum(order["amount"] * order["safe_price"] for order in orders)
