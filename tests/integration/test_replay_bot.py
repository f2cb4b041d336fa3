"""A bot without dry-run against the replay exchange: orders, stops, funding."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.orders import Fill
from tests.integration import order_bot
from tests.replay_server import ReplayServer

# Ten minutes before funding is settled.
START = datetime(2024, 1, 10, 7, 50, tzinfo=UTC)
CONFIG = order_bot.CONFIG | {
    "exit_pricing": order_bot.CONFIG["exit_pricing"] | {"price_side": "other"}
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReplayServer]:
    with (
        time_machine.travel(START, tick=False),
        order_bot.order_exchange(tmp_path, partly=0.7) as running,
    ):
        yield running


@pytest.fixture
def bot(server: ReplayServer, tmp_path: Path) -> Iterator[FreqtradeBot]:
    order_bot.write_project(tmp_path, CONFIG, IStrategy, stoploss=-0.015, minutes=12)
    with order_bot.database_in_use():
        running = order_bot.start_bot(tmp_path)
        yield running
        running.cleanup()


def held_by_bot() -> dict[str, float]:
    held: dict[str, float] = {}
    for trade in Trade.get_trades().all():
        for order in trade.orders:
            sign = 1 if order.side == "buy" else -1
            held[trade.pair] = held.get(trade.pair, 0.0) + sign * (order.filled or 0.0)
    return {pair: amount for pair, amount in held.items() if abs(amount) > 1e-9}


def held_by_exchange(account: Account) -> dict[str, float]:
    return {
        position.listing.pair: float(position.amount)
        for position in account.positions.values()
        if position.amount
    }


def has_done_all(account: Account) -> bool:
    """Whether both sides were stopped or closed, an order filled in parts and funding settled."""
    closed = [trade for trade in Trade.get_trades().all() if not trade.is_open]
    reasons = {trade.exit_reason for trade in closed}
    return (
        {trade.is_short for trade in closed} == {True, False}
        and {"stoploss_on_exchange", "roi"} <= reasons
        and any(len(order.fills) > 1 for order in account.orders)
        and any(trade.funding_fees for trade in closed)
    )


def fills_of(account: Account, trade: Trade) -> list[list[Fill]]:
    """Give what each order of a trade was filled with."""
    orders = {str(order.id): order for order in account.orders}
    orders |= {str(stop.id): stop.order for stop in account.stops if stop.order is not None}
    return [orders[order.order_id].fills for order in trade.orders if order.order_id in orders]


def test_bot_and_exchange_agree(server: ReplayServer, bot: FreqtradeBot) -> None:
    assert server.signed is not None
    account = server.signed.account
    with time_machine.travel(START, tick=False) as traveller:
        for _ in range(100):
            bot.process()
            assert held_by_bot() == pytest.approx(held_by_exchange(account))
            if has_done_all(account):
                break
            traveller.shift(30)
    assert has_done_all(account)
    closed = [trade for trade in Trade.get_trades().all() if not trade.is_open]
    assert {trade.leverage for trade in closed} == {5.0}
    places = account.positions.values()
    assert {(place.leverage, place.is_isolated) for place in places} == {(5, True)}
    paid = [income.amount for income in account.ledger.incomes if income.kind == "FUNDING_FEE"]
    booked = sum(trade.funding_fees or 0.0 for trade in closed)
    assert booked == pytest.approx(float(sum(paid)))
    compared = 0
    for trade in closed:
        orders = fills_of(account, trade)
        gain = float(sum(fill.realized - fill.fee for fills in orders for fill in fills))
        # freqtrade does not weigh the fees of parts that cost differently.
        if all(len({fill.is_maker for fill in fills}) < 2 for fills in orders):
            compared += 1
            assert trade.close_profit_abs == pytest.approx(gain + trade.funding_fees, abs=1e-3)
    assert compared
