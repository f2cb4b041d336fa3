"""What an account is at a moment: money, positions, orders, and what follows from them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count

from freqai_lstm.replay.account import checks
from freqai_lstm.replay.account.ledger import IncomeKind, Ledger
from freqai_lstm.replay.account.orders import Fill, FillStyle, Order, OrderRequest, Part, StopOrder
from freqai_lstm.replay.account.positions import Position
from freqai_lstm.replay.account.refusals import RefusalError
from freqai_lstm.replay.feed import Feed
from freqai_lstm.replay.market import Listing, PriceKind
from freqai_lstm.replay.path import PricePath

TAKER_FEE = Decimal("0.0005")
_ZERO = Decimal(0)


@dataclass(frozen=True)
class AccountTerms:
    """What an account begins with.

    :param deposit: How much of each quote coin there is.
    :param style: How orders are filled.
    """

    deposit: Decimal = Decimal(10_000)
    style: FillStyle = field(default_factory=FillStyle)


class Paths:
    """The paths of prices in a time, looked up once."""

    def __init__(self, feed: Feed, since_ms: int, until_ms: int) -> None:
        self._feed, self._span = feed, (since_ms, until_ms)
        self._known: dict[tuple[str, PriceKind], PricePath] = {}

    def of(self, symbol: str, price: PriceKind = "last") -> PricePath:
        key = symbol, price
        if key not in self._known:
            self._known[key] = self._feed.path(symbol, price, *self._span)
        return self._known[key]


class AccountState:
    """The state of an account.

    :param feed: The market it trades on.
    """

    def __init__(self, feed: Feed, terms: AccountTerms) -> None:
        self.feed, self.terms = feed, terms
        self.ledger = Ledger(dict.fromkeys(feed.quotes, terms.deposit))
        self.positions: dict[str, Position] = {}
        self.orders: list[Order] = []
        self.stops: list[StopOrder] = []
        self.fills: list[Fill] = []
        self.ids, self.time_ms = count(1), feed.now_ms()
        self.paths = Paths(feed, self.time_ms, self.time_ms)

    def listing(self, symbol: str) -> Listing:
        """Find a listed pair.

        :raises RefusalError: If there is no such pair.
        """
        for listing in self.feed.listings():
            if listing.symbol == symbol:
                return listing
        raise RefusalError(-1121, "Invalid symbol.")

    def position(self, symbol: str) -> Position:
        """Give the position of a pair, also where nothing is held."""
        if symbol not in self.positions:
            self.positions[symbol] = Position(self.listing(symbol))
        return self.positions[symbol]

    def open_orders(self, symbol: str | None = None) -> Iterator[Order]:
        """Give the open orders, of one pair or all."""
        for order in self.orders:
            if order.is_open and symbol in (None, order.request.symbol):
                yield order

    def open_stops(self, symbol: str | None = None) -> Iterator[StopOrder]:
        """Give the stop orders that wait, of one pair or all."""
        for stop in self.stops:
            if stop.is_open and symbol in (None, stop.request.order.symbol):
                yield stop

    def mark_price(self, symbol: str) -> Decimal:
        """Tell the mark price."""
        return Decimal(f"{self.feed.last_price(symbol, 'mark'):.8f}")

    def available(self, asset: str) -> Decimal:
        """Tell how much of a quote coin is free for new orders; below 0 if losses took more."""
        free = self.cross_balance(asset)
        for symbol, position in self.positions.items():
            if position.listing.quote != asset:
                continue
            free -= self.order_margin(symbol)
            if not position.is_isolated and position.amount:
                mark_price = self.mark_price(symbol)
                free += position.unrealized(mark_price) - position.initial_margin(mark_price)
        return free

    def cross_balance(self, asset: str) -> Decimal:
        """Tell how much of a quote coin is not put aside for isolated positions."""
        own = [held.margin for held in self.positions.values() if held.listing.quote == asset]
        return self.ledger.balances[asset] - sum(own, _ZERO)

    def order_margin(self, symbol: str, added: OrderRequest | None = None) -> Decimal:
        """Tell the margin of what a pair's orders could open, in the quote coin.

        :param added: An order to reckon with besides.
        """
        position = self.position(symbol)
        asked = [
            (order.request, order.request.quantity - order.filled)
            for order in self.open_orders(symbol)
        ]
        if added is not None:
            asked.append((added, added.quantity))
        asked = [(request, quantity) for request, quantity in asked if not request.reduce_only]
        if not asked:
            return _ZERO
        market_price = self.market_price(position.listing)
        margins = []
        for sign in (1, -1):
            notional, closing = _ZERO, max(_ZERO, -sign * position.amount)
            for request, quantity in asked:
                if request.sign != sign:
                    continue
                opened = max(_ZERO, quantity - closing)
                closing -= quantity - opened
                price = request.price or market_price
                notional += opened * (price if sign > 0 else max(price, market_price))
            margins.append(notional / position.leverage)
        return max(margins)

    def liquidation_price(self, symbol: str) -> Decimal | None:
        """Tell at which mark price a pair's position is liquidated, if at any.

        Other positions that share its margin count with what they were opened for.
        """
        position = self.position(symbol)
        asset = position.listing.quote
        return position.liquidation_price(
            position.margin if position.is_isolated else self.cross_balance(asset)
        )

    def market_price(self, listing: Listing, price: PriceKind = "last") -> Decimal:
        """Tell a price at the moment of the account; the last price is on a tick."""
        here = self.paths.of(listing.symbol, price).at(self.time_ms)
        if here is None:
            here = self.feed.last_price(listing.symbol, price)
        return Decimal(f"{here:.{8 if price == 'mark' else listing.price_decimals}f}")

    def book(
        self, kind: IncomeKind, position: Position, amount: Decimal, fill_id: int | None = None
    ) -> None:
        """Pay for a position, or be paid for it."""
        listing = position.listing
        self.ledger.book(kind, listing.symbol, listing.quote, amount, self.time_ms, fill_id)

    def accept(self, request: OrderRequest) -> Order:
        """Take an order whose own values are right.

        :raises RefusalError: If the account has not what it takes.
        """
        position = self.position(request.symbol)
        price = self.market_price(position.listing)
        checks.check_position(request, position, request.price or price)
        more = self.order_margin(request.symbol, request) - self.order_margin(request.symbol)
        if more:
            fee = request.quantity * (request.price or price) * TAKER_FEE
            if more + fee > self.available(position.listing.quote):
                raise RefusalError(-2019, "Margin is insufficient.")
        waits = request.price is not None and request.sign * (request.price - price) < 0
        return self.add_order(request, waits)

    def add_order(self, request: OrderRequest, waits: bool) -> Order:
        """Write an order down.

        :param waits: Whether it waits for its price.
        """
        number = next(self.ids)
        step = Decimal(1).scaleb(-self.position(request.symbol).listing.quantity_decimals)
        parts = self.terms.style.parts(number, request.quantity, step)
        if request.time_in_force == "IOC":
            parts[0] = replace(parts[0], delay_ms=0)
        elif request.time_in_force == "FOK":
            parts = [Part(request.quantity, 0)]
        order = Order(number, request, self.time_ms, parts, is_maker=waits)
        self.orders.append(order)
        return order
