"""What goes wrong on purpose."""

import json
import re
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import requests
from replay_markets import day_of

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import HOUR_MS
from freqai_lstm.replay.faults import plan as faults
from freqai_lstm.replay.faults.plan import KINDS, Fault, FaultPlan
from freqai_lstm.replay.market import Candles
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

SetTime = Callable[[int], None]


@pytest.fixture(scope="module")
def running(two_months: SyntheticMarket) -> Iterator[ReplayServer]:
    with ReplayServer(two_months) as server:
        yield server


@pytest.fixture
def faulty(running: ReplayServer) -> Iterator[ReplayServer]:
    """A server without faults, and without them again after the test."""
    yield running
    running.faults.clear()


def get(server: ReplayServer, path: str = "klines", **params: object) -> requests.Response:
    if path == "klines":
        params = {"symbol": "BTCUSDT", "interval": "1h", "limit": 10, **params}
    return requests.get(f"{server.url}/fapi/v1/{path}", params=params, timeout=5)  # type: ignore[arg-type]


def hours_of(answer: requests.Response) -> list[int]:
    return [row[0] for row in answer.json()]


def test_a_fault_of_the_server(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("http_5xx"))
    assert get(faulty).status_code == 503
    assert get(faulty).json()["code"] == -1000


def test_a_rate_limit(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("http_429"))
    assert get(faulty).status_code == 429
    assert get(faulty).json()["code"] == -1003


def test_a_slow_answer(faulty: ReplayServer) -> None:
    before = get(faulty).json()
    faulty.faults.add(Fault("timeout", seconds=0.4))
    start = time.monotonic()
    assert get(faulty).json() == before
    assert time.monotonic() - start >= 0.4
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{faulty.url}/fapi/v1/ping", timeout=0.1)


def test_a_dropped_connection(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("dropped", path="ping"))
    with pytest.raises(requests.ConnectionError):
        get(faulty, "ping")
    assert get(faulty).status_code == 200


