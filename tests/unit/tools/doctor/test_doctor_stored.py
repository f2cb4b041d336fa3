"""What is said of stored candles: their faults, and how to mend them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from freqtrade.enums import CandleType
from freqtrade.resolvers import StrategyResolver

from freqai_lstm.tools.doctor.findings import Finding
from freqai_lstm.tools.doctor.quality import Fault
from freqai_lstm.tools.doctor.stored import (
    Examined,
    candle_findings,
    examine_candles,
    fault_rows,
    incomplete_files,
)
from tests.conftest import PAIRS, candle_file, store_candles

BTC, ETH, SOL = PAIRS
OPTIONS = ["--config=c.json"]


class Stored:
    """Candles that a test may spoil before they are examined."""

    def __init__(self, config: dict[str, Any], datadir: Path) -> None:
        self.config, self.datadir = config, datadir
        config["pairs"] = list(PAIRS)

    def spoil(
        self, pair: str, timeframe: str, change: Callable[[pd.DataFrame], pd.DataFrame | None]
    ) -> None:
        """Change the candles of a file, in place or by what the function returns."""
        file = candle_file(self.datadir, pair, timeframe)
        candles = pd.read_feather(file)
        changed = change(candles)
        store_candles(self.datadir, pair, timeframe, candles if changed is None else changed)

    def examine(self) -> list[Examined]:
        return examine_candles(self.config, StrategyResolver.load_strategy(self.config))

    def findings(self) -> dict[str, Finding]:
        return {each.subject: each for each in candle_findings(self.examine(), OPTIONS)}


@pytest.fixture
def stored(config: dict[str, Any], own_datadir: Path) -> Stored:
    """Candles of three pairs, and no timerange."""
    del config["timerange"]
    return Stored(config, own_datadir)


def spike(frame: pd.DataFrame) -> None:
    """Make a candle of 2024-01-05 ten times too high."""
    frame.loc[frame["date"].searchsorted(pd.Timestamp("2024-01-05", tz="UTC")), "high"] *= 10


def break_file(file: Path) -> None:
    """Leave half of a file."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def test_candles_without_faults_are_counted(stored: Stored) -> None:
    # Two timeframes of three pairs, of mark prices and funding rates none.
    assert stored.findings() == {"candle files": Finding("candle files", "6 of 12 there")}


def test_fault_is_told_with_its_place_its_harm_and_its_remedy(stored: Stored) -> None:
    stored.spoil(ETH, "4h", spike)
    examined = stored.examine()
    assert list(fault_rows(examined)) == [(ETH, "4h", "futures", "spike", 1, "2024-01-05 00:00")]
    finding = {each.subject: each for each in candle_findings(examined, OPTIONS)}["candles, spike"]
    assert finding.found == "1 in 1 file(s)"
    assert finding.problem.splitlines() == [
        "Candles, spike: it alone sets the scale of the features that reach back to it, so that "
        "all other rows of the training look alike, and it teaches a move that never was.",
        "This removes what is stored and gets it again:",
        f"  freqtrade download-data --config=c.json --timerange 20231101-20240301 --timeframes 4h "
        f"--pairs {ETH} --erase",
        "What is there afterwards too, the exchange has recorded so: leave it out with "
        "--timerange, or the pair out of exchange.pair_whitelist.",
    ]


def test_files_with_the_same_fault_share_a_line(stored: Stored) -> None:
    stored.spoil(BTC, "1h", lambda frame: pd.concat([frame, frame.tail(3)], ignore_index=True))
    stored.spoil(SOL, "4h", lambda frame: pd.concat([frame, frame.tail(2)], ignore_index=True))
    found = stored.findings()
    assert found["candles, duplicate"].found == "5 in 2 file(s)"
    assert f"--timeframes 1h 4h --pairs {BTC} {SOL} --erase" in found["candles, duplicate"].problem
    assert found["candles, earlier than the one before"].found == "2 in 2 file(s)"


def test_every_fault_has_a_line_of_its_own(stored: Stored) -> None:
    prices = ["open", "high", "low", "close"]

    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        spike(frame)
        frame.loc[10, "close"] = float("nan")
        frame.loc[20, "low"] = 0.0
        frame.loc[30, "high"] = frame.loc[30, "low"] * 0.99
        frame.loc[40:79, prices] = frame.loc[39, "close"]
        frame.loc[40:79, "volume"] = 0.0
        return pd.concat([frame, frame.tail(1), frame.iloc[[5]]], ignore_index=True)

    stored.spoil(BTC, "1h", spoil)
    break_file(candle_file(stored.datadir, SOL, "1h"))
    found = stored.findings()
    assert set(found) == {"candle files", *(f"candles, {fault}" for fault in Fault)}
    problems = [each.problem for each in found.values() if each.subject != "candle files"]
    assert all("--erase" in problem for problem in problems)
    rows = {row[3]: row[4:] for row in fault_rows(stored.examine())}
    assert rows["price stands still (longest 40 in a row)"] == (40, "2023-11-02 16:00")
    assert any(what.startswith("no volume (1.4% of all, longest 40") for what in rows)


