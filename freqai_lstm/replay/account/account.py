"""The account: takes orders, and lets happen to them what the market does."""

from freqai_lstm.replay.account import checks
from freqai_lstm.replay.account.happenings import end_order, next_event
from freqai_lstm.replay.account.orders import Order, OrderRequest, StopOrder, StopRequest
from freqai_lstm.replay.account.refusals import RefusalError
from freqai_lstm.replay.account.state import AccountState, Paths


class Account(AccountState):
    """An account of the replay exchange. Each request first lets the market catch up."""

    def advance(self) -> None:
        """Let happen what the market did since the last time."""
        now_ms = self.feed.now_ms()
        self.paths = Paths(self.feed, self.time_ms, now_ms)
        while (event := next_event(self, now_ms)) is not None:
            self.time_ms = event.time_ms
            event.happen()
        self.time_ms = now_ms

    def place(self, request: OrderRequest) -> Order:
        """Take an order.

        :raises RefusalError: If it cannot be taken.
        """
        self.advance()
        listing = self.listing(request.symbol)
        checks.check_precision(request, listing)
        checks.check_client_id(request.client_id, self.open_orders())
        price = self.market_price(listing)
        checks.check_notional(request, listing, price)
        checks.check_against_market(request, listing, price)
        order = self.accept(request)
        self.advance()
        if order.is_open and request.time_in_force in ("IOC", "FOK"):
            end_order(self, order, "EXPIRED")
        return order

    def place_stop(self, request: StopRequest) -> StopOrder:
        """Take a stop order.

        :raises RefusalError: If it cannot be taken, or the price is there already.
        """
        self.advance()
        order, listing = request.order, self.listing(request.order.symbol)
        checks.check_precision(order, listing)
        checks.check_price(request.trigger_price, listing)
        checks.check_client_id(order.client_id, self.open_stops())
        checks.check_notional(order, listing, request.trigger_price)
        price = self.market_price(listing, "mark" if request.by_mark_price else "last")
        if (price - request.trigger_price) * (1 if request.falls else -1) <= 0:
            raise RefusalError(-2021, "Order would immediately trigger.")
        stop = StopOrder(next(self.ids), request, self.time_ms)
        self.stops.append(stop)
        return stop

    def cancel(self, order: Order | StopOrder) -> None:
        """Cancel an order.

        :raises RefusalError: If it is not open.
        """
        self.advance()
        if not order.is_open:
            raise RefusalError(-2011, "Unknown order sent.")
        end_order(self, order, "CANCELED")

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of a pair.

        :raises RefusalError: If the pair does not have it, or its position does not allow it.
        """
        position = self.position(symbol)
        checks.check_leverage(leverage, position)
        position.leverage = leverage

    def set_isolated(self, symbol: str, isolated: bool) -> None:
        """Set the margin mode of a pair: isolated, or cross.

        :raises RefusalError: If it is that already, or the pair has a position or open orders.
        """
        self.advance()
        position = self.position(symbol)
        if position.is_isolated == isolated:
            raise RefusalError(-4046, "No need to change margin type.")
        if any(self.open_orders(symbol)) or any(self.open_stops(symbol)):
            raise RefusalError(-4047, "Margin type cannot be changed if there exists open orders.")
        if position.amount:
            raise RefusalError(-4048, "Margin type cannot be changed if there exists position.")
        position.is_isolated = isolated
