"""The signed endpoints of USD-M futures: the account, its orders and its stop orders."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.brackets import brackets, largest_notional
from freqai_lstm.replay.account.ledger import Income
from freqai_lstm.replay.account.orders import Fill, Order, StopOrder
from freqai_lstm.replay.account.refusals import RefusalError
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.binance import holdings
from freqai_lstm.replay.binance.dialect import Json, Limit, fill_form, load_forms
from freqai_lstm.replay.binance.order_requests import identity, one_of, order_request, stop_request
from freqai_lstm.replay.binance.parameters import (
    BinanceError,
    Parameters,
    required,
    span,
    whole_number,
)
from freqai_lstm.replay.binance.signing import Credentials
from freqai_lstm.replay.feed import Feed

Handler = Callable[[Parameters], Any]
Row = TypeVar("Row", Order, StopOrder, Fill, Income)

_FORMS = load_forms("account")
_ORDERS, _INCOMES = Limit(500, range(1, 1001)), Limit(100, range(1, 1001))
# At an address other than Binance's, ccxt does not look at these codes, but for words of Binance's.
_MESSAGES_FOR_CCXT = {
    -2019: "Account has insufficient balance for requested action.",
    -2021: "Order would trigger immediately.",
    -5022: "Order would immediately match and take.",
}
_INVALID_FOR_CCXT = (-2022, -4116, -4164)


class SignedApi:
    """The signed endpoints of a new account.

    :param feed: The market it trades on.
    :param terms: What it begins with.
    :ivar credentials: Who may ask.
    """

    def __init__(self, feed: Feed, terms: AccountTerms) -> None:
        self.account = Account(feed, terms)
        self.credentials = Credentials.made_up(terms.style.seed)

    def add_routes(self, app: FastAPI) -> None:
        """Add the endpoints to the web application."""
        routes: dict[str, dict[str, Handler]] = {
            "GET": {
                "v2/account": self.account_information,
                "v3/account": self.account_information,
                "v2/balance": self.balance,
                "v3/balance": self.balance,
                "v2/positionRisk": self.all_positions,
                "v3/positionRisk": self.positions,
                "v1/accountConfig": lambda parameters: _fill("accountConfig", {}),
                "v1/symbolConfig": self.symbol_settings,
                "v1/leverageBracket": self.leverage_brackets,
                "v1/positionSide/dual": lambda parameters: {"dualSidePosition": False},
                "v1/multiAssetsMargin": lambda parameters: {"multiAssetsMargin": False},
                "v1/order": self.order,
                "v1/openOrders": self.open_orders,
                "v1/allOrders": self.all_orders,
                "v1/algoOrder": self.stop_order,
                "v1/openAlgoOrders": self.open_stops,
                "v1/allAlgoOrders": self.all_stops,
                "v1/userTrades": self.trades,
                "v1/income": self.incomes,
            },
            "POST": {
                "v1/leverage": self.set_leverage,
                "v1/marginType": self.set_margin_type,
                "v1/order": self.place_order,
                "v1/algoOrder": self.place_stop,
            },
            "DELETE": {"v1/order": self.cancel_order, "v1/algoOrder": self.cancel_stop},
        }
        for method, handlers in routes.items():
            for path, handler in handlers.items():
                app.add_api_route(f"/fapi/{path}", self._checked(handler), methods=[method])

    def account_information(self, parameters: Parameters) -> Json:
        return _fill("account", holdings.account_information(self.account))

    def balance(self, parameters: Parameters) -> list[Json]:
        account = self.account
        rows = [holdings.asset(account, name) for name in account.ledger.balances]
        return [_fill("balance", row) for row in rows]

    def positions(self, parameters: Parameters) -> list[Json]:
        """Describe the positions, and the pairs that have orders."""
        rows = self._positions(parameters, list(self.account.positions))
        return [
            _fill("v3/positionRisk", row)
            for row in rows
            if float(row["positionAmt"]) or float(row["openOrderInitialMargin"])
        ]

    def all_positions(self, parameters: Parameters) -> list[Json]:
        """Describe the positions of all pairs, most of them empty."""
        symbols = [listing.symbol for listing in self.account.feed.listings()]
        rows = self._positions(parameters, symbols)
        return [_fill("v2/positionRisk", row) for row in rows]

    def symbol_settings(self, parameters: Parameters) -> list[Json]:
        """Describe what is set for each pair."""
        symbols = [listing.symbol for listing in self.account.feed.listings()]
        rows = self._positions(parameters, symbols)
        for row in rows:
            row["marginType"] = "ISOLATED" if row["isolated"] else "CROSSED"
            row["leverage"] = int(row["leverage"])
        return [_fill("symbolConfig", row) for row in rows]

    def leverage_brackets(self, parameters: Parameters) -> list[Json]:
        return [
            {"symbol": listing.symbol, "brackets": brackets(listing)}
            for listing in self.account.feed.listings()
            if parameters.get("symbol", listing.symbol) == listing.symbol
        ]

    def set_leverage(self, parameters: Parameters) -> Json:
        symbol = required(parameters, "symbol")
        required(parameters, "leverage")
        self.account.set_leverage(symbol, whole_number(parameters, "leverage"))
        position = self.account.position(symbol)
        largest = largest_notional(position.listing, position.leverage)
        return {"symbol": symbol, "leverage": position.leverage, "maxNotionalValue": str(largest)}

    def set_margin_type(self, parameters: Parameters) -> Json:
        isolated = one_of(parameters, "marginType", ("ISOLATED", "CROSSED"), -4049) == "ISOLATED"
        self.account.set_isolated(required(parameters, "symbol"), isolated)
        return {"code": 200, "msg": "success"}

    def place_order(self, parameters: Parameters) -> Json:
        return self._order(self.account.place(order_request(parameters)))

    def order(self, parameters: Parameters) -> Json:
        return self._order(self._find_order(parameters, -2013, "Order does not exist."))

    def cancel_order(self, parameters: Parameters) -> Json:
        order = self._find_order(parameters, -2011, "Unknown order sent.")
        self.account.cancel(order)
        return self._order(order)

    def open_orders(self, parameters: Parameters) -> list[Json]:
        return [self._order(order) for order in self.account.open_orders(parameters.get("symbol"))]

    def all_orders(self, parameters: Parameters) -> list[Json]:
        symbol, since = required(parameters, "symbol"), whole_number(parameters, "orderId", 0)
        orders = [
            order
            for order in self.account.orders
            if order.request.symbol == symbol and order.id >= since
        ]
        return [self._order(order) for order in _asked(orders, parameters, _ORDERS)]

    def place_stop(self, parameters: Parameters) -> Json:
        return self._stop(self.account.place_stop(stop_request(parameters)))

    def stop_order(self, parameters: Parameters) -> Json:
        return self._stop(self._find_stop(parameters, -2013, "Order does not exist."))

    def cancel_stop(self, parameters: Parameters) -> Json:
        stop = self._find_stop(parameters, -2011, "Unknown order sent.")
        self.account.cancel(stop)
        names = {"algoId": stop.id, "clientAlgoId": stop.name}
        return names | {"code": "200", "msg": "success"}

    def open_stops(self, parameters: Parameters) -> list[Json]:
        return [self._stop(stop) for stop in self.account.open_stops(parameters.get("symbol"))]

    def all_stops(self, parameters: Parameters) -> list[Json]:
        symbol = required(parameters, "symbol")
        stops = [stop for stop in self.account.stops if stop.request.order.symbol == symbol]
        return [self._stop(stop) for stop in _asked(stops, parameters, _ORDERS)]

    def trades(self, parameters: Parameters) -> list[Json]:
        listing = self.account.listing(required(parameters, "symbol"))
        order_id, since = (whole_number(parameters, name) for name in ("orderId", "fromId"))
        fills = [
            fill
            for fill in self.account.fills
            if fill.symbol == listing.symbol
            and order_id in (None, fill.order_id)
            and fill.id >= (since or 0)
        ]
        return [holdings.trade(fill, listing.quote) for fill in _asked(fills, parameters, _ORDERS)]

    def incomes(self, parameters: Parameters) -> list[Json]:
        symbol, kind = parameters.get("symbol"), parameters.get("incomeType")
        incomes = [
            income
            for income in self.account.ledger.incomes
            if symbol in (None, income.symbol) and kind in (None, income.kind)
        ]
        return [holdings.income(income) for income in _asked(incomes, parameters, _INCOMES)]

    def _checked(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Let only the account's own requests through to a handler."""

        async def answer(request: Request) -> Response:
            parameters = self.credentials.check(
                request.headers.get("X-MBX-APIKEY", ""),
                request.url.query,
                (await request.body()).decode("utf-8", "replace"),
                self.account.feed.clock.server_ms(),
            )
            try:
                self.account.advance()
                return JSONResponse(handler(parameters))
            except RefusalError as refusal:
                code = refusal.code
                hint = {"filter": "PRICE_FILTER"} if code in _INVALID_FOR_CCXT else {}
                message = _MESSAGES_FOR_CCXT.get(code, refusal.message)
                raise BinanceError(code, message, fields=hint) from refusal

        return answer

    def _positions(self, parameters: Parameters, symbols: list[str]) -> list[Json]:
        account = self.account
        asked = [parameters["symbol"]] if "symbol" in parameters else symbols
        return [holdings.position(account, account.position(symbol)) for symbol in asked]

    def _order(self, order: Order) -> Json:
        return _fill("order", holdings.order(order))

    def _stop(self, stop: StopOrder) -> Json:
        return _fill("algoOrder", holdings.stop_order(stop))

    def _find_order(self, parameters: Parameters, code: int, message: str) -> Order:
        symbol = self.account.listing(required(parameters, "symbol")).symbol
        number, name = identity(parameters, "orderId", "origClientOrderId")
        for order in reversed(self.account.orders):
            if order.request.symbol == symbol and (order.id == number or order.name == name):
                return order
        raise BinanceError(code, message)

    def _find_stop(self, parameters: Parameters, code: int, message: str) -> StopOrder:
        number, name = identity(parameters, "algoId", "clientAlgoId")
        for stop in reversed(self.account.stops):
            if stop.id == number or stop.name == name:
                return stop
        raise BinanceError(code, message)


def _asked(rows: Sequence[Row], parameters: Parameters, limit: Limit) -> Sequence[Row]:
    """Choose the rows of the time that is asked for."""
    times = np.array([row.time_ms for row in rows], dtype=np.int64)
    return rows[span(parameters, limit).rows(times)]


def _fill(path: str, values: Json) -> Json:
    return fill_form(_FORMS[path], values)
