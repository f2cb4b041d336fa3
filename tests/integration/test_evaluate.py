"""The comparison as a user runs it, through FreqAI and without an exchange."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from freqai_lstm.cli import main
from freqai_lstm.score import LABELS
from tests.conftest import PAIRS, ROOT
from tests.integration.test_quick_start import SMALL

BTC = PAIRS[0]
FEW_TREES = {
    "lightgbm": {
        "freqaimodel": "LightGBMRegressorMultiTarget",
        "model_training_parameters": {"n_estimators": 2, "n_jobs": 1, "verbosity": -1},
    },
    "transformer": {
        "freqaimodel": "PyTorchTransformerRegressor",
        "conv_width": 5,
        "model_training_parameters": {
            "trainer_kwargs": {"n_steps": None, "n_epochs": 1, "batch_size": 256},
            "model_kwargs": {"hidden_dim": 8, "n_layer": 1},
        },
    },
}


@pytest.fixture
def arguments(config: dict[str, Any], tmp_path: Path) -> list[str]:
    """One pair, one window, the features of one timeframe alone."""
    small = tmp_path / "small.json"
    strategy = {name: config[name] for name in ("strategy_path", "freqaimodel_path")}
    few = copy.deepcopy(SMALL)
    few["freqai"]["feature_parameters"] |= {
        "include_timeframes": ["1h"],
        "include_corr_pairlist": [],
    }
    small.write_text(json.dumps(few | strategy))
    (tmp_path / "models.json").write_text(json.dumps(FEW_TREES))
    return [
        *("evaluate", "-c", str(ROOT / "config-torch.json"), "-c", str(small)),
        *("--userdir", str(tmp_path), "-d", str(config["datadir"]), "-p", BTC),
        *("--timerange", "20240210-20240215", "--candidates", str(tmp_path / "models.json")),
        *("--seeds", "1", "--horizons", "0", "-o", str(tmp_path / "out" / "figures.json")),
    ]


def test_comparison_runs_every_model_once(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "WALK-FORWARD COMPARISON OF score, 20240210-20240215" in output
    assert "one row late" in output
    figures = json.loads((tmp_path / "out" / "figures.json").read_text(encoding="utf-8"))
    models = ["lstm", "ridge", "lightgbm", "transformer", "persistence"]
    rows = [(row["pair"], row["model"]) for row in figures["rows"] if row["label"] == "score"]
    assert rows == [(BTC, model) for model in models]
    assert {row["label"] for row in figures["rows"]} == {"score", *LABELS}
    assert "&-score_w0" not in output
    # The candle at the end of the timerange is predicted as well.
    assert {row["candles"] for row in figures["rows"]} == {121}
    assert figures["rows"][0]["figures"]["correlation"]["mean"] > 0.5
    assert set(figures["core_seconds_per_training"]) == set(models[:-1])
    log = (tmp_path / "out" / "figures.log").read_text(encoding="utf-8")
    assert log.count("Trained BTC/USDT:USDT in") == 1
    # All models take the same features and labels.
    kept = sorted(file.name.partition("-")[0] for file in (tmp_path / "cache").iterdir())
    assert kept == ["features", "labels"]
    # All of it is finished: nothing runs, and the figures are the same.
    assert main(arguments) == 0
    assert (tmp_path / "out" / "figures.log").read_text(encoding="utf-8") == log
    assert json.loads((tmp_path / "out" / "figures.json").read_text(encoding="utf-8")) == figures


def test_wrong_settings_are_refused_before_anything_runs(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small.json"
    content = json.loads(small.read_text())
    content["freqai"]["feature_parameters"]["return_head"] = True
    small.write_text(json.dumps(content))
    assert main(arguments) == 2
    assert "freqai.feature_parameters.return_head" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_open_timerange_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--timerange", "20240210-"]) == 2
    assert "--timerange: must have a start and an end, was '20240210-'" in capsys.readouterr().err


def test_figures_do_not_replace_the_candidates(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidates = tmp_path / "models.json"
    before = candidates.read_text(encoding="utf-8")
    assert main([*arguments, "-o", str(tmp_path / "out" / ".." / "models.json")]) == 2
    assert "--output: must be another file than --candidates" in capsys.readouterr().err
    assert candidates.read_text(encoding="utf-8") == before
