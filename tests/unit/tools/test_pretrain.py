"""The parts of the pretraining that need no training."""

from concurrent.futures import BrokenExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pandas import DataFrame
from unit_windows import DATES, artefacts, window

from freqai_lstm.bridge.folders import IdentifierFolder, Window
from freqai_lstm.cli import main
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools import pretrain as command
from freqai_lstm.tools.pretrain import Account, Failure, check_regressor, missing_tasks, pretrain
from freqai_lstm.tools.walk import Outcome
from tests.pools import InlinePool


def test_windows_are_independent_unless_learning_continues() -> None:
    windows = [window(number) for number in range(3)]
    assert missing_tasks(windows, [windows[1]], continual_learning=False) == [
        [windows[0]],
        [windows[2]],
    ]
    assert missing_tasks(windows, [windows[1]], continual_learning=True) == [windows]
    assert missing_tasks(windows, windows, continual_learning=False) == []
    assert missing_tasks(windows, windows, continual_learning=True) == []


def test_other_prediction_models_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"freqaimodel: must be PyTorchLSTM.* was Simple"):
        check_regressor(SimpleNamespace(freqai=SimpleNamespace()))


@pytest.fixture
def loaded(stored: IdentifierFolder, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A walk-forward over two windows of one pair, without a strategy."""
    freqai = SimpleNamespace(
        full_path=stored.path, save_backtest_models=True, continual_learning=False
    )
    windows = [window(0), window(1)]
    monkeypatch.setattr(command, "plan_windows", lambda config, pair: windows)
    monkeypatch.setattr(command, "pack_project", lambda *_: None)
    return SimpleNamespace(
        config={"exchange": {"pair_whitelist": ["BTC/USDT:USDT"]}, "timeframe": "1h"},
        strategy=SimpleNamespace(freqai=freqai),
        candles={"BTC/USDT:USDT": DataFrame({"date": DATES})},
        features=lambda pair: DataFrame(),
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no such feature"), "ValueError: no such feature"),
        (
            BrokenExecutor("a process was killed"),
            "the worker process was killed, perhaps for want of memory",
        ),
    ],
)
def test_task_that_raises_is_a_failure_and_the_other_goes_on(
    loaded: Any,
    stored: IdentifierFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
) -> None:
    def walk(project: Any, features: DataFrame, task: list[Window]) -> Outcome:
        (one,) = task
        if one == window(0):
            raise error
        return Outcome({one.model_filename: artefacts(tmp_path, one)})

    monkeypatch.setattr(command, "walk", walk)
    account = pretrain(loaded, InlinePool())
    assert account == Account(
        trained=1, failures=[Failure("BTC/USDT:USDT", "20240210-20240211", told)]
    )
    assert stored.holds(window(1), DATES)


def test_command_tells_what_it_did_and_fails_where_a_model_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: dict[str, Any] = {}

    def load(options: dict[str, Any]) -> Any:
        taken.update(options)
        return SimpleNamespace(strategy=None)

    accounts = [
        Account(found=1, trained=2, failures=[Failure("BTC/USDT", "20240210-20240211", "no luck")]),
        Account(found=3),
    ]
    monkeypatch.setattr(command, "load_walk_forward", load)
    monkeypatch.setattr(command, "check_regressor", lambda strategy: None)
    monkeypatch.setattr(command, "pool_for", lambda *_: InlinePool())
    monkeypatch.setattr(command, "pretrain", lambda *_: accounts.pop(0))
    line = ["pretrain", "-c", "config.json", "--timerange", "20240210-20240211", "--jobs", "2"]
    assert main(line) == 1
    printed = capsys.readouterr().out
    assert "no luck" in printed
    assert "2 models trained, 1 found, 1 failed" in printed
    assert main(line) == 0
    assert "0 models trained, 3 found, 0 failed" in capsys.readouterr().out
    assert taken["config"] == ["config.json"]
    assert taken["timerange"] == "20240210-20240211"
    assert "jobs" not in taken


@pytest.mark.parametrize("command_name", ["pretrain", "evaluate", "tune"])
def test_jobs_below_one_are_refused(command_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command_name, "-c", "c.json", "--timerange", "20240210-20240211", "-j", "0"])
    assert caught.value.code == 2
    assert "--jobs: must be at least 1, was 0" in capsys.readouterr().err
