"""The endpoints over HTTP: parameters, limits, errors and documents."""

import numpy as np
import pytest
import requests
from replay_markets import day_of

from freqai_lstm.replay.candles import HOUR_MS, TIMEFRAMES, aggregate
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer


def get(server: ReplayServer, path: str, **params: object) -> requests.Response:
    return requests.get(f"{server.url}/fapi/{path}", params=params, timeout=10)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h", "1d", "1w", "1M"])
def test_klines_are_the_candles_of_the_market(
    server: ReplayServer, two_months: SyntheticMarket, timeframe: str
) -> None:
    rows = get(server, "v1/klines", symbol="BTCUSDT", interval=timeframe, limit=1500).json()
    expected = aggregate(two_months.candles("BTCUSDT", "last", "5m"), timeframe)[-1500:]
    assert [row[0] for row in rows] == expected.open_ms.tolist()
    for column, values in enumerate((expected.open, expected.high, expected.low, expected.close)):
        assert [float(row[column + 1]) for row in rows] == values.tolist()
    np.testing.assert_allclose([float(row[5]) for row in rows], expected.volume, atol=0.0005)
    assert all(len(row) == 12 for row in rows)
    assert rows[0][6] == rows[1][0] - 1
    for row in rows:
        assert float(row[3]) * 0.999 < float(row[7]) / float(row[5]) < float(row[2]) * 1.001


def test_mark_klines_are_the_mark_prices_of_the_market(
    server: ReplayServer, two_months: SyntheticMarket
) -> None:
    rows = get(server, "v1/markPriceKlines", symbol="ETHUSDT", interval="1h", limit=1500).json()
    expected = aggregate(two_months.candles("ETHUSDT", "mark", "5m"), "1h")
    assert [row[0] for row in rows] == expected.open_ms.tolist()
    assert [float(row[2]) for row in rows] == expected.high.tolist()
    assert [float(row[4]) for row in rows] == expected.close.tolist()
    assert {(row[5], row[8]) for row in rows} == {("0", 3600)}


@pytest.mark.parametrize(("limit", "count"), [(None, 500), (1, 1), (499, 499), (1500, 1500)])
def test_klines_come_500_at_a_time_or_as_many_as_asked_for(
    server: ReplayServer, limit: int | None, count: int
) -> None:
    rows = get(server, "v1/klines", symbol="BTCUSDT", interval="5m", limit=limit).json()
    assert len(rows) == count
    assert rows[-1][0] == day_of("20240301") - 300_000


def test_klines_from_a_start_are_the_oldest(server: ReplayServer) -> None:
    query = {"symbol": "BTCUSDT", "interval": "1h"}
    oldest = get(server, "v1/klines", **query, startTime=0, limit=2).json()
    assert [row[0] for row in oldest] == [day_of("20240101"), day_of("20240101") + HOUR_MS]
    start_ms = day_of("20240201")
    page = get(server, "v1/klines", **query, startTime=start_ms, endTime=start_ms + 3 * HOUR_MS)
    assert [row[0] for row in page.json()] == [start_ms + hour * HOUR_MS for hour in range(4)]
    before = get(server, "v1/klines", **query, endTime=start_ms, limit=2).json()
    assert [row[0] for row in before] == [start_ms - HOUR_MS, start_ms]
    assert get(server, "v1/klines", **query, startTime=day_of("20250101")).json() == []
    assert get(server, "v1/klines", **query, startTime="9" * 20).json() == []


def test_a_timeframe_that_is_too_short_has_no_candles(server: ReplayServer) -> None:
    assert get(server, "v1/klines", symbol="BTCUSDT", interval="1m").json() == []


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_every_timeframe_is_known(server: ReplayServer, timeframe: str) -> None:
    assert get(server, "v1/klines", symbol="BTCUSDT", interval=timeframe).status_code == 200


KLINES = {"symbol": "BTCUSDT", "interval": "1h"}


