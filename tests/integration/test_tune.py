"""The search as a user runs it, through FreqAI and without an exchange."""

import json
import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from freqai_lstm.cli import main
from tests.conftest import PAIRS, ROOT
from tests.integration.test_quick_start import SMALL


@pytest.fixture
def arguments(config: dict[str, Any], tmp_path: Path) -> list[str]:
    """Two parameters, one pair, one window."""
    small = tmp_path / "small.json"
    strategy = {name: config[name] for name in ("strategy_path", "freqaimodel_path")}
    small.write_text(json.dumps(SMALL | strategy))
    return [
        *("tune", "-c", str(ROOT / "config-torch.json"), "-c", str(small)),
        *("--userdir", str(tmp_path), "-d", str(config["datadir"]), "-p", PAIRS[0]),
        *("--timerange", "20240210-20240215", "--name", "small", "--trials", "2"),
        *("--parameters", "window_size", "dropout_percent"),
    ]


def test_search_gives_a_configuration_to_paste(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    storage = f"sqlite:///{tmp_path}/tune/small.sqlite3"
    first, second = optuna.load_study(study_name="small", storage=storage).trials
    assert first.params == {"window_size": 5, "dropout_percent": 0.4}
    assert first.value > 0.5
    # Models and predictions of a finished trial are of no use any more.
    assert list((tmp_path / "models").glob("evaluate-*")) == []
    output = capsys.readouterr().out
    assert "0 (as configured)" in output
    block = json.loads(re.findall(r"^\{.*?^\}", output, re.MULTILINE | re.DOTALL)[-1])
    best = max(first, second, key=lambda trial: trial.value)
    assert block == {
        "freqai": {
            "identifier": "torch-lstm-small",
            "tuned_on": "20240210-20240215",
            "model_training_parameters": {"model_kwargs": best.params},
        }
    }
    # All of it is finished: nothing runs.
    log = (tmp_path / "tune" / "small.log").read_text(encoding="utf-8")
    assert log.count("Trained BTC/USDT:USDT in") == 2
    assert main(arguments) == 0
    assert (tmp_path / "tune" / "small.log").read_text(encoding="utf-8") == log
    # Both trials took the same features and labels; a third one need not.
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    assert sorted(file.name.partition("-")[0] for file in kept) == ["features", "labels"]
    assert main([*arguments, "--trials", "3", "--no-cache"]) == 0
    assert (tmp_path / "tune" / "small.log").read_text(encoding="utf-8").count("Trained BTC") == 3
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()} == kept
