"""The real ccxt sends signed orders to the replay exchange."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.orders import FillStyle
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.binance.overlay import replay_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.faults.plan import Fault
from freqai_lstm.replay.feed import Clock
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

NOW_S = parse_day_ms("20240110") / 1000 + 23_000
BTC, DOT = "BTC/USDT:USDT", "DOT/USDT:USDT"


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    days = {"start_ms": parse_day_ms("20240101"), "end_ms": parse_day_ms("20240115")}
    return SyntheticMarket(3, **days, base_timeframe="1m", pairs=[BTC, DOT])


class StillClock:
    """The time of this process, which stands still but for its shifts."""

    now = NOW_S

    def shift(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def one_clock() -> Iterator[StillClock]:
    still = StillClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: still.now)
        patch.setattr("time.time_ns", lambda: round(still.now * 1e9))
        yield still


@pytest.fixture(scope="module")
def one_server(market: SyntheticMarket, one_clock: StillClock) -> Iterator[ReplayServer]:
    with ReplayServer(market, clock=Clock(is_live=True), terms=AccountTerms()) as running:
        yield running


@pytest.fixture(scope="module")
def exchange(one_server: ReplayServer, market: SyntheticMarket) -> Iterator[ccxt.binance]:
    connected = connect(one_server, market)
    yield connected
    connected.session.close()


@pytest.fixture
def clock(one_clock: StillClock) -> StillClock:
    one_clock.now = NOW_S
    return one_clock


@pytest.fixture(autouse=True)
def server(one_server: ReplayServer, clock: StillClock) -> ReplayServer:
    """The server, with an account that nothing has happened to."""
    assert one_server.signed is not None
    one_server.signed.account = Account(one_server.signed.account.feed, AccountTerms())
    return one_server


def connect(server: ReplayServer, market: SyntheticMarket, **changes: str) -> ccxt.binance:
    """Connect as freqtrade does."""
    assert server.signed is not None
    overlay = replay_overlay(server.url, market, server.signed.credentials)
    assert overlay["dry_run"] is False
    section = overlay["exchange"]
    config = section["ccxt_config"]
    config["options"]["defaultType"] = "swap"
    keys = {"apiKey": section["key"], "secret": section["secret"], **changes}
    connected = ccxt.binance({**config, **keys, "timeout": 5_000})
    connected.load_markets()
    return connected


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"secret": "wrong"}, -1022), ({"apiKey": "short"}, -2014), ({"apiKey": "0" * 64}, -2015)],
    ids=["secret", "format", "key"],
)
def test_others_are_refused(
    server: ReplayServer, market: SyntheticMarket, changes: dict[str, str], code: int
) -> None:
    other = connect(server, market, **changes)
    asks: list[Callable[[], object]] = [
        other.fetch_balance,
        lambda: other.create_order(BTC, "market", "buy", 0.1),
    ]
    for ask in asks:
        with pytest.raises(ccxt.AuthenticationError, match=f'"code":{code}'):
            ask()
    other.session.close()
    assert server.signed is not None
    assert server.signed.account.orders == []


def test_old_requests_are_refused(exchange: ccxt.binance, monkeypatch: pytest.MonkeyPatch) -> None:
    now = exchange.milliseconds()
    for late in (11_000, -1000):
        monkeypatch.setattr(exchange, "nonce", lambda sent=now - late: sent)
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            exchange.fetch_balance()
    monkeypatch.setattr(exchange, "nonce", lambda: now - 9_000)
    assert exchange.fetch_balance()["USDT"]["free"] == 10_000


def test_the_life_of_a_limit_order(exchange: ccxt.binance, clock: StillClock) -> None:
    price = exchange.fetch_ticker(BTC)["last"]
    limit = round(price * 0.999, 1)
    order = exchange.create_order(BTC, "limit", "buy", 0.1, limit, {"clientOrderId": "mine"})
    assert (order["status"], order["clientOrderId"], order["filled"]) == ("open", "mine", 0)
    assert [each["id"] for each in exchange.fetch_open_orders(BTC)] == [order["id"]]
    balance = exchange.fetch_balance()["USDT"]
    assert balance["total"] == 10_000
    assert balance["used"] == pytest.approx(limit * 0.1 / 20)
    for _ in range(600):
        clock.shift(60)
        order = exchange.fetch_order(order["id"], BTC)
        if order["status"] == "closed":
            break
    assert (order["status"], order["average"], order["filled"]) == ("closed", limit, 0.1)
    assert exchange.fetch_order(None, BTC, {"clientOrderId": "mine"})["id"] == order["id"]
    (trade,) = exchange.fetch_my_trades(BTC)
    assert (trade["order"], trade["takerOrMaker"], trade["price"]) == (order["id"], "maker", limit)
    assert trade["fee"] == {"currency": "USDT", "cost": pytest.approx(limit * 0.1 * 0.0002)}
    (position,) = exchange.fetch_positions([BTC])
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.1, limit)
    exchange.create_order(BTC, "market", "sell", 0.1, params={"reduceOnly": True})
    assert exchange.fetch_positions([BTC]) == []
    assert len(exchange.fetch_orders(BTC)) == 2


def test_an_order_is_cancelled_once(exchange: ccxt.binance) -> None:
    limit = exchange.fetch_ticker(BTC)["last"] * 0.96
    order = exchange.create_order(BTC, "limit", "buy", 0.1, limit)
    assert exchange.cancel_order(order["id"], BTC)["status"] == "canceled"
    assert exchange.fetch_order(order["id"], BTC)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        exchange.cancel_order(order["id"], BTC)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        exchange.fetch_order("999", BTC)


def test_a_stop_order_becomes_an_order(exchange: ccxt.binance, clock: StillClock) -> None:
    price = exchange.fetch_ticker(BTC)["last"]
    exchange.create_order(BTC, "market", "buy", 0.1)
    ids = {}
    for kind, level, limit in (("stop_market", 0.999, None), ("stop", 0.97, 0.96 * price)):
        params = {"stopPrice": round(price * level, 1), "reduceOnly": True}
        ids[kind] = exchange.create_order(BTC, kind, "sell", 0.1, limit, params)["id"]
    assert exchange.fetch_open_orders(BTC) == []
    stopped: dict[str, Any] = {"status": "open"}
    for _ in range(600):
        stopped = exchange.fetch_order(ids["stop_market"], BTC, {"stop": True})
        if stopped["status"] == "closed":
            break
        assert len(exchange.fetch_open_orders(BTC, params={"stop": True})) == 2
        clock.shift(60)
    assert stopped["triggerPrice"] == round(price * 0.999, 1)
    became = exchange.fetch_order(stopped["info"]["actualOrderId"], BTC)
    assert (became["type"], became["status"]) == ("market", "closed")
    assert became["average"] == stopped["triggerPrice"]
    assert exchange.fetch_positions([BTC]) == []
    exchange.cancel_order(ids["stop"], BTC, {"stop": True})
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        exchange.cancel_order(ids["stop"], BTC, {"stop": True})
    assert exchange.fetch_order(ids["stop"], BTC, {"stop": True})["status"] == "canceled"


def order(symbol: str = "BTCUSDT", kind: str = "market", amount: str = "0.1", **more: Any) -> Any:
    """An order as it is sent, without ccxt's rounding."""
    request = {"symbol": symbol, "type": kind.upper()}
    request |= {"side": "BUY", "quantity": amount, **more}
    return lambda exchange: exchange.fapiPrivatePostOrder(request)


