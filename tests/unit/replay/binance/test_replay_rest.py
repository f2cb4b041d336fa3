"""The endpoints over HTTP: candles, parameters, limits and errors."""

from collections.abc import Callable

import numpy as np
import pytest
import requests
from replay_markets import day_of

from freqai_lstm.replay.candles import HOUR_MS, TIMEFRAMES, aggregate
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

Ask = Callable[..., requests.Response]


@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h", "1d", "1w", "1M"])
def test_klines_are_the_candles_of_the_market(
    ask: Ask, two_months: SyntheticMarket, timeframe: str
) -> None:
    rows = ask("klines", symbol="BTCUSDT", interval=timeframe, limit=1000).json()
    expected = aggregate(two_months.candles("BTCUSDT", "last", "5m"), timeframe)[-1000:]
    assert [row[0] for row in rows] == expected.open_ms.tolist()
    for column, values in enumerate((expected.open, expected.high, expected.low, expected.close)):
        assert [float(row[column + 1]) for row in rows] == values.tolist()
    np.testing.assert_allclose([float(row[5]) for row in rows], expected.volume, atol=0.0005)
    assert all(len(row) == 12 for row in rows)
    assert rows[0][6] == rows[1][0] - 1
    for row in rows:
        assert float(row[3]) * 0.999 < float(row[7]) / float(row[5]) < float(row[2]) * 1.001


def test_mark_klines_are_the_mark_prices_of_the_market(
    ask_futures: Ask, two_months: SyntheticMarket
) -> None:
    rows = ask_futures("markPriceKlines", symbol="ETHUSDT", interval="1h", limit=1500).json()
    expected = aggregate(two_months.candles("ETHUSDT", "mark", "5m"), "1h")
    assert [row[0] for row in rows] == expected.open_ms.tolist()
    assert [float(row[2]) for row in rows] == expected.high.tolist()
    assert [float(row[4]) for row in rows] == expected.close.tolist()
    assert {(row[5], row[8]) for row in rows} == {("0", 3600)}


@pytest.mark.parametrize(("limit", "count"), [(None, 500), (1, 1), (499, 499), (1000, 1000)])
def test_klines_come_500_at_a_time_or_as_many_as_asked_for(
    ask: Ask, limit: int | None, count: int
) -> None:
    rows = ask("klines", symbol="BTCUSDT", interval="5m", limit=limit).json()
    assert len(rows) == count
    assert rows[-1][0] == day_of("20240301") - 300_000


def test_spot_cuts_what_futures_give_or_refuse(ask_futures: Ask, ask_spot: Ask) -> None:
    query = {"symbol": "BTCUSDT", "interval": "5m"}
    assert len(ask_futures("klines", **query, limit=1500).json()) == 1500
    assert ask_futures("klines", **query, limit=1501).status_code == 400
    assert len(ask_spot("klines", **query, limit=1501).json()) == 1000


def test_klines_from_a_start_are_the_oldest(ask: Ask) -> None:
    query = {"symbol": "BTCUSDT", "interval": "1h"}
    oldest = ask("klines", **query, startTime=0, limit=2).json()
    assert [row[0] for row in oldest] == [day_of("20240101"), day_of("20240101") + HOUR_MS]
    start_ms = day_of("20240201")
    page = ask("klines", **query, startTime=start_ms, endTime=start_ms + 3 * HOUR_MS)
    assert [row[0] for row in page.json()] == [start_ms + hour * HOUR_MS for hour in range(4)]
    before = ask("klines", **query, endTime=start_ms, limit=2).json()
    assert [row[0] for row in before] == [start_ms - HOUR_MS, start_ms]
    assert ask("klines", **query, startTime=day_of("20250101")).json() == []
    assert ask("klines", **query, startTime="9" * 20).json() == []


def test_a_timeframe_that_is_too_short_has_no_candles(ask: Ask) -> None:
    assert ask("klines", symbol="BTCUSDT", interval="1m").json() == []


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_every_timeframe_is_known(ask: Ask, timeframe: str) -> None:
    assert ask("klines", symbol="BTCUSDT", interval=timeframe).status_code == 200


def assert_refused(answer: requests.Response, code: int, message: str) -> None:
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert message in answer.json()["msg"]


