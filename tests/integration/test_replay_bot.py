"""A bot without dry-run against the replay exchange: orders, stops, funding."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Trade

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.orders import FillStyle
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.binance.overlay import replay_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.feed import Clock
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

PAIRS = ["BTC/USDT:USDT", "ADA/USDT:USDT"]
# A quarter of an hour before funding is settled.
START = datetime(2024, 1, 10, 7, 45, tzinfo=UTC)
CONFIG = {
    "initial_state": "running",
    "trading_mode": "futures",
    "margin_mode": "isolated",
    "stake_currency": "USDT",
    "stake_amount": 1000,
    "max_open_trades": 2,
    "exchange": {"pair_whitelist": PAIRS},
    "pairlists": [{"method": "StaticPairList"}],
    "entry_pricing": {"price_side": "same", "use_order_book": True, "order_book_top": 1},
    "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
    "order_types": {
        "entry": "limit",
        "exit": "limit",
        "stoploss": "market",
        "stoploss_on_exchange": True,
        "stoploss_on_exchange_interval": 20,
    },
}
STRATEGY = """
from freqtrade.strategy import IStrategy

class LongAndShort(IStrategy):
    timeframe = "1m"
    stoploss = -0.015
    minimal_roi = {"12": -1}
    can_short = True

    def leverage(self, pair, *args, **kwargs):
        return 5.0

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        side = "enter_short" if metadata["pair"].startswith("ADA") else "enter_long"
        dataframe[side] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    days = {"start_ms": parse_day_ms("20240109"), "end_ms": parse_day_ms("20240112")}
    market = SyntheticMarket(3, **days, base_timeframe="1m", pairs=PAIRS)
    terms = AccountTerms(Decimal(5000), FillStyle(2, partly=0.7, late_seconds=10.0))
    with (
        time_machine.travel(START, tick=False),
        ReplayServer(market, clock=Clock(is_live=True), terms=terms) as running,
    ):
        assert running.signed is not None
        overlay = replay_overlay(running.url, market, running.signed.credentials)
        overlay.pop("freqai")
        running.overlay = overlay
        yield running


@pytest.fixture
def bot(server: Any, tmp_path: Path) -> Iterator[FreqtradeBot]:
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "long_and_short.py").write_text(STRATEGY)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "overlay.json").write_text(json.dumps(server.overlay))
    arguments = {
        "config": [str(tmp_path / "config.json"), str(tmp_path / "overlay.json")],
        "user_data_dir": str(tmp_path),
        "strategy": "LongAndShort",
        "db_url": f"sqlite:///{tmp_path / 'trades.sqlite'}",
    }
    running = FreqtradeBot(Configuration(arguments, RunMode.LIVE).get_config())
    running.startup()
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


def gain_at_exchange(account: Account, trade: Trade) -> float:
    """What a trade's fills gained after fees, without funding."""
    by_id = {str(order.id): order for order in account.orders}
    by_id |= {str(stop.id): stop.order for stop in account.stops if stop.order is not None}
    orders = [by_id[order.order_id] for order in trade.orders if order.order_id in by_id]
    return float(sum(fill.realized - fill.fee for order in orders for fill in order.fills))


def test_bot_and_exchange_agree(server: ReplayServer, bot: FreqtradeBot) -> None:
    assert server.signed is not None
    account = server.signed.account
    with time_machine.travel(START, tick=False) as traveller:
        for _ in range(150):
            bot.process()
            assert held_by_bot() == pytest.approx(held_by_exchange(account))
            if has_done_all(account):
                break
            traveller.shift(20)
        closed = [trade for trade in Trade.get_trades().all() if not trade.is_open]
        for trade in closed:
            print(
                trade.id,
                trade.close_profit_abs,
                trade.funding_fees,
                gain_at_exchange(account, trade),
                [
                    (o.ft_order_side, o.ft_fee_base, o.price, o.average, o.filled)
                    for o in trade.orders
                ],
                trade.fee_open,
                trade.fee_close,
                trade.fee_open_cost,
                trade.fee_close_cost,
            )
            by_id = {str(order.id): order for order in account.orders}
            print(
                [
                    [
                        (float(f.price), float(f.quantity), f.is_maker)
                        for f in by_id[o.order_id].fills
                    ]
                    for o in trade.orders
                    if o.order_id in by_id
                ]
            )
    assert has_done_all(account)
    assert {trade.leverage for trade in closed} == {5.0}
    places = account.positions.values()
    assert {(place.leverage, place.is_isolated) for place in places} == {(5, True)}
    funding = [income for income in account.ledger.incomes if income.kind == "FUNDING_FEE"]
    assert sum(trade.funding_fees or 0.0 for trade in closed) == pytest.approx(
        float(sum(income.amount for income in funding))
    )
    for trade in closed:
        expected = gain_at_exchange(account, trade) + (trade.funding_fees or 0.0)
        assert trade.close_profit_abs == pytest.approx(expected, abs=1e-4)