@pytest.mark.parametrize(
    ("ask", "error", "code"),
    [
        (order(amount="0.10001"), ccxt.BadRequest, -1111),
        (order(kind="limit", price="40000.01"), ccxt.BadRequest, -1111),
        (order(amount="0.001"), ccxt.InvalidOrder, -4164),
        (order(amount="100"), ccxt.InsufficientFunds, -2019),
        (order("DOGEUSDT"), ccxt.BadSymbol, -1121),
        (order(reduceOnly="true"), ccxt.InvalidOrder, -2022),
        (order(kind="stop_market", stopPrice="1"), ccxt.ExchangeError, -4120),
        (order(kind="limit"), ccxt.BadRequest, -1102),
        (lambda exchange: exchange.set_leverage(100, DOT), ccxt.BadRequest, -4028),
        (
            lambda exchange: exchange.create_order(
                BTC, "stop_market", "sell", 0.1, params={"stopPrice": 1e6}
            ),
            ccxt.OrderImmediatelyFillable,
            -2021,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_rejections_are_those_of_ccxt(
    exchange: ccxt.binance, ask: Any, error: type[Exception], code: int
) -> None:
    # These ccxt reads by Binance's words only.
    words = {-2019: "insufficient balance", -2021: "would trigger immediately"}
    with pytest.raises(error, match=words.get(code, f'"code":{code}')):
        ask(exchange)


def test_a_name_is_given_to_one_open_order(exchange: ccxt.binance) -> None:
    limit = exchange.fetch_ticker(BTC)["last"] * 0.96
    arguments = (BTC, "limit", "buy", 0.1, limit, {"clientOrderId": "mine"})
    exchange.create_order(*arguments)
    with pytest.raises(ccxt.InvalidOrder, match="-4116"):
        exchange.create_order(*arguments)
    assert len(exchange.fetch_open_orders(BTC)) == 1


def test_an_answer_is_lost(server: ReplayServer, exchange: ccxt.binance) -> None:
    limit = exchange.fetch_ticker(BTC)["last"] * 0.96
    server.faults.add(Fault("lost_answer", path="v1/order", method="POST", seconds=0.0))
    with pytest.raises(ccxt.NetworkError):
        exchange.create_order(BTC, "limit", "buy", 0.1, limit)
    [order] = exchange.fetch_open_orders(BTC)
    exchange.cancel_order(order["id"], BTC)
    server.faults.clear()
    assert exchange.fetch_open_orders(BTC) == []


def test_leverage_and_margin_mode(exchange: ccxt.binance) -> None:
    tiers = exchange.fetch_leverage_tiers()
    assert tiers[DOT][0]["maxLeverage"] == 75
    exchange.set_leverage(3, DOT)
    exchange.set_margin_mode("isolated", DOT)
    told = exchange.fetch_leverage(DOT)
    assert (told["longLeverage"], told["shortLeverage"], told["marginMode"]) == (3, 3, "isolated")
    with pytest.raises(ccxt.MarginModeAlreadySet):
        exchange.set_margin_mode("isolated", DOT)
    exchange.create_order(DOT, "market", "sell", 100)
    (position,) = exchange.fetch_positions([DOT], {"useV2": True})
    assert (position["leverage"], position["marginMode"], position["side"]) == (
        3,
        "isolated",
        "short",
    )
    assert position["liquidationPrice"] > 1.2 * position["entryPrice"]
    (position,) = exchange.fetch_positions([DOT])
    assert position["initialMargin"] == pytest.approx(position["notional"] / 3, rel=1e-6)
    with pytest.raises(ccxt.OperationRejected, match="-4048"):
        exchange.set_margin_mode("cross", DOT)


def test_funding_is_booked(
    exchange: ccxt.binance, clock: StillClock, market: SyntheticMarket
) -> None:
    since = exchange.milliseconds()
    exchange.create_order(BTC, "market", "buy", 0.1)
    clock.shift(18 * 3600)
    paid = exchange.fetch_funding_history(BTC, since)
    rates = market.funding_rates("BTCUSDT")
    marks = market.candles("BTCUSDT", "mark", "1m")
    assert len(paid) == 3
    assert [exchange.iso8601(fee["timestamp"])[11:16] for fee in paid] == [
        "08:00",
        "16:00",
        "00:00",
    ]
    for fee in paid:
        rate = rates.rate[rates.time_ms == fee["timestamp"]][0]
        mark = marks.open[marks.open_ms == fee["timestamp"]][0]
        assert fee["amount"] == pytest.approx(-0.1 * mark * rate, rel=1e-4)
    total = exchange.fetch_balance()["USDT"]["total"]
    (position,) = exchange.fetch_positions([BTC])
    expected = 10_000 + position["unrealizedPnl"] + sum(fee["amount"] for fee in paid)
    assert total == pytest.approx(expected - position["entryPrice"] * 0.1 * 0.0005)


def test_orders_fill_in_parts(market: SyntheticMarket, clock: StillClock) -> None:
    terms = AccountTerms(Decimal(20_000), FillStyle(4, partly=1.0))
    with ReplayServer(market, clock=Clock(is_live=True), terms=terms) as server:
        exchange = connect(server, market)
        limit = exchange.fetch_ticker(BTC)["last"] * 1.001
        order = exchange.create_order(BTC, "limit", "buy", 0.1, limit)
        assert order["status"] == "open"
        assert 0 < order["filled"] < 0.1
        clock.shift(3600)
        assert exchange.fetch_order(order["id"], BTC)["status"] == "closed"
        assert len(exchange.fetch_my_trades(BTC)) >= 2
        exchange.session.close()