@pytest.mark.parametrize("kind", ["truncated_json", "malformed_json"])
@pytest.mark.parametrize("path", ["klines", "ping", "premiumIndex"])
def test_a_broken_answer(faulty: ReplayServer, kind: str, path: str) -> None:
    whole = get(faulty, path).content
    faulty.faults.add(Fault(kind))
    answer = get(faulty, path)
    assert answer.status_code == 200
    shared = len(whole) // 2
    assert answer.content[:shared] == whole[:shared]
    assert (len(answer.content) == shared) == (kind == "truncated_json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def test_a_clock_that_jumps(faulty: ReplayServer) -> None:
    for seconds in (90, -3600):
        faulty.faults.clear()
        faulty.faults.add(Fault("clock_jump", seconds=seconds))
        offset = get(faulty, "time").json()["serverTime"] / 1000 - time.time()
        assert offset == pytest.approx(seconds, abs=2)


def test_a_duplicate_candle(faulty: ReplayServer) -> None:
    whole = get(faulty).json()
    faulty.faults.add(Fault("duplicate_candles"))
    rows = get(faulty).json()
    assert len(rows) == len(whole) + 1
    assert sorted({row[0]: row for row in rows}.values()) == whole
    assert get(faulty, startTime=day_of("20250101")).json() == []


def test_a_gap(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("gap", start="2024-02-10T03:00", end="2024-02-10T06:00+00:00"))
    start_ms = day_of("20240210")
    shown = hours_of(get(faulty, startTime=start_ms))
    assert shown == [start_ms + hour * HOUR_MS for hour in (0, 1, 2, 6, 7, 8, 9)]
    assert hours_of(get(faulty, "markPriceKlines", symbol="BTCUSDT", interval="1h"))


def candles_until(now_ms: int) -> Candles:
    open_ms = np.arange(now_ms // HOUR_MS - 5, now_ms // HOUR_MS + 1, dtype=np.int64) * HOUR_MS
    ones = np.ones(len(open_ms))
    return Candles(open_ms, ones, ones, ones, ones, ones)


@pytest.mark.parametrize(
    ("after_seconds", "missing"), [(0, 2), (1, 2), (29.999, 2), (30, 0), (1800, 0)]
)
def test_a_delayed_candle(after_seconds: float, missing: int) -> None:
    plan = FaultPlan([Fault("delayed_candles", seconds=30)])
    closed_ms = day_of("20240210", 0.25)
    now_ms = closed_ms + int(after_seconds * 1000)
    whole = candles_until(now_ms)
    shown = plan.distort(whole, "1h", now_ms, path="/fapi/v1/klines", symbol="BTCUSDT")
    assert shown.open_ms.tolist() == whole.open_ms[: len(whole) - missing].tolist()


def test_a_delayed_candle_over_http(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("delayed_candles"))
    assert hours_of(get(faulty))[-1] == day_of("20240301") - 2 * HOUR_MS


def test_faults_may_be_limited_to_paths_and_symbols(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("http_5xx", path="markPrice"))
    faulty.faults.add(Fault("http_429", symbol="ETHUSDT"))
    assert get(faulty).status_code == 200
    query = {"symbol": "BTCUSDT", "interval": "1h"}
    assert get(faulty, "markPriceKlines", **query).status_code == 503
    assert get(faulty, symbol="ETHUSDT").status_code == 429
    assert get(faulty, "ping").status_code == 200


def test_faults_may_be_limited_to_methods(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("http_5xx", method="POST"))
    assert get(faulty, "ping").status_code == 200
    assert requests.post(f"{faulty.url}/fapi/v1/ping", timeout=5).status_code == 503


def test_only_an_answer_to_what_changes_something_is_lost(faulty: ReplayServer) -> None:
    faulty.faults.add(Fault("lost_answer", seconds=0.2))
    assert get(faulty, "ping").status_code == 200
    for method in ("POST", "DELETE"):
        start = time.monotonic()
        with pytest.raises(requests.ConnectionError):
            requests.request(method, f"{faulty.url}/fapi/v1/order", timeout=5)
        assert time.monotonic() - start >= 0.2
    assert [fault["hits"] for fault in faulty.faults.describe()] == [2]


def test_spot_has_faults_too(spot_server: ReplayServer) -> None:
    url = f"{spot_server.url}/api/v3/ping"
    spot_server.faults.add(Fault("http_5xx", path="ping"))
    try:
        assert requests.get(url, timeout=5).status_code == 503
    finally:
        spot_server.faults.clear()
    assert requests.get(url, timeout=5).status_code == 200


def test_a_fault_ends_by_itself(set_time: SetTime) -> None:
    set_time(1_000_000)
    plan = FaultPlan([Fault("http_5xx", duration_seconds=60), Fault("http_429")])
    set_time(1_059_999)
    drawn = plan.draw(["http_5xx"], "/fapi/v1/ping", "")
    assert drawn is not None
    assert [entry["hits"] for entry in plan.describe()] == [1, 0]
    set_time(1_060_000)
    assert plan.draw(["http_5xx"], "/fapi/v1/ping", "") is None
    assert [entry["kind"] for entry in plan.describe()] == ["http_429"]


def test_chance_is_seeded() -> None:
    def draws(seed: int) -> list[bool]:
        plan = FaultPlan([Fault("http_5xx", probability=0.3)], seed=seed)
        return [plan.draw(["http_5xx"], "/", "") is not None for _ in range(400)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert 80 < sum(draws(1)) < 160


@pytest.mark.parametrize(("probability", "hits"), [(0.0, 0), (1.0, 20)])
def test_never_and_always(probability: float, hits: int) -> None:
    plan = FaultPlan([Fault("http_5xx", probability=probability)])
    assert sum(plan.draw(["http_5xx"], "/", "") is not None for _ in range(20)) == hits


def control(server: ReplayServer, method: str, content: object = None) -> requests.Response:
    return requests.request(method, f"{server.url}/replay/faults", json=content, timeout=5)


def test_faults_are_controlled_over_http(faulty: ReplayServer) -> None:
    answer = control(faulty, "POST", {"kind": "http_5xx", "path": "ping", "duration_seconds": 60})
    assert answer.status_code == 200
    assert [entry["kind"] for entry in answer.json()["faults"]] == ["http_5xx"]
    control(
        faulty, "POST", [{"kind": "http_429", "path": "time"}, {"kind": "dropped", "path": "-"}]
    )
    assert [get(faulty, path).status_code for path in ("ping", "time")] == [503, 429]
    status = requests.get(f"{faulty.url}/replay/status", timeout=5).json()["faults"]
    assert [(entry["kind"], entry["hits"]) for entry in status] == [
        ("http_5xx", 1),
        ("http_429", 1),
        ("dropped", 0),
    ]
    assert control(faulty, "DELETE").json() == {"faults": []}
    assert [get(faulty, path).status_code for path in ("ping", "time")] == [200, 200]


def test_control_does_not_suffer_from_faults(faulty: ReplayServer) -> None:
    control(faulty, "POST", [{"kind": "dropped"}, {"kind": "http_5xx"}])
    assert control(faulty, "DELETE").status_code == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "fire"}, "kind must be one of http_5xx, .*; was 'fire'"),
        ({}, "kind is required"),
        ([1], "must be a JSON object, or an array of objects"),
        ({"kind": "http_5xx", "chance": 1}, "there is no 'chance'"),
        ({"kind": "http_5xx", "pth": "x"}, "Did you mean 'path'"),
        ({"kind": "http_5xx", "probability": 2}, "probability must be from 0 to 1; was 2"),
        ({"kind": "http_5xx", "probability": "many"}, "probability must be a number; was 'many'"),
        ({"kind": "http_5xx", "probability": True}, "probability must be a number; was True"),
        ({"kind": "http_5xx", "probability": "nan"}, "probability must be a number; was 'nan'"),
        ({"kind": "http_5xx", "path": 3}, "path must be a text; was 3"),
        ({"kind": "http_5xx", "duration_seconds": 0}, "duration_seconds must be positive; was 0"),
        (
            {"kind": "http_5xx", "seconds": 3},
            "seconds belongs to timeout, lost_answer, delayed_candles",
        ),
        ({"kind": "timeout", "seconds": -3}, "seconds must not be negative; was -3"),
        ({"kind": "gap"}, "start and end must be UTC times"),
        ({"kind": "gap", "start": "20240102", "end": "20240101"}, "end must be after start"),
        ({"kind": "dropped", "end": "20240101"}, "start and end belong to a gap only"),
    ],
)
def test_bad_faults_are_refused(faulty: ReplayServer, content: object, message: str) -> None:
    answer = control(faulty, "POST", content)
    assert answer.status_code == 400
    assert re.search(message, answer.json()["error"])
    assert faulty.faults.describe() == []


