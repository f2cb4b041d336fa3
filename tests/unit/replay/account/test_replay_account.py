"""Orders, positions and money of the account, reckoned by hand."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay_markets import START_MS

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.orders import FillStyle, OrderRequest, StopRequest
from freqai_lstm.replay.account.refusals import RefusalError
from freqai_lstm.replay.candles import HOUR_MS
from freqai_lstm.replay.path import PricePath

Wait = Callable[[float, Account], None]
BTC = "BTCUSDT"


def buy(quantity: str, price: str | None = None, **values: Any) -> OrderRequest:
    limit = None if price is None else Decimal(price)
    kind = "MARKET" if price is None else "LIMIT"
    return OrderRequest(BTC, "BUY", kind, Decimal(quantity), limit, **values)


def sell(quantity: str, price: str | None = None, **values: Any) -> OrderRequest:
    limit = None if price is None else Decimal(price)
    kind = "MARKET" if price is None else "LIMIT"
    return OrderRequest(BTC, "SELL", kind, Decimal(quantity), limit, **values)


def balance(account: Account) -> Decimal:
    return account.ledger.balances["USDT"]


def refused(call: Callable[[], object]) -> int:
    with pytest.raises(RefusalError) as refusal:
        call()
    return refusal.value.code


def test_a_path_turns_at_the_extremes() -> None:
    path = PricePath(np.array([0.0, 30, 70, 100, 100, 130]), np.array([10.0, 8, 14, 12, 20, 18]))
    assert [path.at(time) for time in (0, 15, 30, 50, 85, 100, 115)] == [10, 9, 8, 11, 13, 20, 19]
    assert path.at(130) is path.at(-1) is None
    assert path.first_reach(9.0, falls=True, since_ms=0) == 15
    assert path.first_reach(11.0, falls=False, since_ms=0) == 50
    assert path.first_reach(11.0, falls=True, since_ms=20) == 20
    assert path.first_reach(15.0, falls=False, since_ms=20) == 100
    assert path.first_reach(21.0, falls=False, since_ms=0) is None
    assert path.first_reach(1.0, falls=True, since_ms=130) is None


def test_a_market_order_fills_at_once_and_costs_the_takers_fee(account: Account) -> None:
    order = account.place(buy("2"))
    assert (order.status, order.filled, order.cost) == ("FILLED", 2, 2000)
    assert balance(account) == 10_000 - Decimal("1")
    position = account.position(BTC)
    assert (position.amount, position.entry_price) == (2, 1000)


def test_a_limit_order_waits_for_its_price_and_costs_the_makers_fee(
    account: Account, wait: Wait
) -> None:
    order = account.place(buy("1", "985"))
    wait(0.2, account)
    assert order.status == "NEW"
    # 1000 falls to 980 in the first 0.3 hours, and is shown as 985 from 985.05 on.
    wait(0.3, account)
    assert order.status == "FILLED"
    (fill,) = order.fills
    assert fill.time_ms == pytest.approx(START_MS + 0.3 * HOUR_MS * 14.95 / 20, abs=1)
    assert (fill.price, fill.fee, fill.is_maker) == (985, Decimal("0.197"), True)


def test_a_limit_beyond_the_market_is_a_takers(account: Account) -> None:
    order = account.place(buy("1", "1010"))
    (fill,) = order.fills
    assert (fill.price, fill.fee, fill.is_maker) == (1000, Decimal("0.5"), False)


def test_profit_of_a_long_that_is_closed_in_two_steps(account: Account, wait: Wait) -> None:
    account.place(buy("2"))
    wait(0.7, account)
    account.place(sell("0.5"))
    wait(1, account)
    account.place(sell("1.5", reduce_only=True))
    # Bought at 1000, sold at 1040 and 1020, with fees of 0.05 %.
    assert [fill.realized for fill in account.fills] == [0, 20, 30]
    assert balance(account) == 10_000 + 50 - Decimal("1") - Decimal("0.26") - Decimal("0.765")
    assert account.position(BTC).amount == account.position(BTC).entry_price == 0


def test_a_short_that_is_turned_into_a_long(account: Account, wait: Wait) -> None:
    account.place(sell("1"))
    wait(0.3, account)
    account.place(buy("3"))
    position = account.position(BTC)
    assert account.fills[-1].realized == 20
    assert (position.amount, position.entry_price) == (2, 980)
    assert position.unrealized(Decimal(1000)) == 40


def test_margin_of_an_isolated_position(account: Account, wait: Wait) -> None:
    account.set_isolated(BTC, isolated=True)
    account.set_leverage(BTC, 10)
    account.place(buy("4"))
    position = account.position(BTC)
    assert position.margin == 400
    assert account.available("USDT") == 10_000 - 400 - 2
    # (margin + 0 - 4 * 1000) / (4 * 0.4 % - 4)
    assert account.liquidation_price(BTC) == pytest.approx(Decimal(3600) / Decimal("3.984"))
    account.place(sell("1"))
    assert position.margin == 300
    wait(0.7, account)
    account.place(sell("3"))
    assert position.margin == 0
    assert account.available("USDT") == balance(account) == 10_000 + 120 - Decimal("4.06")


def test_margin_of_a_cross_position_and_of_orders(account: Account, wait: Wait) -> None:
    account.set_leverage(BTC, 5)
    account.place(buy("5"))
    account.place(buy("2", "960"))
    account.place(sell("6", "1045"))
    wait(0.7, account)
    # Free: unrealized 5 * 40, less 5 * 1040 / 5, less the larger of 2 * 960 / 5 and 1 * 1045 / 5.
    assert account.available("USDT") == balance(account) + 200 - 1040 - 384


def test_an_isolated_position_is_liquidated_and_loses_little_more_than_its_margin(
    account: Account, wait: Wait
) -> None:
    account.set_isolated(BTC, isolated=True)
    account.set_leverage(BTC, 10)
    account.place(buy("4"))
    stop = account.place_stop(StopRequest(sell("4", reduce_only=True), Decimal("901")))
    waiting = account.place(buy("1", "905"))
    account.cancel(waiting)
    wait(2, account)
    order = account.orders[-1]
    assert order.request.client_id.startswith("autoclose-")
    assert account.fills[-1].price == Decimal("903.6")
    assert account.position(BTC).amount == 0
    assert 10_000 - balance(account) == pytest.approx(Decimal("385.6") + 2 + Decimal("1.8072"))
    assert stop.status == "REJECTED"


def test_reduce_only_reduces_and_nothing_more(account: Account, wait: Wait) -> None:
    assert refused(lambda: account.place(sell("1", reduce_only=True))) == -2022
    account.place(buy("1"))
    assert refused(lambda: account.place(buy("1", reduce_only=True))) == -2022
    first = account.place(sell("0.6", "1030", reduce_only=True))
    second = account.place(sell("0.6", "1035", reduce_only=True))
    third = account.place(sell("0.6", "1039", reduce_only=True))
    wait(0.7, account)
    assert [order.status for order in (first, second, third)] == ["FILLED", "EXPIRED", "EXPIRED"]
    assert [order.filled for order in (first, second, third)] == [Decimal("0.6"), Decimal("0.4"), 0]
    assert account.position(BTC).amount == 0


def test_a_stop_becomes_a_market_order_when_the_price_falls_to_it(
    account: Account, wait: Wait
) -> None:
    account.place(buy("1"))
    stop = account.place_stop(StopRequest(sell("1", reduce_only=True), Decimal("930")))
    wait(1.5, account)
    assert stop.is_open
    wait(1.8, account)
    assert stop.status == "FINISHED"
    assert stop.order is not None
    (fill,) = stop.order.fills
    assert (fill.price, fill.is_maker) == (930, False)
    # 1030 after 0.3 hours falls to 900 after 0.7, and is shown as 930 from 930.05 on.
    fell = (1.3 + 0.4 * 99.95 / 130) * HOUR_MS
    assert fill.time_ms == stop.trigger_ms == pytest.approx(START_MS + fell, abs=1)
    assert account.position(BTC).amount == 0


def test_a_stop_with_a_limit_waits_for_it(account: Account, wait: Wait) -> None:
    wait(1.7, account)
    account.place(sell("1"))
    # The fourth hour jumps over nothing: it rises from 950 to 1100.
    stop = account.place_stop(StopRequest(buy("1", "990"), Decimal("1000")))
    profit = account.place_stop(
        StopRequest(buy("1", "880"), Decimal("890"), takes_profit=True, by_mark_price=True)
    )
    wait(4, account)
    assert profit.is_open
    assert stop.order is not None
    assert stop.order.status == "NEW"
    account.cancel(profit)
    assert profit.status == "CANCELED"


def test_funding_is_paid_by_longs_on_what_they_hold(account: Account, wait: Wait) -> None:
    account.set_isolated(BTC, isolated=True)
    account.set_leverage(BTC, 5)
    account.place(buy("2"))
    margin = account.position(BTC).margin
    wait(7.9, account)
    assert not [income for income in account.ledger.incomes if income.kind == "FUNDING_FEE"]
    wait(9, account)
    wait(10, account)
    (paid,) = [income for income in account.ledger.incomes if income.kind == "FUNDING_FEE"]
    assert (paid.amount, paid.time_ms) == (-2 * 1080 * Decimal("0.002"), START_MS + 8 * HOUR_MS)
    assert account.position(BTC).margin == margin + paid.amount
    assert balance(account) == 10_000 - 1 + paid.amount


def test_orders_that_must_not_wait(account: Account) -> None:
    assert account.place(buy("1", "990", time_in_force="IOC")).status == "EXPIRED"
    assert account.place(buy("1", "990", time_in_force="FOK")).status == "EXPIRED"
    assert account.place(buy("1", "1000", time_in_force="FOK")).status == "FILLED"
    assert account.place(buy("1", "990", time_in_force="GTX")).status == "NEW"
    assert refused(lambda: account.place(buy("1", "1000", time_in_force="GTX"))) == -5022


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (buy("0"), -4003),
        (buy("0.0001"), -1111),
        (buy("1", "900.01"), -1111),
        (buy("1", "0"), -4001),
        (buy("0.1", "999"), -4164),
        (buy("1", "1050.1"), -4016),
        (sell("1", "949.9"), -4024),
        (OrderRequest("DOGEUSDT", "BUY", "MARKET", Decimal(1)), -1121),
        (buy("201"), -2019),
        (buy("1000000"), -2027),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_refused_orders_change_nothing(account: Account, request_: OrderRequest, code: int) -> None:
    assert refused(lambda: account.place(request_)) == code
    assert account.orders == []
    assert balance(account) == account.available("USDT") == 10_000


def test_a_client_names_open_orders_once(account: Account) -> None:
    first = account.place(buy("1", "990", client_id="mine"))
    assert refused(lambda: account.place(buy("1", "990", client_id="mine"))) == -4116
    account.cancel(first)
    assert refused(lambda: account.cancel(first)) == -2011
    assert account.place(buy("1", "990", client_id="mine")).is_open
    stop = StopRequest(sell("1", client_id="mine"), Decimal(950))
    account.place_stop(stop)
    assert refused(lambda: account.place_stop(stop)) == -4116


@pytest.mark.parametrize("request_", [sell("1"), buy("1")], ids=["sell", "buy"])
def test_a_stop_beyond_the_price_is_refused(account: Account, request_: OrderRequest) -> None:
    assert refused(lambda: account.place_stop(StopRequest(request_, Decimal(1000)))) == -2021
    assert refused(lambda: account.place_stop(StopRequest(buy("1"), Decimal("2000.01")))) == -1111


def test_leverage_and_margin_mode(account: Account) -> None:
    assert refused(lambda: account.set_leverage(BTC, 151)) == -4028
    assert refused(lambda: account.set_leverage(BTC, 0)) == -4028
    assert refused(lambda: account.set_isolated(BTC, isolated=False)) == -4046
    order = account.place(buy("1", "990"))
    assert refused(lambda: account.set_isolated(BTC, isolated=True)) == -4047
    account.cancel(order)
    account.set_isolated(BTC, isolated=True)
    account.place(buy("1"))
    assert refused(lambda: account.set_isolated(BTC, isolated=False)) == -4048
    assert refused(lambda: account.set_leverage(BTC, 19)) == -4161
    account.set_leverage(BTC, 21)
    assert account.position(BTC).leverage == 21


def test_orders_fill_in_parts_and_late(make_account: Callable[..., Account], wait: Wait) -> None:
    account = make_account(partly=1.0, late_seconds=30.0, seed=1)
    order = account.place(buy("1"))
    assert order.status == "NEW"
    seen = []
    for seconds in range(200):
        wait(seconds / 3600, account)
        seen.append((order.status, order.filled))
    assert [status for status, _ in dict.fromkeys(seen)][:2] == ["NEW", "PARTIALLY_FILLED"]
    assert seen[-1] == ("FILLED", 1)
    assert 2 <= len(order.fills) <= 3
    assert sum(fill.quantity for fill in order.fills) == 1


@given(st.integers(0, 99), st.integers(1, 999), st.integers(1, 9999))
def test_parts_are_the_whole(seed: int, order_id: int, steps: int) -> None:
    step = Decimal("0.001")
    style = FillStyle(seed, partly=0.5, late_seconds=9.0)
    parts = style.parts(order_id, steps * step, step)
    assert sum(part.quantity for part in parts) == steps * step
    assert all(part.quantity > 0 and part.quantity % step == 0 for part in parts)
    assert parts[0].delay_ms <= 60_000
    assert style.parts(order_id, steps * step, step) == parts


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.integers(100, 3000),
        st.none() | st.integers(8900, 11_100),
        st.booleans(),
        st.floats(0.01, 0.6),
    ),
    max_size=14,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS, st.booleans(), st.integers(0, 5), st.integers(1, 9))
def test_nothing_comes_from_nothing(
    make_account: Callable[..., Account],
    wait: Wait,
    actions: list[Any],
    isolated: bool,
    seed: int,
    looks: int,
) -> None:
    """The position is all fills, the equity what was paid in, traded and settled."""
    style = {"partly": 0.5, "late_seconds": 600.0, "seed": seed}
    # One account is looked at more often than the other, which changes nothing.
    ends = []
    for steps in (1, looks):
        account = make_account(**style)
        if isolated:
            account.set_isolated(BTC, isolated=True)
        time = 0.0
        for side, quantity, price, reduce_only, hours in actions:
            limit = None if price is None else Decimal(price) / 10
            kind = "MARKET" if price is None else "LIMIT"
            amount = Decimal(quantity) / 1000
            request = OrderRequest(BTC, side, kind, amount, limit, reduce_only=reduce_only)
            try:
                account.place(request)
                account.place_stop(StopRequest(request, Decimal(950 if side == "SELL" else 1050)))
            except RefusalError:
                pass
            for step in range(1, steps + 1):
                wait(time + hours * step / steps, account)
            time += hours
        sign = {"BUY": 1, "SELL": -1}
        held = sum((sign[fill.side] * fill.quantity for fill in account.fills), Decimal(0))
        position = account.position(BTC)
        assert position.amount == held
        assert (position.margin > 0) == (isolated and held != 0)
        spent = sum((sign[fill.side] * fill.quantity * fill.price for fill in account.fills), 0)
        fees = sum((fill.fee for fill in account.fills), Decimal(0))
        funding = sum(
            (each.amount for each in account.ledger.incomes if each.kind == "FUNDING_FEE"),
            Decimal(0),
        )
        equity = balance(account) + position.unrealized(Decimal(1000))
        expected = 10_000 - spent + held * 1000 - fees + funding
        assert equity == pytest.approx(expected, abs=Decimal("1e-6"))
        ends.append((balance(account), [(fill.time_ms, fill.price) for fill in account.fills]))
    assert ends[0] == ends[1]