@pytest.mark.parametrize(
    ("path", "params", "code", "message"),
    [
        ("v1/klines", {"interval": "1h"}, -1102, "Mandatory parameter 'symbol' was not sent"),
        ("v1/klines", {**KLINES, "symbol": ""}, -1102, "Mandatory parameter 'symbol'"),
        ("v1/klines", {"symbol": "BTCUSDT"}, -1102, "Mandatory parameter 'interval' was not"),
        ("v1/klines", {**KLINES, "symbol": "NOPE"}, -1121, "Invalid symbol."),
        ("v1/klines", {**KLINES, "interval": "7h"}, -1120, "Invalid interval."),
        ("v1/klines", {**KLINES, "limit": 1501}, -1130, "Data sent for parameter 'limit' is"),
        ("v1/klines", {**KLINES, "limit": 0}, -1130, "Data sent for parameter 'limit' is not"),
        ("v1/klines", {**KLINES, "limit": "x"}, -1100, "Illegal characters found"),
        ("v1/klines", {**KLINES, "startTime": -5}, -1100, "legal range is '^[0-9]{1,20}$'."),
        ("v1/klines", {**KLINES, "startTime": "\u0661"}, -1100, "Illegal characters found"),
        ("v1/klines", {**KLINES, "startTime": 2, "endTime": 1}, -1023, "Start time is gre"),
        ("v1/markPriceKlines", {"symbol": "BTCUSDT"}, -1102, "Mandatory parameter 'interval'"),
        ("v1/fundingRate", {}, -1102, "Mandatory parameter 'symbol'"),
        ("v1/fundingRate", {"symbol": "BTCUSDT", "limit": 1001}, -1130, "'limit' is not"),
        ("v1/depth", {"symbol": "BTCUSDT", "limit": 7}, -4021, "'7' is not valid depth limit"),
        ("v1/premiumIndex", {"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ("v1/ticker/24hr", {"symbol": "NOPE"}, -1121, "Invalid symbol."),
    ],
)
def test_errors_are_those_of_binance(
    server: ReplayServer, path: str, params: dict[str, object], code: int, message: str
) -> None:
    answer = get(server, path, **params)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert message in answer.json()["msg"]


def test_an_unknown_path_is_refused(server: ReplayServer) -> None:
    answer = get(server, "v1/order")
    assert answer.status_code == 404
    assert answer.json() == {"code": -5000, "msg": "Path /fapi/v1/order, Method GET is invalid"}


def test_only_get_is_answered(server: ReplayServer) -> None:
    answer = requests.post(f"{server.url}/fapi/v1/klines", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (405, -5000)


def test_ping_and_time(server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(server, "v1/ping").json() == {}
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.25)
    assert get(server, "v1/time").json() == {"serverTime": 1_800_000_000_250}


def test_trading_rules(server: ReplayServer) -> None:
    info = get(server, "v1/exchangeInfo").json()
    bitcoin, ether = info["symbols"]
    assert (bitcoin["symbol"], ether["symbol"]) == ("BTCUSDT", "ETHUSDT")
    filters = {rule["filterType"]: rule for rule in bitcoin["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.1"
    assert filters["LOT_SIZE"]["stepSize"] == filters["LOT_SIZE"]["minQty"] == "0.001"
    assert filters["MIN_NOTIONAL"]["notional"] == "100"
    assert (bitcoin["contractType"], bitcoin["status"]) == ("PERPETUAL", "TRADING")
    assert bitcoin["deliveryDate"] == ether["deliveryDate"]
    assert bitcoin["onboardDate"] == day_of("20240101")


def test_funding_rates_are_those_of_the_market(
    server: ReplayServer, two_months: SyntheticMarket
) -> None:
    expected = two_months.funding_rates("ETHUSDT")
    rows = get(server, "v1/fundingRate", symbol="ETHUSDT", startTime=0, limit=1000).json()
    assert [row["fundingTime"] for row in rows] == expected.time_ms.tolist()
    assert [float(row["fundingRate"]) for row in rows] == expected.rate.tolist()
    newest = get(server, "v1/fundingRate", symbol="ETHUSDT").json()
    assert newest == rows[-100:]
    one = get(server, "v1/fundingRate", symbol="ETHUSDT", startTime=rows[3]["fundingTime"], limit=1)
    assert one.json() == [rows[3]]


def test_the_day_ticker_sums_up_the_last_24_hours(
    server: ReplayServer, two_months: SyntheticMarket
) -> None:
    day = two_months.candles("BTCUSDT", "last", "5m")[-288:]
    ticker = get(server, "v1/ticker/24hr", symbol="BTCUSDT").json()
    assert float(ticker["openPrice"]) == day.open[0]
    assert float(ticker["lastPrice"]) == day.close[-1]
    assert float(ticker["highPrice"]) == day.high.max()
    assert float(ticker["lowPrice"]) == day.low.min()
    assert float(ticker["volume"]) == pytest.approx(day.volume.sum(), abs=0.001)
    assert float(ticker["priceChange"]) == pytest.approx(day.close[-1] - day.open[0])
    assert day.low.min() < float(ticker["weightedAvgPrice"]) < day.high.max()
    assert get(server, "v1/ticker/24hr").json()[0] == ticker


def test_tickers_and_book_agree(server: ReplayServer) -> None:
    for symbol, tick in (("BTCUSDT", 0.1), ("ETHUSDT", 0.01)):
        last = float(get(server, "v2/ticker/price", symbol=symbol).json()["price"])
        best = get(server, "v1/ticker/bookTicker", symbol=symbol).json()
        book = get(server, "v1/depth", symbol=symbol, limit=1000).json()
        bids, asks = ([float(level[0]) for level in book[side]] for side in ("bids", "asks"))
        assert len(bids) == len(asks) == 1000
        assert [best["bidPrice"], best["bidQty"]] == book["bids"][0]
        assert [best["askPrice"], best["askQty"]] == book["asks"][0]
        assert asks[0] - bids[0] == pytest.approx(tick)
        assert bids[0] <= last <= asks[0]
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert all(float(level[1]) > 0 for side in ("bids", "asks") for level in book[side])
        mark = get(server, "v1/premiumIndex", symbol=symbol).json()
        assert float(mark["indexPrice"]) == last
        assert float(mark["markPrice"]) == pytest.approx(last, rel=0.002)
        assert mark["nextFundingTime"] == day_of("20240301") + 8 * HOUR_MS
        assert float(mark["lastFundingRate"]) == pytest.approx(0.0001, abs=0.0005)


def test_a_short_book_is_the_top_of_a_long_one(server: ReplayServer) -> None:
    short = get(server, "v1/depth", symbol="BTCUSDT", limit=5).json()
    long = get(server, "v1/depth", symbol="BTCUSDT").json()
    assert len(short["bids"]) == 5
    assert len(long["asks"]) == 500
    assert short["bids"] == long["bids"][:5]
    assert short["asks"] == long["asks"][:5]


def test_the_status_describes_the_market(server: ReplayServer) -> None:
    status = requests.get(f"{server.url}/replay/status", timeout=10).json()
    assert status == {
        "market": "2 pairs, 5m candles, 2024-01-01 to 2024-02-29",
        "live": False,
        "pairs": ["BTC/USDT:USDT", "ETH/USDT:USDT"],
        "starts": "2024-01-01T00:00:00+00:00",
        "now": "2024-03-01T00:00:00+00:00",
        "ends": "2024-03-01T00:00:00+00:00",
        "faults": [],
    }
