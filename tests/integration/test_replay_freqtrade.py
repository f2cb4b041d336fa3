"""An unmodified freqtrade against the replay exchange."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import aggregate, parse_day_ms
from freqai_lstm.replay.feed import Clock
from freqai_lstm.replay.market import Candles
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

PAIRS = ["BTC/USDT:USDT", "ADA/USDT:USDT"]
CONFIG = {
    "initial_state": "running",
    "dry_run": True,
    "dry_run_wallet": 10_000,
    "trading_mode": "futures",
    "margin_mode": "isolated",
    "stake_currency": "USDT",
    "stake_amount": 100,
    "max_open_trades": 2,
    "timeframe": "1h",
    "internals": {"process_throttle_secs": 1},
    "exchange": {"name": "binance", "pair_whitelist": PAIRS},
    "pairlists": [{"method": "StaticPairList"}],
    "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
    "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
}
STRATEGY = """
from freqtrade.strategy import IStrategy

class EnterAtOnce(IStrategy):
    timeframe = "1h"
    can_short = True
    stoploss = -0.5
    minimal_roi = {"120": -1}
    startup_candle_count = 600

    def leverage(self, pair, *args, **kwargs):
        return 3.0

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        side = "enter_long" if metadata["pair"].startswith("BTC") else "enter_short"
        dataframe[side] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(
        9, start_ms=parse_day_ms("20231101"), end_ms=parse_day_ms("20240401"), pairs=PAIRS
    )


def command(userdir: Path, server: ReplayServer, *arguments: str) -> list[str]:
    """Build a command that runs freqtrade with the overlay."""
    (userdir / "strategies").mkdir(exist_ok=True)
    (userdir / "strategies" / "enter_at_once.py").write_text(STRATEGY)
    (userdir / "config.json").write_text(json.dumps(CONFIG))
    (userdir / "overlay.json").write_text(json.dumps(exchange_overlay(server.url)))
    configs = ["--config", str(userdir / "config.json"), "--config", str(userdir / "overlay.json")]
    return [
        *(sys.executable, "-m", "freqtrade", *arguments),
        *configs,
        *("--userdir", str(userdir)),
    ]


def run(arguments: list[str], userdir: Path) -> str:
    """Run freqtrade to its end and give its output."""
    done = subprocess.run(
        arguments, cwd=userdir, capture_output=True, text=True, check=False, timeout=100
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert " - ERROR - " not in output
    return output


@pytest.fixture(scope="module")
def history(market: SyntheticMarket) -> Iterator[ReplayServer]:
    with ReplayServer(market) as running:
        yield running


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory, history: ReplayServer) -> Path:
    """A user directory with 40 days of two pairs that freqtrade downloaded."""
    userdir = tmp_path_factory.mktemp("user_data")
    options = ["--timeframes", "1h", "--timerange", "20240201-20240312"]
    run(command(userdir, history, "download-data", *options), userdir)
    return userdir


def stored(userdir: Path, pair: str, kind: str) -> pd.DataFrame:
    name = pair.replace("/", "_").replace(":", "_")
    return pd.read_feather(userdir / "data" / "binance" / "futures" / f"{name}-1h-{kind}.feather")


def milliseconds(table: pd.DataFrame) -> list[int]:
    return [int(date.timestamp() * 1000) for date in table["date"]]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("kind", "price"), [("futures", "last"), ("mark", "mark")])
def test_downloaded_candles_are_those_of_the_market(
    downloaded: Path, market: SyntheticMarket, pair: str, kind: str, price: str
) -> None:
    table = stored(downloaded, pair, kind)
    symbol = pair.split(":", maxsplit=1)[0].replace("/", "")
    hours: Candles = aggregate(market.candles(symbol, price, "5m"), "1h")  # type: ignore[arg-type]
    first = int(np.searchsorted(hours.open_ms, parse_day_ms("20240201")))
    expected = hours[first : first + len(table)]
    assert len(table) >= 40 * 24
    assert milliseconds(table) == expected.open_ms.tolist()
    for column in ("open", "high", "low", "close"):
        assert table[column].tolist() == getattr(expected, column).tolist()
    np.testing.assert_allclose(table["volume"], expected.volume, rtol=0, atol=0.0005)


@pytest.mark.parametrize("pair", PAIRS)
def test_downloaded_funding_rates_are_those_of_the_market(
    downloaded: Path, market: SyntheticMarket, pair: str
) -> None:
    table = stored(downloaded, pair, "funding_rate")
    rates = market.funding_rates(pair.split(":", maxsplit=1)[0].replace("/", ""))
    first = int(np.searchsorted(rates.time_ms, parse_day_ms("20240201")))
    assert len(table) >= 40 * 3
    assert milliseconds(table) == rates.time_ms[first : first + len(table)].tolist()
    assert table["funding_rate"].tolist() == rates.rate[first : first + len(table)].tolist()


def test_backtesting_needs_no_other_exchange(downloaded: Path, history: ReplayServer) -> None:
    options = ["--strategy", "EnterAtOnce", "--timerange", "20240301-20240310", "--cache", "none"]
    report = run(command(downloaded, history, "backtesting", *options), downloaded)
    assert "BTC/USDT:USDT" in report
    archives = list((downloaded / "backtest_results").glob("*.zip"))
    assert len(archives) == 1


def trades_in(database: Path) -> list[tuple[object, ...]]:
    if not database.exists():
        return []
    query = "select pair, is_short, leverage, open_rate, amount from trades where amount > 0"
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            found = connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # The tables are not made yet.
        return []
    connection.close()
    return found


def test_dry_run_trades_in_a_live_market(tmp_path: Path, market: SyntheticMarket) -> None:
    database = tmp_path / "trades.sqlite"
    log_file = tmp_path / "log"
    clock = Clock.live(market)
    with ReplayServer(market, clock=clock) as server, log_file.open("w") as log:
        arguments = command(tmp_path, server, "trade", "--strategy", "EnterAtOnce")
        arguments += ["--db-url", f"sqlite:///{database}"]
        with subprocess.Popen(arguments, cwd=tmp_path, stdout=log, stderr=log) as bot:
            try:
                deadline = time.monotonic() + 60
                while len(trades_in(database)) < 2 and bot.poll() is None:
                    assert time.monotonic() < deadline, log_file.read_text()[-4000:]
                    time.sleep(0.25)
                output = log_file.read_text()
            finally:
                bot.terminate()
                bot.wait(timeout=20)
    prices = {}
    for pair in PAIRS:
        candles = market.candles(pair.split(":")[0].replace("/", ""), "last", "5m")
        now = int(np.searchsorted(candles.open_ms, time.time() * 1000 - clock.shift_ms))
        prices[pair] = candles.close[now - 1]
    trades = {pair: rest for pair, *rest in trades_in(database)}
    assert sorted(trades) == sorted(PAIRS)
    assert [bool(trades[pair][0]) for pair in PAIRS] == [False, True]
    for pair, (_, leverage, open_rate, amount) in trades.items():
        assert leverage == 3
        assert open_rate == pytest.approx(prices[pair], rel=0.02)
        assert amount * open_rate == pytest.approx(300, rel=0.1)
    assert " - ERROR - " not in output
    assert "deviates" not in output
