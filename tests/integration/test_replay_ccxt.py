"""The real ccxt against the replay exchange."""

from collections.abc import Iterator

import ccxt
import pytest

from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import HOUR_MS, aggregate, parse_day_ms
from freqai_lstm.replay.faults.plan import Fault
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

PAIR = "BTC/USDT:USDT"
START_MS = parse_day_ms("20240101")


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(3, start_ms=START_MS, end_ms=parse_day_ms("20240301"))


@pytest.fixture(scope="module")
def server(market: SyntheticMarket) -> Iterator[ReplayServer]:
    with ReplayServer(market) as running:
        yield running


@pytest.fixture
def exchange(server: ReplayServer) -> Iterator[ccxt.binance]:
    config = exchange_overlay(server.url)["exchange"]["ccxt_config"]
    config["options"]["defaultType"] = "swap"
    connected = ccxt.binance({**config, "timeout": 5_000})
    connected.load_markets()
    yield connected
    server.faults.clear()
    connected.session.close()


def test_markets(exchange: ccxt.binance, market: SyntheticMarket) -> None:
    assert sorted(exchange.markets) == sorted(listing.pair for listing in market.listings)
    ether = exchange.market("ETH/USDT:USDT")
    assert ether["active"]
    assert ether["linear"]
    assert ether["type"] == "swap"
    assert ether["contractSize"] == 1
    assert ether["precision"]["price"] == 0.01
    assert ether["precision"]["amount"] == 0.001
    assert ether["limits"]["cost"]["min"] == 20
    assert exchange.price_to_precision(PAIR, 20_000.123) == "20000.1"


def test_candles_page_by_page(exchange: ccxt.binance, market: SyntheticMarket) -> None:
    expected = aggregate(market.candles("BTCUSDT", "last", "5m"), "15m")
    rows: list[list[float]] = []
    since = 0
    while page := exchange.fetch_ohlcv(PAIR, "15m", since=since, limit=700):
        assert len(page) <= 700
        rows += page
        since = int(page[-1][0]) + 1
    assert [row[0] for row in rows] == expected.open_ms.tolist()
    assert [row[2] for row in rows] == expected.high.tolist()
    assert [row[4] for row in rows] == expected.close.tolist()
    assert [row[5] for row in rows] == pytest.approx(expected.volume.tolist(), abs=0.001)


def test_mark_candles(exchange: ccxt.binance, market: SyntheticMarket) -> None:
    expected = aggregate(market.candles("BTCUSDT", "mark", "5m"), "1h")
    rows = exchange.fetch_mark_ohlcv(PAIR, "1h", limit=100)
    assert [row[0] for row in rows] == expected.open_ms[-100:].tolist()
    assert [row[4] for row in rows] == expected.close[-100:].tolist()


def test_funding_history(exchange: ccxt.binance, market: SyntheticMarket) -> None:
    expected = market.funding_rates("BTCUSDT")
    rates = exchange.fetch_funding_rate_history(PAIR, since=START_MS, limit=1000)
    assert [rate["timestamp"] for rate in rates] == expected.time_ms.tolist()
    assert [rate["fundingRate"] for rate in rates] == expected.rate.tolist()
    now = exchange.fetch_funding_rates([PAIR])[PAIR]
    assert now["fundingRate"] == expected.rate[-1]
    assert now["fundingTimestamp"] == market.end_ms + 8 * HOUR_MS
    assert now["markPrice"] == market.candles("BTCUSDT", "mark", "5m").close[-1]


def test_tickers_and_order_book(exchange: ccxt.binance, market: SyntheticMarket) -> None:
    last = market.candles("BTCUSDT", "last", "5m").close[-1]
    tickers = exchange.fetch_tickers()
    assert set(tickers) == set(exchange.markets)
    assert tickers[PAIR]["last"] == last
    assert tickers[PAIR]["quoteVolume"] > 1e8
    assert exchange.fetch_ticker(PAIR)["last"] == last
    best = exchange.fetch_bids_asks([PAIR])[PAIR]
    book = exchange.fetch_l2_order_book(PAIR, 20)
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
    exchange: ccxt.binance, server: ReplayServer, kind: str
) -> None:
    assert isinstance(exchange.fapiPublicGetTicker24hr(), list)
    server.faults.add(Fault(kind))
    assert isinstance(exchange.fapiPublicGetTicker24hr(), str)


def test_an_unlisted_symbol_is_refused(exchange: ccxt.binance) -> None:
    with pytest.raises(ccxt.BadSymbol, match="Invalid symbol"):
        exchange.fapiPublicGetTicker24hr({"symbol": "DOGEUSDT"})


def test_spot_is_not_served_and_not_looked_for_elsewhere(exchange: ccxt.binance) -> None:
    with pytest.raises(ccxt.ExchangeError, match="Path /api/v3/exchangeInfo"):
        exchange.publicGetExchangeInfo()
