"""A bot without dry-run against the replay exchange: orders, stops, funding."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Trade, disable_database_use, enable_database_use

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.orders import Fill, FillStyle
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.binance.overlay import replay_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.feed import Clock
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

PAIRS = ["BTC/USDT:USDT", "ADA/USDT:USDT"]
# Ten minutes before funding is settled.
START = datetime(2024, 1, 10, 7, 50, tzinfo=UTC)
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
def server(tmp_path: Path) -> Iterator[ReplayServer]:
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
        (tmp_path / "overlay.json").write_text(json.dumps(overlay))
        yield running


@pytest.fixture
def bot(server: ReplayServer, tmp_path: Path) -> Iterator[FreqtradeBot]:
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "long_and_short.py").write_text(STRATEGY)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    arguments = {
        "config": [str(tmp_path / "config.json"), str(tmp_path / "overlay.json")],
        "user_data_dir": str(tmp_path),
        "strategy": "LongAndShort",
        "db_url": f"sqlite:///{tmp_path / 'trades.sqlite'}",
    }
    used_before = Trade.use_db
    # A backtest in the same process has switched the database off.
    enable_database_use()
    running = FreqtradeBot(Configuration(arguments, RunMode.LIVE).get_config())
    running.startup()
    yield running
    running.cleanup()
    if not used_before:
        disable_database_use(running.config["timeframe"])


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
