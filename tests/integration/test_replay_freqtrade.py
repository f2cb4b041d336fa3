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
from freqai_lstm.replay.market import TRADING_MODES, Candles, PriceKind, TradingMode
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

PAIRS: dict[TradingMode, list[str]] = {
    "futures": ["BTC/USDT:USDT", "ADA/USDT:USDT"],
    "spot": ["BTC/USDT", "ADA/USDT"],
}
MARGIN_MODES: dict[TradingMode, str] = {"futures": "isolated", "spot": ""}
CONFIG = {
    "initial_state": "running",
    "dry_run": True,
    "dry_run_wallet": 10_000,
    "stake_currency": "USDT",
    "stake_amount": 100,
    "max_open_trades": 2,
    "timeframe": "1h",
    "internals": {"process_throttle_secs": 1},
    "pairlists": [{"method": "StaticPairList"}],
    "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
    "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
}
STRATEGY = """
from freqtrade.strategy import IStrategy

class EnterAtOnce(IStrategy):
    timeframe = "1h"
    stoploss = -0.5
    minimal_roi = {"120": -1}
    startup_candle_count = 600
    # A limit order may wait for as long as the price stays away from it.
    order_types = {
        **dict.fromkeys(("entry", "exit", "stoploss"), "market"),
        "stoploss_on_exchange": False,
    }

    @property
    def can_short(self):
        return self.config["trading_mode"] == "futures"

    def leverage(self, pair, *args, **kwargs):
        return 3.0

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        short = self.can_short and metadata["pair"].startswith("ADA")
        side = "enter_short" if short else "enter_long"
        dataframe[side] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""


@pytest.fixture(scope="module", params=TRADING_MODES)
def market(request: pytest.FixtureRequest) -> SyntheticMarket:
    return SyntheticMarket(
        9,
        start_ms=parse_day_ms("20231101"),
        end_ms=parse_day_ms("20240401"),
        trading_mode=request.param,
        pairs=PAIRS[request.param],
    )


futures_only = pytest.mark.parametrize("market", ["futures"], indirect=True, scope="module")


def symbol_of(pair: str) -> str:
    return pair.split(":", maxsplit=1)[0].replace("/", "")


def command(userdir: Path, server: ReplayServer, mode: TradingMode, *arguments: str) -> list[str]:
    """Build a command that runs freqtrade with the overlay."""
    config = {
        **CONFIG,
        "trading_mode": mode,
        "margin_mode": MARGIN_MODES[mode],
        "exchange": {"name": "binance", "pair_whitelist": PAIRS[mode]},
    }
    (userdir / "strategies").mkdir(exist_ok=True)
    (userdir / "strategies" / "enter_at_once.py").write_text(STRATEGY)
    (userdir / "config.json").write_text(json.dumps(config))
    (userdir / "overlay.json").write_text(json.dumps(exchange_overlay(server.url, mode)))
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
def downloaded(
    tmp_path_factory: pytest.TempPathFactory, market: SyntheticMarket, history: ReplayServer
) -> Path:
    """A user directory with 40 days of two pairs that freqtrade downloaded."""
    userdir = tmp_path_factory.mktemp("user_data")
    options = ["--timeframes", "1h", "--timerange", "20240201-20240312"]
    run(command(userdir, history, market.trading_mode, "download-data", *options), userdir)
    return userdir


FILES = [
    *(("futures", pair, kind) for pair in PAIRS["futures"] for kind in ("futures", "mark")),
    *(("spot", pair, "") for pair in PAIRS["spot"]),
]


def stored(userdir: Path, pair: str, kind: str) -> pd.DataFrame:
    """Read what freqtrade stored; in spot there is one kind alone, without a name."""
    name = f"{pair.replace('/', '_').replace(':', '_')}-1h"
    datadir = userdir / "data" / "binance"
    file = datadir / "futures" / f"{name}-{kind}.feather" if kind else datadir / f"{name}.feather"
    return pd.read_feather(file)


def milliseconds(table: pd.DataFrame) -> list[int]:
    return [int(date.timestamp() * 1000) for date in table["date"]]


@pytest.mark.parametrize(("market", "pair", "kind"), FILES, indirect=["market"], scope="module")
def test_downloaded_candles_are_those_of_the_market(
    downloaded: Path, market: SyntheticMarket, pair: str, kind: str
) -> None:
    table = stored(downloaded, pair, kind)
    price: PriceKind = "mark" if kind == "mark" else "last"
    hours: Candles = aggregate(market.candles(symbol_of(pair), price, "5m"), "1h")
    first = int(np.searchsorted(hours.open_ms, parse_day_ms("20240201")))
    expected = hours[first : first + len(table)]
    assert len(table) >= 40 * 24
    assert milliseconds(table) == expected.open_ms.tolist()
    for column in ("open", "high", "low", "close"):
        assert table[column].tolist() == getattr(expected, column).tolist()
    np.testing.assert_allclose(table["volume"], expected.volume, rtol=0, atol=0.0005)


@futures_only
@pytest.mark.parametrize("pair", PAIRS["futures"])
def test_downloaded_funding_rates_are_those_of_the_market(
    downloaded: Path, market: SyntheticMarket, pair: str
) -> None:
    table = stored(downloaded, pair, "funding_rate")
    rates = market.funding_rates(symbol_of(pair))
    first = int(np.searchsorted(rates.time_ms, parse_day_ms("20240201")))
    assert len(table) >= 40 * 3
    assert milliseconds(table) == rates.time_ms[first : first + len(table)].tolist()
    assert table["funding_rate"].tolist() == rates.rate[first : first + len(table)].tolist()


def test_backtesting_needs_no_other_exchange(
    downloaded: Path, market: SyntheticMarket, history: ReplayServer
) -> None:
    options = ["--strategy", "EnterAtOnce", "--timerange", "20240301-20240310", "--cache", "none"]
    mode = market.trading_mode
    report = run(command(downloaded, history, mode, "backtesting", *options), downloaded)
    assert PAIRS[mode][0] in report
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
    mode = market.trading_mode
    clock = Clock.live(market)
    with ReplayServer(market, clock=clock) as server, log_file.open("w") as log:
        arguments = command(tmp_path, server, mode, "trade", "--strategy", "EnterAtOnce")
        arguments += ["--db-url", f"sqlite:///{database}"]
        with subprocess.Popen(arguments, cwd=tmp_path, stdout=log, stderr=log) as bot:
            try:
                deadline = time.monotonic() + 240
                while len(trades_in(database)) < 2 and bot.poll() is None:
                    assert time.monotonic() < deadline, log_file.read_text()[-4000:]
                    time.sleep(0.25)
                output = log_file.read_text()
            finally:
                bot.terminate()
                bot.wait(timeout=20)
    prices = {}
    for pair in PAIRS[mode]:
        candles = market.candles(symbol_of(pair), "last", "5m")
        now = int(np.searchsorted(candles.open_ms, time.time() * 1000 - clock.shift_ms))
        prices[pair] = candles.close[now - 1]
    trades = {pair: rest for pair, *rest in trades_in(database)}
    assert sorted(trades) == sorted(PAIRS[mode])
    assert [bool(trades[pair][0]) for pair in PAIRS[mode]] == [False, mode == "futures"]
    for pair, (_, leverage, open_rate, amount) in trades.items():
        assert leverage == (3 if mode == "futures" else 1)
        assert open_rate == pytest.approx(prices[pair], rel=0.02)
        # The amount is cut to a whole number of steps.
        [listing] = [listing for listing in market.listings if listing.pair == pair]
        step = open_rate * 10**-listing.quantity_decimals
        assert amount * open_rate == pytest.approx(100 * leverage, abs=1 + step)
    assert " - ERROR - " not in output
    assert "deviates" not in output
