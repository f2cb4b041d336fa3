"""Trades of bot and backtest put beside each other, from trades whose difference is known."""

from typing import Any

import pandas as pd
import pytest

from freqai_lstm.tools.parity.matching import Known, causes, match, why_missing
from freqai_lstm.tools.parity.trades import OPEN, Lock, Side, Span, settled

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
HOUR = pd.Timedelta(hours=1)
START = pd.Timestamp("2024-03-01", tz="UTC")
SPAN = Span(START + HOUR, START + 10 * HOUR, HOUR, {BTC: 110.0, ETH: 50.0})


def at(hour: float) -> pd.Timestamp:
    return START + hour * HOUR


def order(hour: float, amount: float, price: float, *, entry: bool, **own: Any) -> dict[str, Any]:
    filled = int(at(hour).timestamp() * 1000)
    return {
        "filled": amount,
        "amount": amount,
        "safe_price": price,
        "ft_is_entry": entry,
        "order_timestamp": filled,
        "order_filled_timestamp": filled,
    } | own


def trade(orders: list[dict[str, Any]], **own: Any) -> dict[str, Any]:
    """Return a long trade as freqtrade tells it, closed if its last order is an exit."""
    is_over = not orders[-1]["ft_is_entry"]
    bought, sold = (
        sum(one["filled"] * one["safe_price"] for one in orders if one["ft_is_entry"] is entry)
        for entry in (True, False)
    )
    return {
        "pair": BTC,
        "is_short": False,
        "open_date": at((orders[0]["order_timestamp"] / 1000 - START.timestamp()) / 3600),
        "close_date": pd.Timestamp(orders[-1]["order_filled_timestamp"], unit="ms", tz="UTC")
        if is_over
        else pd.NaT,
        "close_rate": orders[-1]["safe_price"],
        "stake_amount": bought,
        "leverage": 1.0,
        "fee_open": 0.001,
        "fee_close": 0.001,
        "funding_fees": 0.0,
        "profit_abs": sold - bought - 0.001 * (bought + sold) if is_over else None,
        "enter_tag": None,
        "exit_reason": "roi" if is_over else None,
        "orders": orders,
    } | own


def simple(hour: float = 2, until: float = 5, **own: Any) -> dict[str, Any]:
    return trade([order(hour, 1, 100, entry=True), order(until, 1, 105, entry=False)], **own)


def side(*trades: dict[str, Any], name: str = "bot") -> pd.DataFrame:
    return settled(Side(name, pd.DataFrame(trades, columns=[*simple()]), []), SPAN)


def test_trade_that_is_over_is_what_freqtrade_booked() -> None:
    # An order a few seconds and a stop half an hour into a candle.
    [row] = side(simple(2.01, 5.5)).to_dict("records")
    assert (row["candle"], row["exit_candle"]) == (at(2), at(5))
    assert (row["entry"], row["exit"], row["amount"]) == (100, 105, 1)
    assert row["fees"] == pytest.approx(0.205)
    assert row["profit"] == pytest.approx(4.795)
    assert (row["exit_reason"], row["is_open"]) == ("roi", False)


@pytest.mark.parametrize("until", [None, 12])
def test_trade_that_was_open_is_valued_at_the_end(until: float | None) -> None:
    orders = [order(2, 2, 100, entry=True), order(4, 1, 105, entry=False)]
    orders += [order(until, 1, 500, entry=False)] if until else []
    close = pd.NaT if until is None else at(until)
    [row] = side(trade(orders, close_date=close, funding_fees=-0.5)).to_dict("records")
    assert (row["closed"], row["exit_reason"]) == (at(10), OPEN)
    assert row["fees"] == pytest.approx(0.001 * (200 + 105 + 110))
    assert row["profit"] == pytest.approx(105 + 110 - 200 - 0.415 - 0.5)
    assert len(row["orders"]) == 2


def test_what_a_backtest_closes_at_its_end_is_open() -> None:
    [row] = side(simple(2, 10, exit_reason="force_exit")).to_dict("records")
    assert row["exit_reason"] == OPEN
    [row] = side(simple(2, 9, exit_reason="force_exit")).to_dict("records")
    assert row["exit_reason"] == "force_exit"


def test_only_what_was_filled_counts() -> None:
    waiting = order(2, 0, 100, entry=True, order_filled_timestamp=None)
    assert side(trade([waiting])).empty
    # Of two, one was filled before the order was cancelled.
    part = order(2, 1, 100, entry=True) | {"amount": 2, "order_filled_timestamp": None}
    [row] = side(trade([part, order(5, 1, 105, entry=False)])).to_dict("records")
    assert (row["amount"], row["entry"]) == (1, 100)


