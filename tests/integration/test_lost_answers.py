"""A bot that is killed between an order and its answer, or whose connection breaks then."""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import time_machine
from freqtrade.exceptions import TemporaryError
from freqtrade.persistence import Order, Trade

from freqai_lstm.bridge import reconciliation
from freqai_lstm.bridge.strategy import ReconcilingStrategy
from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.orders import OrderRequest, Side
from freqai_lstm.replay.faults.plan import Fault
from tests.integration import order_bot
from tests.integration.order_bot import PAIRS
from tests.replay_server import ReplayServer

START = datetime(2024, 1, 10, 9, 0, tzinfo=UTC)
CONFIG = order_bot.CONFIG | {
    "unfilledtimeout": {"entry": 1, "exit": 1, "unit": "minutes"},
    "freqai": {
        "enabled": False,
        "identifier": "lost",
        "train_period_days": 1,
        "backtest_period_days": 1,
        "feature_parameters": {"include_timeframes": ["1m"], "include_corr_pairlist": []},
        "data_split_parameters": {},
    },
}


class Killed(BaseException):
    """What a process does not survive."""


class Moment(NamedTuple):
    """A request after which something happens.

    :param reduces: Whether its order reduces a position, if it sends one.
    """

    method: str
    path: str
    reduces: bool | None = None

    def is_that_of(self, method: str, url: str, body: str | None) -> bool:
        reduces = "reduceOnly=true" in (body or "")
        is_there = method == self.method and url.partition("?")[0].endswith(self.path)
        return is_there and self.reduces in (None, reduces)


ENTRY, EXIT = Moment("POST", "v1/order", reduces=False), Moment("POST", "v1/order", reduces=True)
STOP = Moment("POST", "v1/algoOrder")
CANCEL, CANCEL_STOP = Moment("DELETE", "v1/order"), Moment("DELETE", "v1/algoOrder")


class Bot:
    """A bot that can be killed when the exchange has answered a request.

    :param folder: Its user directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, "trades.sqlite"
        self.moment: Moment | None = None
        self.start()

    def start(self) -> None:
        self.running = order_bot.start_bot(self.folder, self.database)
        self._fetch = self.running.exchange._api.fetch
        self.running.exchange._api.fetch = self._answered

    def _answered(
        self, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        answer = self._fetch(url, method, headers, body)
        if self.moment and self.moment.is_that_of(method, url, body):
            raise Killed
        return answer

    def run_until_killed(self, moment: Moment, pause: Callable[[], None]) -> None:
        """Let it trade until that request is answered; what it knew then is gone."""
        self.moment = moment
        for _ in range(60):
            try:
                self.running.process()
            except Killed:
                break
            pause()
        else:
            raise AssertionError(f"there was no {moment}")
        self.moment = None
        Trade.rollback()
        self.running.cleanup()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what was said of orders and positions since the last time."""

    def messages() -> list[str]:
        records = [record for record in caplog.records if record.name == reconciliation.__name__]
        caplog.clear()
        return [record.getMessage() for record in records]

    return messages


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def server(tmp_path: Path, clock: Any) -> Iterator[ReplayServer]:
    with order_bot.order_exchange(tmp_path, partly=0.5) as running:
        yield running


@pytest.fixture
def account(server: ReplayServer) -> Account:
    assert server.signed is not None
    return server.signed.account


@pytest.fixture
def bot(server: ReplayServer, tmp_path: Path) -> Iterator[Bot]:
    (tmp_path / "models" / "lost").mkdir(parents=True)
    order_bot.write_project(tmp_path, CONFIG, ReconcilingStrategy, stoploss=-0.02, minutes=4)
    with order_bot.database_in_use():
        started = Bot(tmp_path)
        yield started
        started.running.cleanup()


def check_whole(account: Account) -> None:
    """Check that the bot knows all orders, stops and positions of the account, each once."""
    known = {order.order_id: order for trade in Trade.get_trades() for order in trade.orders}
    waiting = {str(order.id) for order in [*account.open_orders(), *account.open_stops()]}
    assert waiting == {number for number, order in known.items() if order.ft_is_open}
    for pair in PAIRS:
        symbol = pair.partition(":")[0].replace("/", "")
        assert len(list(account.open_orders(symbol))) <= 1
        assert len(list(account.open_stops(symbol))) <= 1
    became = {stop.order.id: stop.id for stop in account.stops if stop.order is not None}
    filled = {order.id for order in account.orders if order.fills}
    assert {str(became.get(number, number)) for number in filled} <= known.keys()
    held = dict.fromkeys(PAIRS, 0.0)
    for order in known.values():
        held[order.ft_pair] += order.safe_filled if order.side == "buy" else -order.safe_filled
    places = {place.listing.pair: float(place.amount) for place in account.positions.values()}
    assert held == pytest.approx({**dict.fromkeys(PAIRS, 0.0), **places})


