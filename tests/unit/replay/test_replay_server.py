"""Starting and stopping the server, and its command line."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from replay_markets import START_MS, frame, hours

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay import cli
from freqai_lstm.replay.account.orders import FillStyle
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.faults.plan import Fault
from freqai_lstm.replay.feed import Clock
from freqai_lstm.replay.recorded import RecordedMarket
from freqai_lstm.replay.server import serve
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

RUN = """
import argparse, sys
from freqai_lstm.replay.cli import add_arguments
parser = argparse.ArgumentParser()
add_arguments(parser)
args = parser.parse_args()
sys.exit(args.run(args))
"""
SHORT = ["--start", "20240101", "--end", "20240103", "--pairs", "BTC/USDT:USDT"]


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(arguments)


@contextmanager
def replay_process(ready_file: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command until the block ends."""
    path = os.pathsep.join([*filter(None, sys.path), str(Path.cwd())])
    command = [sys.executable, "-c", RUN, "--port", "0", "--ready-file", str(ready_file)]
    process = subprocess.Popen(
        [*command, *SHORT, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not ready_file.exists() and process.poll() is None:
            assert time.monotonic() < deadline, "the server did not get ready"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    ready_file = tmp_path / "ready"
    with replay_process(ready_file) as process, requests.Session() as session:
        text = ready_file.read_text()
        port = int(text)
        assert text == f"{port}\n"
        answer = session.get(f"http://127.0.0.1:{port}/fapi/v1/ping", timeout=5)
        assert answer.status_code == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert output == (
        f"Replay exchange on http://127.0.0.1:{port} (1 pair, 5m candles,"
        " 2024-01-01 to 2024-01-03). Stop with Ctrl+C.\n"
    )
    assert errors == ""
    assert os.listdir(tmp_path) == ["ready"]  # noqa: PTH208


def test_the_command_takes_faults_and_orders_and_says_what_those_are(tmp_path: Path) -> None:
    ready_file, overlay = tmp_path / "ready", tmp_path / "overlay.json"
    arguments = ["--fault", "http_5xx,path=ping", "--fault", "dropped,path=-", "--orders", "--live"]
    arguments += ["--deposit", "500", "--overlay", str(overlay), "--end", "20240331"]
    with replay_process(ready_file, *arguments) as process:
        url = f"http://127.0.0.1:{int(ready_file.read_text())}"
        assert requests.get(f"{url}/fapi/v1/ping", timeout=5).status_code == 503
        faults = requests.get(f"{url}/replay/status", timeout=5).json()["faults"]
        unsigned = requests.get(f"{url}/fapi/v3/account", timeout=5)
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert [(entry["kind"], entry["hits"]) for entry in faults] == [("http_5xx", 1), ("dropped", 0)]
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, -2014)
    assert "This is a simulation: 500 USDT of made-up money." in output
    document = json.loads(overlay.read_text())
    assert document["dry_run"] is False
    assert len(document["exchange"]["key"]) == len(document["exchange"]["secret"]) == 64


def test_orders_are_taken_of_live_futures_from_this_machine_only(
    two_months: SyntheticMarket,
) -> None:
    live = Clock.live(two_months)
    for values in ({"clock": live, "allow_remote": True}, {"clock": Clock()}):
        with pytest.raises(ReplayError, match="Orders need live futures, for this machine only;"):
            serve(two_months, port=0, terms=AccountTerms(), **values)


def test_a_port_in_use_is_named(two_months: SyntheticMarket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ReplayError, match=rf"Cannot listen on 127\.0\.0\.1 port {port}: .*use"):
            serve(two_months, port=port)


def test_the_ready_file_needs_a_directory(two_months: SyntheticMarket, tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"none/ready must be in a directory that exists"):
        serve(two_months, port=0, ready_file=tmp_path / "none" / "ready")


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_must_exist(two_months: SyntheticMarket, port: int) -> None:
    with pytest.raises(ReplayError, match=f"port {port}"):
        serve(two_months, port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::", ""])
def test_other_machines_are_not_served(two_months: SyntheticMarket, host: str) -> None:
    with pytest.raises(ReplayError, match=f"must be a loopback address .*; was '{host}'"):
        serve(two_months, host=host, port=0)


def test_other_machines_are_served_if_allowed(two_months: SyntheticMarket) -> None:
    with pytest.raises(ReplayError, match=r"Cannot listen on 203\.0\.113\.1 port 0"):
        serve(two_months, host="203.0.113.1", port=0, allow_remote=True)


def test_two_servers_run_side_by_side(two_months: SyntheticMarket) -> None:
    with ReplayServer(two_months) as one, ReplayServer(two_months) as other:
        assert one.port != other.port
        one.faults.add(Fault("http_5xx"))
        assert requests.get(f"{one.url}/fapi/v1/ping", timeout=5).status_code == 503
        assert requests.get(f"{other.url}/fapi/v1/ping", timeout=5).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{one.url}/fapi/v1/ping", timeout=1)


def test_answers_are_sent_at_once(two_months: SyntheticMarket) -> None:
    """Waiting for more to send would take 40 ms for every request of a connection."""
    with ReplayServer(two_months) as server, requests.Session() as session:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            session.get(f"{server.url}/fapi/v1/ping", timeout=5)
            times.append(time.perf_counter() - start)
    assert sorted(times)[len(times) // 2] < 0.03


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Collect the arguments of ``serve`` instead of serving."""
    calls: list[dict[str, object]] = []

    def collect(market: object, **values: object) -> None:
        calls.append({"market": market, **values})

    monkeypatch.setattr(cli, "serve", collect)
    return calls


def test_the_market_is_synthetic_by_default(served: list[dict[str, object]]) -> None:
    args = parse()
    assert args.run(args) == 0
    market = served[0]["market"]
    assert isinstance(market, SyntheticMarket)
    assert (market.seed, str(market)) == (0, "10 pairs, 5m candles, 2023-01-01 to 2024-06-30")
    assert (served[0]["host"], served[0]["port"]) == ("127.0.0.1", 8000)
    assert served[0]["clock"] == Clock()
    assert served[0]["ready_file"] is None
    assert served[0]["allow_remote"] is False


def test_the_synthetic_market_takes_its_values_from_the_command_line(
    served: list[dict[str, object]],
) -> None:
    args = parse(
        *("--seed", "7", "--base-timeframe", "1m", "--start", "20230101", "--end", "20230630"),
        *("--pairs", "SOL/USDT:USDT", "ADA/USDT:USDT", "--live", "--port", "0"),
    )
    assert args.run(args) == 0
    market, clock = served[0]["market"], served[0]["clock"]
    assert isinstance(market, SyntheticMarket)
    assert (market.seed, str(market)) == (7, "2 pairs, 1m candles, 2023-01-01 to 2023-06-30")
    assert isinstance(clock, Clock)
    assert clock.is_live


def test_spot_is_served_if_asked_for(served: list[dict[str, object]], tmp_path: Path) -> None:
    frame(hours(days=2)).to_feather(tmp_path / "BTC_USDT-1h.feather")
    for source in ([], ["--datadir", str(tmp_path)]):
        args = parse("--trading-mode", "spot", "--pairs", "BTC/USDT", *source)
        assert args.run(args) == 0
    for call, kind in zip(served, (SyntheticMarket, RecordedMarket), strict=True):
        market = call["market"]
        assert isinstance(market, kind)
        assert market.trading_mode == "spot"
        assert [listing.pair for listing in market.listings] == ["BTC/USDT"]
    with pytest.raises(SystemExit):
        parse("--trading-mode", "margin")


def test_a_data_directory_is_served_as_it_is(
    served: list[dict[str, object]], tmp_path: Path, two_months: SyntheticMarket
) -> None:
    (tmp_path / "futures").mkdir()
    frame(hours(days=2)).to_feather(tmp_path / "futures" / "BTC_USDT_USDT-1h-futures.feather")
    args = parse("--datadir", str(tmp_path), "--pairs", "BTC/USDT:USDT")
    assert args.run(args) == 0
    market = served[0]["market"]
    assert isinstance(market, RecordedMarket)
    assert market.start_ms == START_MS


def test_the_account_takes_its_values_from_the_command_line(
    served: list[dict[str, object]],
) -> None:
    options = ["--deposit", "2.5", "--partial-fills", "0.5", "--late-fills", "9", "--seed", "4"]
    for arguments in ([], ["--orders"], ["--orders", *options]):
        args = parse("--live", *arguments)
        assert args.run(args) == 0
    style = FillStyle(4, partly=0.5, late_seconds=9.0)
    terms = [None, AccountTerms(), AccountTerms(Decimal("2.5"), style)]
    assert [call["terms"] for call in served] == terms
    with pytest.raises(ReplayError, match="--deposit must not be given without --orders"):
        cli.run_replay(parse("--deposit", "5"))
    with pytest.raises(ReplayError, match=r"--partial-fills must be from 0 to 1; was 1\.5"):
        cli.run_replay(parse("--orders", "--partial-fills", "1.5"))
    for text in ("-1", "inf", "much"):
        with pytest.raises(SystemExit):
            parse("--orders", "--deposit", text)


def test_recorded_candles_have_no_start_or_seed(tmp_path: Path) -> None:
    args = parse("--datadir", str(tmp_path), "--start", "20240101", "--base-timeframe", "1m")
    with pytest.raises(ReplayError, match="--start, --base-timeframe must not be given with"):
        args.run(args)
    with pytest.raises(SystemExit):
        parse("--datadir", str(tmp_path), "--seed", "1")


def test_bad_values_are_refused_before_anything_listens(served: list[dict[str, object]]) -> None:
    for arguments in (["--start", "2024"], ["--fault", "fire"], ["--pairs", "DOGE/USDT:USDT"]):
        args = parse(*arguments)
        with pytest.raises(ReplayError):
            args.run(args)
    assert served == []
