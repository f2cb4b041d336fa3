"""What the market does to an account: it fills orders, triggers stops, settles and liquidates."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from freqai_lstm.replay.account.orders import Fill, Order, OrderRequest, Side, StopOrder
from freqai_lstm.replay.account.positions import Position
from freqai_lstm.replay.account.refusals import RefusalError
from freqai_lstm.replay.account.state import TAKER_FEE, AccountState
from freqai_lstm.replay.feed import Span

MAKER_FEE = Decimal("0.0002")


class Event(NamedTuple):
    """Something that the market does; of several at one time, the first kind comes first."""

    time_ms: int
    kind: int
    id: int
    happen: Callable[[], None]


def next_event(state: AccountState, until_ms: int) -> Event | None:
    """Find what happens next to an account.

    :param until_ms: When to stop looking.
    """
    found = [*_settlements(state), *_liquidations(state), *_triggers(state), *_fills(state)]
    due = [event for event in found if event.time_ms <= until_ms]
    return min(due, key=lambda event: event[:3], default=None)


def end_order(state: AccountState, order: Order | StopOrder, status: str) -> None:
    """Let an order be open no more."""
    order.status, order.update_ms = status, state.time_ms
    if isinstance(order, Order):
        order.parts = []


def _settlements(state: AccountState) -> Iterator[Event]:
    for number, (symbol, position) in enumerate(state.positions.items()):
        if not position.amount:
            continue
        since_ms = max(position.update_ms, position.funded_ms) + 1
        rates = state.feed.funding_rates(symbol, Span(limit=1, start_ms=since_ms))
        for time_ms, rate in zip(rates.time_ms.tolist(), rates.rate.tolist(), strict=True):
            settle = partial(_settle, state, position, Decimal(str(rate)))
            yield Event(max(time_ms, state.time_ms), 0, number, settle)


def _settle(state: AccountState, position: Position, rate: Decimal) -> None:
    """Pay the holders of the other side, or be paid by them."""
    position.funded_ms = state.time_ms
    price = state.market_price(position.listing, "mark")
    amount = round(-position.amount * price * rate, 8)
    state.book("FUNDING_FEE", position, amount)
    if position.is_isolated:
        position.margin += amount


def _liquidations(state: AccountState) -> Iterator[Event]:
    for number, (symbol, position) in enumerate(state.positions.items()):
        level = state.liquidation_price(symbol)
        if level is None:
            continue
        time_ms = state.paths.of(symbol, "mark").first_reach(
            float(level), falls=position.amount > 0, since_ms=state.time_ms
        )
        if time_ms is not None:
            yield Event(time_ms, 1, number, partial(_liquidate, state, position))


def _liquidate(state: AccountState, position: Position) -> None:
    """Close a position whose margin is used up, as Binance does: its orders first."""
    symbol = position.listing.symbol
    for order in list(state.open_orders(symbol)):
        end_order(state, order, "EXPIRED")
    side: Side = "SELL" if position.amount > 0 else "BUY"
    name = f"autoclose-{state.time_ms}"
    quantity = abs(position.amount)
    order = state.add_order(OrderRequest(symbol, side, "MARKET", quantity, client_id=name), False)
    fill_order(state, order, quantity, state.market_price(position.listing))


def _triggers(state: AccountState) -> Iterator[Event]:
    for stop in state.open_stops():
        request = stop.request
        path = state.paths.of(request.order.symbol, "mark" if request.by_mark_price else "last")
        time_ms = path.first_reach(
            _level(state.position(request.order.symbol), request.trigger_price, request.falls),
            falls=request.falls,
            since_ms=state.time_ms,
        )
        if time_ms is not None:
            yield Event(time_ms, 2, stop.id, partial(_trigger, state, stop))


def _trigger(state: AccountState, stop: StopOrder) -> None:
    """Place the order of a stop, if the account can."""
    stop.trigger_ms = state.time_ms
    try:
        stop.order = state.accept(stop.request.order)
    except RefusalError:
        end_order(state, stop, "REJECTED")
    else:
        end_order(state, stop, "FINISHED")


def _fills(state: AccountState) -> Iterator[Event]:
    for order in state.open_orders():
        symbol, limit = order.request.symbol, order.request.price
        ready_ms = max(order.update_ms + order.parts[0].delay_ms, state.time_ms)
        path, time_ms = state.paths.of(symbol), None
        if limit is None:
            time_ms = ready_ms if path.at(ready_ms) is not None else None
        else:
            falls = order.request.side == "BUY"
            level = _level(state.position(symbol), limit, falls)
            time_ms = path.first_reach(level, falls=falls, since_ms=ready_ms)
        if time_ms is not None:
            yield Event(time_ms, 3, order.id, partial(_fill_part, state, order))


def _level(position: Position, price: Decimal, falls: bool) -> float:
    """Give the level of the path where a price is shown: half a tick before it."""
    half_tick = position.listing.tick_size / 2
    return float(price) + (half_tick if falls else -half_tick)


def _fill_part(state: AccountState, order: Order) -> None:
    """Fill the next part of an order, as far as there is a position to reduce."""
    request, position = order.request, state.position(order.request.symbol)
    quantity = order.parts.pop(0).quantity
    if request.reduce_only:
        quantity = min(quantity, max(Decimal(0), -request.sign * position.amount))
    price = state.market_price(position.listing)
    if request.price is not None and order.is_maker:
        price = request.price
    fill_order(state, order, quantity, price)
    # What is left of it waits in the book.
    order.is_maker = request.price is not None


def fill_order(state: AccountState, order: Order, quantity: Decimal, price: Decimal) -> None:
    """Fill an order by a quantity at a price, and book what follows."""
    request, position = order.request, state.position(order.request.symbol)
    realized = round(position.fill(request.sign * quantity, price, state.time_ms), 8)
    fee = round(quantity * price * (MAKER_FEE if order.is_maker else TAKER_FEE), 8)
    fill = Fill(
        len(state.fills) + 1,
        order.id,
        request.symbol,
        request.side,
        price,
        quantity,
        fee,
        realized,
        order.is_maker,
        state.time_ms,
    )
    state.fills.append(fill)
    order.fills.append(fill)
    state.book("REALIZED_PNL", position, realized, fill.id)
    state.book("COMMISSION", position, -fee, fill.id)
    order.status, order.update_ms = "PARTIALLY_FILLED", state.time_ms
    if order.filled == request.quantity:
        order.status = "FILLED"
    for other in list(state.open_orders(request.symbol)):
        if other.request.reduce_only and position.amount * other.request.sign >= 0:
            end_order(state, other, "EXPIRED")
