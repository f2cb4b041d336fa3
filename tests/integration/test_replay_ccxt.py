"""The real ccxt against the replay exchange."""

from collections.abc import Iterator

import ccxt
import pytest

from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import HOUR_MS, aggregate, parse_day_ms
from freqai_lstm.replay.faults.plan import Fault
from freqai_lstm.replay.market import TRADING_MODES, TradingMode
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

START_MS = parse_day_ms("20240101")

futures_only = pytest.mark.parametrize("trading_mode", ["futures"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=TRADING_MODES)
def trading_mode(request: pytest.FixtureRequest) -> TradingMode:
    mode: TradingMode = request.param
    return mode


@pytest.fixture(scope="module")
def market(trading_mode: TradingMode) -> SyntheticMarket:
    return SyntheticMarket(
        3, start_ms=START_MS, end_ms=parse_day_ms("20240301"), trading_mode=trading_mode
    )


@pytest.fixture(scope="module")
def pair(market: SyntheticMarket) -> str:
    """Bitcoin."""
    return market.listings[0].pair


@pytest.fixture(scope="module")
def server(market: SyntheticMarket) -> Iterator[ReplayServer]:
    with ReplayServer(market) as running:
        yield running


@pytest.fixture
def exchange(server: ReplayServer, trading_mode: TradingMode) -> Iterator[ccxt.binance]:
    config = exchange_overlay(server.url, trading_mode)["exchange"]["ccxt_config"]
    if trading_mode == "futures":
        # freqtrade adds it.
        config["options"]["defaultType"] = "swap"
    connected = ccxt.binance({**config, "timeout": 5_000})
    connected.load_markets()
    yield connected
    server.faults.clear()
    connected.session.close()


def test_markets(exchange: ccxt.binance, market: SyntheticMarket, pair: str) -> None:
    assert sorted(exchange.markets) == sorted(listing.pair for listing in market.listings)
    ether = exchange.market(market.listings[1].pair)
    assert ether["active"]
    assert ether["precision"]["price"] == 0.01
    assert ether["precision"]["amount"] == 0.001
    assert exchange.price_to_precision(pair, 20_000.123) == "20000.1"


def test_kinds_of_markets(exchange: ccxt.binance, trading_mode: TradingMode, pair: str) -> None:
    bitcoin = exchange.market(pair)
    expected = {"futures": ("swap", True, 1, 100), "spot": ("spot", None, None, 5)}
    found = bitcoin["type"], bitcoin["linear"], bitcoin["contractSize"]
    assert (*found, bitcoin["limits"]["cost"]["min"]) == expected[trading_mode]


def test_candles_page_by_page(exchange: ccxt.binance, market: SyntheticMarket, pair: str) -> None:
    expected = aggregate(market.candles("BTCUSDT", "last", "5m"), "15m")
    rows: list[list[float]] = []
    since = 0
    while page := exchange.fetch_ohlcv(pair, "15m", since=since, limit=700):
        assert len(page) <= 700
        rows += page
        since = int(page[-1][0]) + 1
    assert [row[0] for row in rows] == expected.open_ms.tolist()
    assert [row[2] for row in rows] == expected.high.tolist()
    assert [row[4] for row in rows] == expected.close.tolist()
    assert [row[5] for row in rows] == pytest.approx(expected.volume.tolist(), abs=0.001)


@futures_only
def test_mark_candles(exchange: ccxt.binance, market: SyntheticMarket, pair: str) -> None:
    expected = aggregate(market.candles("BTCUSDT", "mark", "5m"), "1h")
    rows = exchange.fetch_mark_ohlcv(pair, "1h", limit=100)
    assert [row[0] for row in rows] == expected.open_ms[-100:].tolist()
    assert [row[4] for row in rows] == expected.close[-100:].tolist()


@futures_only
def test_funding_history(exchange: ccxt.binance, market: SyntheticMarket, pair: str) -> None:
    expected = market.funding_rates("BTCUSDT")
    rates = exchange.fetch_funding_rate_history(pair, since=START_MS, limit=1000)
    assert [rate["timestamp"] for rate in rates] == expected.time_ms.tolist()
    assert [rate["fundingRate"] for rate in rates] == expected.rate.tolist()
    now = exchange.fetch_funding_rates([pair])[pair]
    assert now["fundingRate"] == expected.rate[-1]
    assert now["fundingTimestamp"] == market.end_ms + 8 * HOUR_MS
    assert now["markPrice"] == market.candles("BTCUSDT", "mark", "5m").close[-1]


def test_tickers_and_order_book(exchange: ccxt.binance, market: SyntheticMarket, pair: str) -> None:
    last = market.candles("BTCUSDT", "last", "5m").close[-1]
    tickers = exchange.fetch_tickers()
    assert set(tickers) == set(exchange.markets)
    assert tickers[pair]["last"] == last
    assert tickers[pair]["quoteVolume"] > 1e8
    assert exchange.fetch_ticker(pair)["last"] == last
    best = exchange.fetch_bids_asks([pair])[pair]
    book = exchange.fetch_l2_order_book(pair, 20)
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert (book["bids"][0][0], book["asks"][0][0]) == (best["bid"], best["ask"])
    assert best["bid"] <= last <= best["ask"]


def test_time(exchange: ccxt.binance) -> None:
    assert abs(exchange.fetch_time() - exchange.milliseconds()) < 2_000


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("http_5xx"), ccxt.OperationFailed),
        (Fault("http_429"), ccxt.DDoSProtection),
        (Fault("timeout", seconds=2), ccxt.RequestTimeout),
        (Fault("dropped"), ccxt.NetworkError),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_ccxt_reports_faults(
    exchange: ccxt.binance, server: ReplayServer, fault: Fault, error: type[Exception]
) -> None:
    exchange.timeout = 1_000
    server.faults.add(fault)
    with pytest.raises(error):
        exchange.fetch_tickers()
    server.faults.clear()
    assert exchange.fetch_tickers()


@pytest.mark.parametrize("kind", ["truncated_json", "malformed_json"])
def test_ccxt_cannot_read_broken_answers(
    exchange: ccxt.binance, server: ReplayServer, trading_mode: TradingMode, kind: str
) -> None:
    assert isinstance(day_ticker(exchange, trading_mode), list)
    server.faults.add(Fault(kind))
    assert isinstance(day_ticker(exchange, trading_mode), str)


def test_an_unlisted_symbol_is_refused(exchange: ccxt.binance, trading_mode: TradingMode) -> None:
    with pytest.raises(ccxt.BadSymbol, match="Invalid symbol"):
        day_ticker(exchange, trading_mode, symbol="DOGEUSDT")


def day_ticker(exchange: ccxt.binance, trading_mode: TradingMode, **params: str) -> object:
    """Ask without ccxt's reading of the answer."""
    if trading_mode == "spot":
        return exchange.publicGetTicker24hr(params)
    return exchange.fapiPublicGetTicker24hr(params)


def test_the_other_market_is_not_served_and_not_looked_for_elsewhere(
    exchange: ccxt.binance, trading_mode: TradingMode
) -> None:
    other: TradingMode = "futures" if trading_mode == "spot" else "spot"
    with pytest.raises(ccxt.ExchangeError, match=r"Path /f?api/v\d/ticker/24hr"):
        day_ticker(exchange, other)