def test_trades_belong_together_by_pair_side_and_candle() -> None:
    bot = side(simple(2.02), simple(6, 7), simple(6, 7, is_short=True), simple(8, 9, pair=ETH))
    backtest = side(simple(2), simple(6, 7), simple(7, 8, pair=ETH))
    found = match(bot, backtest)
    assert found["whose"].tolist() == ["both", "both", "bot", "backtest", "bot"]
    assert found["pair"].tolist() == [BTC, BTC, BTC, ETH, ETH]


@pytest.mark.parametrize("alone", ["bot", "backtest"])
def test_one_side_may_have_no_trade_at_all(alone: str) -> None:
    sides = {"bot": side(), "backtest": side(), alone: side(simple())}
    found = match(sides["bot"], sides["backtest"])
    assert found["whose"].tolist() == [alone]
    money = {name: part for name, (_, part) in causes(found).items() if part}
    sign = 1 if alone == "bot" else -1
    assert money == {f"trades of the {alone} alone": pytest.approx(sign * 4.795)}


@pytest.mark.parametrize("is_short", [False, True])
def test_worse_prices_are_positive_basis_points(is_short: bool) -> None:
    worse = -1 if is_short else 1
    orders = [
        order(2, 1, 100 * (1 + 0.001 * worse), entry=True),
        order(5, 1, 105 * (1 - 0.002 * worse), entry=False),
    ]
    found = match(side(trade(orders, is_short=is_short)), side(simple(is_short=is_short)))
    assert found[["entry_bp", "exit_bp"]].iloc[0].tolist() == pytest.approx([10, 20])
    later = [orders[0], order(6, 1, 90, entry=False)]
    found = match(side(trade(later, is_short=is_short)), side(simple(is_short=is_short)))
    assert found["exit_bp"].isna().all()


def test_causes_are_told_apart_and_add_up() -> None:
    grown = [order(6, 1, 100, entry=True), order(7, 1, 101, entry=True)]
    bot = side(
        trade([order(2, 2, 101, entry=True), order(5, 2, 104, entry=False)], fee_open=0.002),
        trade([*grown, order(9, 1, 108, entry=False), order(9.5, 1, 104, entry=False)], pair=ETH),
        simple(8, 9),
    )
    backtest = side(simple(2), simple(6, 8, pair=ETH), simple(1.0, 1.5))
    found = causes(match(bot, backtest))
    assert found["trades of the bot alone"] == (1, pytest.approx(4.795))
    assert found["trades of the backtest alone"] == (1, pytest.approx(-4.795))
    assert found["entry prices"] == (2, pytest.approx(-2 - 1))
    assert found["exit prices, on the same candle"] == (1, pytest.approx(-2))
    assert found["exits on another candle"] == (1, pytest.approx(2 * (106 - 105)))
    assert found["size of the position"] == (2, pytest.approx(2 * 4.795))
    total = bot["profit"].sum() - backtest["profit"].sum()
    assert sum(money for _, money in found.values()) == pytest.approx(total)


SIGNALS = {(BTC, False): pd.Index([at(2)])}
ASKED = {"pair": BTC, "is_short": False, "candle": at(3), "enter_tag": ""}


@pytest.mark.parametrize(
    ("asked", "trades", "locks", "limit", "why"),
    [
        ({}, [simple(1, 3.5)], [], 5, "the backtest was long in the pair, since 2024-03-01 01:00"),
        ({"candle": at(4)}, [], [], 5, "the backtest had no signal"),
        ({"is_short": True}, [], [], 5, "the backtest had no signal"),
        ({"candle": at(4), "enter_tag": "force_entry"}, [], [], 5, "entered by hand (force_entry)"),
        ({}, [], [Lock("*", "*", "Cooldown", at(2), at(5))], 5, "had locked the pair (Cooldown)"),
        ({}, [], [Lock(BTC, "short", "Cooldown", at(2), at(5))], 5, "signalled, but the backtest"),
        ({}, [], [Lock(BTC, "*", "Cooldown", at(1), at(3))], 5, "signalled, but the backtest"),
        ({}, [simple(1, 4, pair=ETH)], [], 1, "the backtest had no free slot (max_open_trades 1)"),
        ({}, [simple(1, 2, pair=ETH)], [], 1, "signalled, but the backtest did not enter"),
        ({}, [simple(1, 4, pair=ETH)], [], -1, "signalled, but the backtest did not enter"),
    ],
)
def test_reason_is_named(
    asked: dict[str, Any], trades: list[dict[str, Any]], locks: list[Lock], limit: int, why: str
) -> None:
    known = Known("backtest", side(*trades), locks, limit, SIGNALS)
    assert why in why_missing(ASKED | asked, known, SPAN)
