"""The quick start as a user runs it: the real freqtrade, the real ccxt, over HTTP."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from freqai_lstm.replay.binance.overlay import exchange_overlay
from tests.conftest import PAIRS, ROOT

SMALL = {
    "freqai": {
        "train_period_days": 20,
        "backtest_period_days": 5,
        "activate_tensorboard": False,
        "feature_parameters": {
            "include_timeframes": ["1h", "4h"],
            "include_corr_pairlist": ["ETH/USDT:USDT"],
            "indicator_periods_candles": [10],
        },
        "model_training_parameters": {
            "learning_rate": 1e-2,
            "model_kwargs": {"hidden_dim": 8, "num_lstm_layers": 2},
            "trainer_kwargs": {"n_epochs": 8},
        },
    }
}

# On a busy machine.
pytestmark = pytest.mark.timeout(600)

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the quick start needs, so that the checkout stays clean."""
    for name in ("scripts", "user_data/strategies", "user_data/freqaimodels"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "config-torch.json", tmp_path)
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    return tmp_path


@pytest.fixture
def shell(project: Path) -> Shell:
    """Run a command in the project, with this environment's programs."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CONFIG": "config-torch.json small.json",
        "PAIRS": " ".join(PAIRS),
        "TIMERANGE": "20230401-20230415",
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=290,
        )

    return run


REPLAY = ("scripts/with_replay_exchange.sh", "--end", "20230420", "--pairs", *PAIRS)


def test_quick_start_backtests_offline_and_reports_skill(project: Path, shell: Shell) -> None:
    # A pair that the exchange answers badly is left out, and the others go on.
    broken = ("--fault", "http_5xx,path=klines,symbol=SOLUSDT")
    done = shell(*REPLAY, *broken, "--", "scripts/backtest.sh")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "SOL/USDT:USDT" in output
    # Three windows for each pair: the first training and two retrainings.
    assert output.count("Trained ") == 6

    done = shell(*REPLAY, "--", "scripts/backtest.sh")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert " - ERROR - " not in output
    assert "BACKTESTING REPORT" in output
    assert "SKILL OUT OF SAMPLE" in output
    # A second run reuses the models' predictions.
    assert output.count("Trained SOL/USDT:USDT ") == output.count("Trained ") == 3
    for pair in PAIRS:
        skill = next(
            line for line in output.splitlines() if line.startswith(f"│ {pair} │         3")
        )
        assert float(skill.split("│")[5]) > 0.5
    report = json.loads(next((project / "user_data" / "plot").glob("report-*.json")).read_text())
    assert report["trading"]["trades"] > 0
    assert {pair: len(curves) for pair, curves in report["trainings"].items()} == dict.fromkeys(
        PAIRS, 3
    )
    page = next((project / "user_data" / "plot").glob("report-*.html"))
    assert f"Report: {page.relative_to(project)}" in output


def test_command_that_fails_stops_the_exchange_and_passes_its_exit_code_on(shell: Shell) -> None:
    done = shell(*REPLAY, "--", "bash", "-c", "echo $REPLAY_CONFIG; exit 7")
    assert done.returncode == 7
    folder = Path(done.stdout.splitlines()[-1]).parent
    assert not folder.exists()


def test_wrapper_ends_when_the_exchange_cannot_start(shell: Shell, tmp_path: Path) -> None:
    done = shell(
        "scripts/with_replay_exchange.sh", "--datadir", str(tmp_path / "none"), "--", "true"
    )
    assert done.returncode == 2
    assert "none" in done.stderr


def test_dead_exchange_is_an_error_that_names_it(project: Path, shell: Shell) -> None:
    # A port of this machine that nothing listens on.
    overlay = project / "dead.json"
    overlay.write_text(json.dumps(exchange_overlay("http://127.0.0.1:9")))
    done = shell(
        *("freqtrade", "backtesting", "--config", "config-torch.json", "--config", str(overlay)),
        *("--userdir", "user_data", "--timerange", "20230401-20230415"),
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "127.0.0.1:9" in output