KLINES = {"symbol": "BTCUSDT", "interval": "1h"}


@pytest.mark.parametrize(
    ("path", "params", "code", "message"),
    [
        ("klines", {"interval": "1h"}, -1102, "Mandatory parameter 'symbol' was not sent"),
        ("klines", {**KLINES, "symbol": ""}, -1102, "Mandatory parameter 'symbol'"),
        ("klines", {"symbol": "BTCUSDT"}, -1102, "Mandatory parameter 'interval' was not"),
        ("klines", {**KLINES, "symbol": "NOPE"}, -1121, "Invalid symbol."),
        ("klines", {**KLINES, "interval": "7h"}, -1120, "Invalid interval."),
        ("klines", {**KLINES, "limit": 0}, -1130, "Data sent for parameter 'limit' is not"),
        ("klines", {**KLINES, "limit": "x"}, -1100, "Illegal characters found"),
        ("klines", {**KLINES, "startTime": -5}, -1100, "legal range is '^[0-9]{1,20}$'."),
        ("klines", {**KLINES, "startTime": "\u0661"}, -1100, "Illegal characters found"),
        ("klines", {**KLINES, "startTime": 2, "endTime": 1}, -1023, "Start time is gre"),
        ("depth", {"symbol": "BTCUSDT", "limit": 0}, -4021, "'0' is not valid depth limit"),
        ("ticker/24hr", {"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ("ticker/24hr", {"symbols": '["BTCUSDT","NOPE"]'}, -1121, "Invalid symbol."),
        ("ticker/24hr", {"symbols": '["BTCUSDT"'}, -1100, "found in parameter 'symbols'"),
        ("ticker/price", {"symbols": "[1]"}, -1100, "found in parameter 'symbols'"),
    ],
)
def test_errors_are_those_of_binance(
    ask: Ask, path: str, params: dict[str, object], code: int, message: str
) -> None:
    assert_refused(ask(path, **params), code, message)


@pytest.mark.parametrize(
    ("path", "params", "code", "message"),
    [
        ("klines", {**KLINES, "limit": 1501}, -1130, "Data sent for parameter 'limit' is"),
        ("markPriceKlines", {"symbol": "BTCUSDT"}, -1102, "Mandatory parameter 'interval'"),
        ("fundingRate", {}, -1102, "Mandatory parameter 'symbol'"),
        ("fundingRate", {"symbol": "BTCUSDT", "limit": 1001}, -1130, "'limit' is not"),
        ("depth", {"symbol": "BTCUSDT", "limit": 7}, -4021, "'7' is not valid depth limit"),
        ("premiumIndex", {"symbol": "NOPE"}, -1121, "Invalid symbol."),
    ],
)
def test_errors_of_futures_are_those_of_binance(
    ask_futures: Ask, path: str, params: dict[str, object], code: int, message: str
) -> None:
    assert_refused(ask_futures(path, **params), code, message)


def test_an_unknown_path_is_refused(ask_futures: Ask) -> None:
    answer = ask_futures("order")
    assert answer.status_code == 404
    assert answer.json() == {"code": -5000, "msg": "Path /fapi/v1/order, Method GET is invalid"}


@pytest.mark.parametrize("path", ["/api/v3/exchangeInfo", "/fapi/v2/klines"])
def test_futures_answer_no_other_path(server: ReplayServer, path: str) -> None:
    assert requests.get(server.url + path, timeout=10).status_code == 404


@pytest.mark.parametrize("path", ["/fapi/v1/exchangeInfo", "/api/v3/premiumIndex"])
def test_spot_answers_no_other_path(spot_server: ReplayServer, path: str) -> None:
    assert requests.get(spot_server.url + path, timeout=10).status_code == 404


def test_only_get_is_answered(server: ReplayServer) -> None:
    answer = requests.post(f"{server.url}/fapi/v1/klines", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (405, -5000)


def test_ping_and_time(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("ping").json() == {}
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.25)
    assert ask("time").json() == {"serverTime": 1_800_000_000_250}


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


def test_the_status_names_pairs_as_freqtrade_does(spot_server: ReplayServer) -> None:
    status = requests.get(f"{spot_server.url}/replay/status", timeout=10).json()
    assert status["pairs"] == ["BTC/USDT", "ETH/USDT"]