def test_file_that_cannot_be_read_is_named(
    stored: Stored, caplog: pytest.LogCaptureFixture
) -> None:
    file = candle_file(stored.datadir, BTC, "4h")
    break_file(file)
    examined = stored.examine()
    assert list(fault_rows(examined)) == [(BTC, "4h", "futures", "unreadable file", "-", "-")]
    finding = list(candle_findings(examined, OPTIONS))[-1]
    assert finding.found == "1 file(s)"
    assert finding.problem.startswith("Candles, unreadable file: freqtrade takes the file for one ")
    assert f"\n  {file}: Error loading data from {file}. Exception: " in finding.problem
    # Nobody knows what it held.
    assert f"--config=c.json --timeframes 4h --pairs {BTC} --erase" in finding.problem
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_json_that_cannot_be_read_is_named(stored: Stored) -> None:
    stored.config["dataformat_ohlcv"] = "json"
    files = [candle_file(stored.datadir, BTC, each).with_suffix(".json") for each in ("1h", "4h")]
    files[0].write_text("[[1704067200000, 1.0,", encoding="utf-8")
    files[1].write_text('[[1704067200000, "a", 1, 1, 1, 1]]', encoding="utf-8")
    problem = stored.findings()["candles, unreadable file"].problem
    assert f"{files[0]}: Could not load data for {BTC}." in problem
    assert f"{files[1]}: ValueError: could not convert string to float: 'a'" in problem


def test_file_without_candles_is_named(stored: Stored) -> None:
    stored.spoil(BTC, "4h", lambda frame: frame.iloc[:0])
    problem = stored.findings()["candles, unreadable file"].problem
    assert f"{candle_file(stored.datadir, BTC, '4h')}: it holds no candles" in problem


def test_only_what_a_backtest_reads_is_examined(stored: Stored) -> None:
    stored.spoil(ETH, "1h", spike)
    # 20 days of training and 300 candles of warm-up before it: from 2024-01-08 on.
    stored.config["timerange"] = "20240210-20240220"
    assert "candles, spike" not in stored.findings()
    stored.config["timerange"] = "20240206-20240220"
    found = stored.findings()
    assert found["candles, spike"].found == "1 in 1 file(s)"
    # What is stored outside of it must come back as well.
    assert "--timerange 20231101-20240301" in found["candles, spike"].problem


def test_unreadable_file_is_no_missing_one(stored: Stored) -> None:
    stored.config["timerange"] = "20240210-20240220"
    break_file(candle_file(stored.datadir, BTC, "1h"))
    examined = stored.examine()
    # Mark prices and funding rates of the three pairs.
    kinds = [one.needed.candle_type for one in incomplete_files(examined)]
    assert len(kinds) == 6
    assert CandleType.FUTURES not in kinds
    found = {each.subject: each for each in candle_findings(examined, OPTIONS)}
    assert found["candle files"].found == "5 of 12 complete"
    # All that the backtest needs of it.
    assert "--timerange 20240108-20240220" in found["candles, unreadable file"].problem


def test_missing_candles_come_with_the_commands(stored: Stored) -> None:
    stored.config["timerange"] = "20240210-20240220"
    found = stored.findings()["candle files"]
    assert found.found == "6 of 12 complete"
    assert found.problem.startswith("Candles are missing. What the exchange has of them comes with")
    assert f"--timerange 20240210-20240220 --timeframes 1h --pairs {BTC} {ETH} {SOL}" in (
        found.problem
    )


def test_mark_prices_have_no_volume(stored: Stored) -> None:
    source = candle_file(stored.datadir, BTC, "1h")
    mark = pd.read_feather(source).assign(volume=0.0)
    mark.to_feather(source.with_name(source.name.replace("-futures", "-mark")))
    assert stored.findings() == {"candle files": Finding("candle files", "7 of 12 there")}
    rates = mark.assign(open=float("nan"))
    rates.to_feather(source.with_name(source.name.replace("-futures", "-funding_rate")))
    (row,) = fault_rows(stored.examine())
    assert row[:4] == (BTC, "1h", CandleType.FUNDING_RATE.value, "NaN or infinite")


def test_file_that_is_read_twice_is_examined_once(stored: Stored) -> None:
    # It has no candles of the mark price: freqtrade takes the traded ones.
    stored.config["exchange"]["name"] = "hyperliquid"
    files = [one.file for one in stored.examine()]
    assert len(files) == len(set(files)) == 9


def test_without_the_strategy_all_that_is_stored_is_examined(stored: Stored) -> None:
    stored.spoil(ETH, "1h", spike)
    stored.config["timerange"] = "20240210-20240220"
    examined = examine_candles(stored.config, None)
    assert [row[3] for row in fault_rows(examined)] == ["spike"]
    assert not any(one.covered for one in examined)
