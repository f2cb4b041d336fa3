"""Strategies and markets that this package does not know: freqtrade's own, unchanged."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import freqtrade
import pytest

from freqai_lstm.cli import main
from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.synthetic import SyntheticMarket
from freqai_lstm.tools import pretrain
from freqai_lstm.tools.evaluate import cli as evaluate
from freqai_lstm.tools.tune import cli as tune
from tests.conftest import ROOT
from tests.pools import InlinePool
from tests.replay_server import ReplayServer

pytestmark = [
    pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning"),
    # LightGBM's, of what FreqAI calls.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TEMPLATES = Path(freqtrade.__file__).parent / "templates"
PAIRS = {"futures": ["BTC/USDT:USDT", "ETH/USDT:USDT"], "spot": ["BTC/USDT", "ETH/USDT"]}
TIMERANGE = ["--timerange", "20240220-20240225"]
STRATEGIES = {
    "FreqaiExampleStrategy": ("futures", "PyTorchLSTMRegressor"),
    "FreqaiExampleHybridStrategy": ("futures", "PyTorchLSTMClassifier"),
    "ExampleLSTMStrategy": ("spot", "PyTorchLSTMRegressor"),
}


class Project:
    """A user directory with freqtrade's strategies and ours, and the candles of one market."""

    def __init__(self, folder: Path, mode: str, server: ReplayServer) -> None:
        self.folder, self.mode = folder, mode
        for name in ("strategies", "freqaimodels"):
            shutil.copytree(ROOT / "user_data" / name, folder / name)
        for file in TEMPLATES.glob("FreqaiExample*Strategy.py"):
            shutil.copy(file, folder / "strategies")
        config = json.loads((ROOT / "config-torch.json").read_text())
        if mode == "spot":
            overlay = json.loads((ROOT / "user_data" / "config-spot.json").read_text())
            config.update(trading_mode="spot", margin_mode=overlay["margin_mode"])
        config["exchange"]["pair_whitelist"] = PAIRS[mode]
        del config["strategy"], config["freqaimodel"]
        freqai = config["freqai"]
        freqai.update(train_period_days=12, backtest_period_days=3, activate_tensorboard=False)
        # Networks this small trade too seldom with warm starts for freqtrade's look-ahead check.
        freqai["continual_learning"] = False
        freqai["feature_parameters"].update(
            include_timeframes=["1h"],
            include_corr_pairlist=PAIRS[mode][:1],
            label_period_candles=4,
            indicator_periods_candles=[10],
        )
        training = freqai["model_training_parameters"]
        training["model_kwargs"].update(hidden_dim=8, num_lstm_layers=1)
        training["trainer_kwargs"].update(n_epochs=2, progress_bar=False)
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "overlay.json").write_text(json.dumps(exchange_overlay(server.url, mode)))
        data = ["--timerange", "20240101-20240226", "--timeframes", "1h"]
        self.freqtrade("download-data", *data, *self.options(None))

    @property
    def pair(self) -> str:
        """The pair that is enough where others would only take longer."""
        return PAIRS[self.mode][1]

    def options(self, strategy: str | None, identifier: str = "") -> list[str]:
        configs = ["--config", str(self.folder / "config.json")]
        configs += ["--config", str(self.folder / "overlay.json"), "--userdir", str(self.folder)]
        if strategy is None:
            return configs
        own = self.folder / f"{identifier or strategy}.json"
        own.write_text(json.dumps({"freqai": {"identifier": (identifier or strategy).lower()}}))
        model = STRATEGIES[strategy][1]
        named = ["--strategy", strategy, "--freqaimodel", model]
        return [*configs, "--config", str(own), *named, *TIMERANGE]

    def freqtrade(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "freqtrade", *arguments],
            cwd=self.folder,
            # Tables are cut to the width of the terminal.
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert " - ERROR - " not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Project]]:
    """A project for each kind of market."""
    found = {}
    servers = []
    for mode, pairs in PAIRS.items():
        market = SyntheticMarket(
            5,
            start_ms=parse_day_ms("20240101"),
            end_ms=parse_day_ms("20240301"),
            trading_mode=mode,
            pairs=pairs,
        )
        server = ReplayServer(market)
        servers.append(server)
        folder = tmp_path_factory.mktemp(mode)
        found[mode] = Project(folder, mode, server.__enter__())
    yield found
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_tool_serves_a_strategy_unchanged(
    projects: dict[str, Project],
    strategy: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for command in (pretrain, tune, evaluate):
        monkeypatch.setattr(command, "open_pool", lambda *_, **__: InlinePool())
    project = projects[STRATEGIES[strategy][0]]
    options = project.options(strategy)
    output = project.freqtrade("backtesting", *options, "--cache", "none")
    assert "BACKTESTING REPORT" in output
    assert output.count(" - WARNING - ") == 0, output

    assert main(["skill", *options]) == 0
    label = {"FreqaiExampleStrategy": "&-s_close", "ExampleLSTMStrategy": "score"}.get(
        strategy, "&s-up_or_down"
    )
    assert f"predicted against true {label} " in capsys.readouterr().out

    page = project.folder / f"report-{strategy}.html"
    assert main(["report", *options, "--output", str(page)]) == 0
    content = json.loads(page.with_suffix(".json").read_text())
    assert label in content["labels"]
    assert content["trading"]["trades"] is not None
    assert "Money: " in capsys.readouterr().out

    # What the backtest has trained is there.
    assert main(["pretrain", *options, "--jobs", "1"]) == 0
    assert "0 models trained, 4 found, 0 failed" in capsys.readouterr().out

    assert main(["parity", *options[: -len(TIMERANGE)]]) == 2
    assert "must hold the predictions of a live or dry-run bot" in capsys.readouterr().err

    if strategy == "ExampleLSTMStrategy":
        # Its own tests compare and tune.
        return
    trial = ["--trials", "1", "--parameters", "n_epochs", "--name", strategy]
    assert main(["tune", *options, *trial, "--pairs", project.pair]) == 0
    assert f"OF {label}, 20240220-20240225" in capsys.readouterr().out
    models = ["--models", "lstm", "lightgbm", "--seeds", "1", "--pairs", project.pair]
    assert main(["evaluate", *options, *models]) == 0
    assert f"WALK-FORWARD COMPARISON OF {label}, 20240220" in capsys.readouterr().out


def test_search_without_parameters_is_refused_before_any_work(
    projects: dict[str, Project], capsys: pytest.CaptureFixture[str]
) -> None:
    options = projects["futures"].options("FreqaiExampleStrategy", "unsearched")
    assert main(["confirm", *options, "--epochs", "1"]) == 2
    error = capsys.readouterr().err
    assert "--spaces: must be spaces that the strategy has parameters in" in error
    assert "FreqaiExampleStrategy has none, was buy, sell" in error


def test_freqtrades_own_checks_find_no_look_ahead(projects: dict[str, Project]) -> None:
    project = projects["spot"]
    # One that trades often.
    eager = project.folder / "eager"
    shutil.copytree(project.folder / "strategies", eager)
    thresholds = {"buy": {"threshold_buy": 0.1}, "sell": {"threshold_sell": -0.1}}
    params = {**thresholds, "roi": {"0": 0.001}}
    content = {"strategy_name": "ExampleLSTMStrategy", "params": params}
    (eager / "ExampleLSTMStrategy.json").write_text(json.dumps(content))
    options = project.options("ExampleLSTMStrategy", "throw-away")
    options += ["--strategy-path", str(eager), "--pairs", project.pair]
    trades = ["--minimum-trade-amount", "1", "--targeted-trade-amount", "2"]
    output = project.freqtrade("lookahead-analysis", *options, *trades)
    assert "no bias detected" in output, output
    assert "bias detected!" not in output
    # Another start of the candles means other models: only what is computed can be compared.
    output = project.freqtrade("recursive-analysis", *options)
    rows = [line for line in output.splitlines() if line.startswith("│") and "%" in line]
    assert any("&-score_w0" in row for row in rows)
    assert all("0.000%" in row for row in rows if "volatility" in row or "regime" in row)


def test_refused_settings_end_with_a_code(projects: dict[str, Project]) -> None:
    project = projects["futures"]
    options = project.options("FreqaiExampleStrategy", "refused")
    wrong = project.folder / "wrong.json"
    wrong.write_text(json.dumps({"freqai": {"train_period_days": 1}}))
    command = [sys.executable, "-m", "freqtrade", "backtesting", *options, "--config", str(wrong)]
    done: Any = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 2
    # freqtrade breaks long lines.
    assert "freqai.train_period_days: must be at least 4, so that" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