def columns(row: Trade | Order) -> dict[str, Any]:
    """Return all that the database has of a trade or an order, but what it was before rounding."""
    before = {"amount_requested", "ft_amount"}
    names = [column.name for column in row.__table__.columns if column.name not in before]
    return {name: getattr(row, name) for name in names}


def test_killed_bot_knows_all_orders_again(account: Account, bot: Bot, clock: Any) -> None:
    rng = random.Random(16)

    def pause() -> None:
        clock.shift(rng.uniform(5.0, 30.0))

    for moment in (ENTRY, EXIT, STOP, CANCEL, CANCEL_STOP):
        bot.run_until_killed(moment, pause)
        pause()
        bot.start()
        bot.running.process()
        check_whole(account)
    assert {trade.is_short for trade in Trade.get_trades()} == {True, False}


def test_bot_whose_connection_breaks_goes_on(
    server: ReplayServer, account: Account, bot: Bot, clock: Any, said: Callable[[], list[str]]
) -> None:
    for moment, pairs, text in [
        (ENTRY, 2, r"order \d+ \((buy|sell) "),
        (STOP, 1, r"stop order \d+ \("),
        (EXIT, 1, r"order \d+ \((buy|sell) "),
    ]:
        fault = {"method": moment.method, "path": moment.path, "seconds": 0.0}
        server.faults.add(Fault("lost_answer", **fault))
        for _ in range(60):
            with suppress(TemporaryError):
                bot.running.process()
            if server.faults.describe()[0]["hits"]:
                break
            clock.shift(15)
        server.faults.clear()
        assert said() == []
        clock.shift(15)
        bot.running.process()
        messages = said()
        assert len(messages) >= pairs
        assert all(re.search(f": {text}.* was on the exchange and not known", m) for m in messages)
        check_whole(account)


def test_trade_that_is_handed_over_is_what_freqtrade_makes(
    server: ReplayServer, bot: Bot, clock: Any
) -> None:
    def first_trade() -> list[dict[str, Any]]:
        bot.running.process()
        clock.shift(60)
        bot.running.process()
        trade = Trade.get_trades([Trade.pair == PAIRS[0]]).first()
        return [columns(row) for row in (trade, *trade.orders)]

    expected = first_trade()
    bot.running.cleanup()
    clock.move_to(START)
    assert server.signed is not None
    account = server.signed.account
    server.signed.account = Account(account.feed, account.terms)
    bot.database = "again.sqlite"
    bot.start()
    bot.run_until_killed(ENTRY, lambda: None)
    bot.start()
    assert first_trade() == expected


def test_position_of_somebody_else_is_left_alone(
    account: Account, bot: Bot, clock: Any, said: Callable[[], list[str]]
) -> None:
    def trade_by_hand(side: Side) -> None:
        account.place(OrderRequest("BTCUSDT", side, "MARKET", Decimal("0.1")))
        clock.shift(120)

    def traded() -> set[str]:
        for _ in range(3):
            bot.running.process()
            clock.shift(15)
        return {trade.pair for trade in Trade.get_trades()}

    trade_by_hand("BUY")
    assert traded() == {"ADA/USDT:USDT"}
    [told] = said()
    assert told.startswith("BTC/USDT:USDT: the account holds 0.1, the open trades 0. Look at this")
    trade_by_hand("SELL")
    assert traded() == set(PAIRS)
    assert said() == []


def test_trade_that_was_closed_by_hand_is_over(account: Account, bot: Bot, clock: Any) -> None:
    bot.running.process()
    clock.shift(90)
    bot.running.process()
    [trade] = Trade.get_trades([Trade.pair == PAIRS[0]])
    amount = Decimal(str(trade.amount))
    account.place(OrderRequest("BTCUSDT", "SELL", "MARKET", amount, reduce_only=True))
    clock.shift(90)
    bot.running.process()
    assert (trade.is_open, trade.exit_reason) == (False, "sold_on_exchange")
    check_whole(account)
