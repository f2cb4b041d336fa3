"""The routes of the replay exchange and their parameters, checked as Binance checks them."""

import json
from collections.abc import Callable, Sequence

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from freqai_lstm.replay.binance import payloads
from freqai_lstm.replay.binance.dialect import DIALECTS, Json, Limit
from freqai_lstm.replay.binance.parameters import BinanceError, asked_for, required, span
from freqai_lstm.replay.binance.signed import SignedApi
from freqai_lstm.replay.candles import TIMEFRAMES
from freqai_lstm.replay.faults.http import FaultInjector, add_control_routes
from freqai_lstm.replay.faults.plan import FaultPlan
from freqai_lstm.replay.feed import Feed, Span
from freqai_lstm.replay.market import Candles, Listing, PriceKind, TradingMode

_JSON = "application/json"
_FUNDING_RATES = Limit(100, range(1, 1001))


class RestApi:
    """The public endpoints, in the dialect of what the market trades."""

    def __init__(self, feed: Feed, plan: FaultPlan) -> None:
        self._feed = feed
        self._plan = plan
        self._dialect = DIALECTS[feed.trading_mode]

    async def ping(self) -> Response:
        return JSONResponse({})

    async def time(self, request: Request) -> Response:
        """Tell the real time, also for history: freqtrade compares it with its own clock."""
        offset_ms = self._plan.clock_offset_ms(request.url.path)
        return JSONResponse({"serverTime": self._feed.clock.server_ms() + offset_ms})

    async def exchange_info(self) -> Response:
        feed = self._feed
        server_ms = feed.clock.server_ms()
        info = payloads.exchange_info(feed.listings(), server_ms, feed.start_ms)
        return JSONResponse(self._dialect.fill("exchangeInfo", info))

    async def klines(self, request: Request) -> Response:
        listing, timeframe = self._listing(request), _timeframe(request)
        candles = self._candles(request, listing, "last", timeframe)
        return Response(payloads.price_klines(candles, timeframe, listing), media_type=_JSON)

    async def mark_price_klines(self, request: Request) -> Response:
        listing, timeframe = self._listing(request), _timeframe(request)
        candles = self._candles(request, listing, "mark", timeframe)
        return Response(payloads.mark_klines(candles, timeframe), media_type=_JSON)

    async def funding_rate(self, request: Request) -> Response:
        listing = self._listing(request)
        rates = self._feed.funding_rates(listing.symbol, span(request.query_params, _FUNDING_RATES))
        return JSONResponse(payloads.funding_rates(rates, listing))

    async def premium_index(self, request: Request) -> Response:

        def describe(feed: Feed, listing: Listing) -> Json:
            settled = feed.funding_rates(listing.symbol, Span(limit=1))
            return payloads.premium_index(feed, listing, settled)

        return self._tickers(request, "premiumIndex", describe)

    async def day_ticker(self, request: Request) -> Response:
        return self._tickers(request, "ticker/24hr", payloads.day_ticker)

    async def price_ticker(self, request: Request) -> Response:
        return self._tickers(request, "ticker/price", payloads.price_ticker)

    async def book_ticker(self, request: Request) -> Response:
        return self._tickers(request, "ticker/bookTicker", payloads.book_ticker)

    async def depth(self, request: Request) -> Response:
        listing = self._listing(request)
        levels = asked_for(request.query_params, self._dialect.book)
        if levels not in self._dialect.book.allowed:
            raise BinanceError(-4021, f"'{levels}' is not valid depth limit")
        book = payloads.order_book(self._feed, listing, levels)
        return JSONResponse(self._dialect.fill("depth", book))

    def _candles(
        self, request: Request, listing: Listing, price: PriceKind, timeframe: str
    ) -> Candles:
        rows = span(request.query_params, self._dialect.candles)
        candles = self._feed.candles(listing.symbol, price, timeframe, rows)
        now_ms, path = self._feed.now_ms(), request.url.path
        return self._plan.distort(candles, timeframe, now_ms, path=path, symbol=listing.symbol)

    def _listing(self, request: Request) -> Listing:
        (listing,) = self._listed([required(request.query_params, "symbol")])
        return listing

    def _listed(self, symbols: Sequence[str]) -> list[Listing]:
        listings = {listing.symbol: listing for listing in self._feed.listings()}
        if not listings.keys() >= set(symbols):
            raise BinanceError(-1121, "Invalid symbol.")
        return [listings[symbol] for symbol in symbols]

    def _tickers(
        self, request: Request, path: str, describe: Callable[[Feed, Listing], Json]
    ) -> Response:
        """Describe one listing, some, or all of them."""
        if "symbol" in request.query_params:
            ticker = describe(self._feed, self._listing(request))
            return JSONResponse(self._dialect.fill(path, ticker))
        some = _symbols(request)
        listings = self._feed.listings() if some is None else self._listed(some)
        tickers = [describe(self._feed, listing) for listing in listings]
        return JSONResponse([self._dialect.fill(path, ticker) for ticker in tickers])


def create_app(feed: Feed, plan: FaultPlan, signed: SignedApi | None = None) -> FastAPI:
    """Build the web application of the replay exchange.

    :param signed: The endpoints of the account, if there is one.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(FaultInjector, plan=plan)
    add_control_routes(app, feed, plan)
    api = RestApi(feed, plan)
    shared: dict[str, Callable[..., object]] = {
        "ping": api.ping,
        "time": api.time,
        "exchangeInfo": api.exchange_info,
        "klines": api.klines,
        "ticker/24hr": api.day_ticker,
        "ticker/price": api.price_ticker,
        "ticker/bookTicker": api.book_ticker,
        "depth": api.depth,
    }
    endpoints: dict[TradingMode, dict[str, Callable[..., object]]] = {
        "futures": {
            **{f"/fapi/v1/{path}": endpoint for path, endpoint in shared.items()},
            "/fapi/v1/markPriceKlines": api.mark_price_klines,
            "/fapi/v1/fundingRate": api.funding_rate,
            "/fapi/v1/premiumIndex": api.premium_index,
            "/fapi/v2/ticker/price": api.price_ticker,
        },
        "spot": {f"/api/v3/{path}": endpoint for path, endpoint in shared.items()},
    }
    for path, endpoint in endpoints[feed.trading_mode].items():
        app.add_api_route(path, endpoint)
    if signed is not None:
        signed.add_routes(app)

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, BinanceError):
            return error.response()
        status = error.status_code if isinstance(error, HTTPException) else 500
        message = f"Path {request.url.path}, Method {request.method} is invalid"
        return BinanceError(-5000, message, status=status).response()

    app.add_exception_handler(BinanceError, refuse)
    app.add_exception_handler(HTTPException, refuse)
    return app


def _timeframe(request: Request) -> str:
    timeframe = required(request.query_params, "interval")
    if timeframe not in TIMEFRAMES:
        raise BinanceError(-1120, "Invalid interval.")
    return timeframe


def _symbols(request: Request) -> list[str] | None:
    """Read the symbols that a JSON array asks for, as ccxt sends it for spot."""
    text = request.query_params.get("symbols")
    if text is None:
        return None
    try:
        symbols = json.loads(text)
    except json.JSONDecodeError:
        symbols = None
    if not (isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)):
        raise BinanceError(-1100, "Illegal characters found in parameter 'symbols'.")
    return symbols
