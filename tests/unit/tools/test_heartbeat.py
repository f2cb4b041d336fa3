"""The health check of the container."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from freqai_lstm.tools.heartbeat import LONGEST_SILENCE, bot_problem, last_heartbeat

NOW = datetime(2024, 3, 1, 12)
TRADE = ["python", "/opt/freqai/bin/freqtrade", "trade", "-c", "config.json"]


def line(age: timedelta, message: str) -> str:
    return f"{NOW - age:%Y-%m-%d %H:%M:%S},123 - freqtrade.worker - INFO - {message}\n"


def beat(age: timedelta) -> str:
    return line(age, "Bot heartbeat. PID=1, version='2026.9', state='RUNNING'")


@pytest.fixture
def logfile(tmp_path: Path) -> Path:
    return tmp_path / "freqtrade.log"


def problem(logfile: Path, command: list[str] = TRADE) -> str | None:
    return bot_problem(command, {"FREQTRADE__LOGFILE": str(logfile)}, NOW)


def test_bot_with_a_young_heartbeat_is_healthy(logfile: Path) -> None:
    logfile.write_text(beat(timedelta(minutes=50)) + beat(timedelta(minutes=1)))
    assert problem(logfile) is None


def test_bot_whose_loop_hangs_is_not_though_it_goes_on_logging(logfile: Path) -> None:
    silence = LONGEST_SILENCE + timedelta(minutes=1)
    logfile.write_text(beat(silence) + line(timedelta(0), "Training BTC/USDT:USDT"))
    assert "no heartbeat for 0:05:59" in str(problem(logfile))


def test_bot_that_has_not_started_yet_is_not(logfile: Path) -> None:
    assert problem(logfile) == f"no log in {logfile}"
    logfile.write_text(line(timedelta(0), "Starting worker 2026.9"))
    assert problem(logfile) == f"no heartbeat in {logfile}"


@pytest.mark.parametrize("command", ["backtesting", "download-data", "webserver", "--help"])
def test_what_is_no_bot_is_healthy(logfile: Path, command: str) -> None:
    assert problem(logfile, ["freqtrade", command]) is None


def test_heartbeat_is_found_in_the_log_of_the_command_line(logfile: Path, tmp_path: Path) -> None:
    logfile.write_text(beat(timedelta(0)))
    other = tmp_path / "other.log"
    assert problem(other) is not None
    assert problem(other, [*TRADE, "--logfile", str(logfile)]) is None


def test_heartbeat_is_found_in_the_log_that_was_just_rotated(logfile: Path) -> None:
    logfile.write_text(line(timedelta(0), "Training BTC/USDT:USDT"))
    logfile.with_name("freqtrade.log.1").write_text(beat(timedelta(minutes=1)))
    assert last_heartbeat(logfile) == NOW - timedelta(seconds=60 - 0.123)