def test_broken_json_is_refused(faulty: ReplayServer) -> None:
    answer = requests.post(f"{faulty.url}/replay/faults", data=b"{", timeout=5)
    assert answer.status_code == 400
    assert "error" in answer.json()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dropped", Fault("dropped")),
        (
            "http_5xx,probability=0.25,path=klines,symbol=BTCUSDT,method=GET,duration_seconds=60",
            Fault("http_5xx", 0.25, "klines", "BTCUSDT", "GET", 60.0),
        ),
        ("clock_jump,seconds=-5", Fault("clock_jump", seconds=-5.0)),
        (
            "gap,start=20240101,end=2024-01-02T00:00",
            Fault("gap", start="20240101", end="2024-01-02T00:00"),
        ),
    ],
)
def test_faults_on_the_command_line(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "kind must be"), ("dropped,often", "key=value; was 'often'"), ("dropped,x=1", "no 'x'")],
)
def test_bad_faults_on_the_command_line(text: str, message: str) -> None:
    with pytest.raises(ReplayError, match=message):
        Fault.parse(text)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ReplayError, match=r"kind must be .*; probability must be"):
        Fault("fire", probability=7)


def test_kinds_have_names_that_are_documented() -> None:
    assert all(f"``{kind}``" in str(faults.__doc__) for kind in KINDS)
