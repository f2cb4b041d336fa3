"""Hyperopt through freqtrade's own classes and commands: every epoch is a real backtest."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.configuration import setup_utils_configuration
from freqtrade.data.history import download_data_main
from freqtrade.enums import HyperoptState, RunMode
from freqtrade.exceptions import StrategyError
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.optimize.hyperopt import Hyperopt
from freqtrade.optimize.hyperopt.hyperopt_optimizer import MAX_LOSS, optuna_samplers_dict
from freqtrade.optimize.hyperopt_tools import HyperoptStateContainer, HyperoptTools
from freqtrade.resolvers import StrategyResolver
from freqtrade.resolvers.hyperopt_resolver import HyperOptLossResolver

from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.synthetic import SyntheticMarket
from freqai_lstm.score import DEFAULT_WEIGHTS, WEIGHT_NAMES
from freqai_lstm.trainer import PyTorchLSTMTrainer
from tests.conftest import ROOT, TIMEFRAMES
from tests.replay_server import ReplayServer

STRATEGY = "ExampleLSTMStrategy"
TIMERANGE = "20240131-20240220"
TRADED = ["BTC/USDT:USDT", "SOL/USDT:USDT"]
# Two training windows of each pair.
TRAININGS = [TRADED[0]] * 2 + [TRADED[1]] * 2
EPOCHS = 22
SMALL = {
    "exchange": {"pair_whitelist": TRADED},
    "freqai": {
        "identifier": "hyperopt",
        "train_period_days": 20,
        "backtest_period_days": 10,
        "activate_tensorboard": False,
        "feature_parameters": {
            "include_timeframes": TIMEFRAMES,
            "include_corr_pairlist": ["ETH/USDT:USDT"],
            "indicator_periods_candles": [10],
        },
        "model_training_parameters": {
            "learning_rate": 1e-2,
            "model_kwargs": {"hidden_dim": 8, "num_lstm_layers": 2},
            "trainer_kwargs": {"n_epochs": 8, "progress_bar": False},
        },
    },
}
FIXED_THRESHOLDS = {"buy": {"threshold_buy": 0.3}, "sell": {"threshold_sell": -0.3}}
# What this search leaves at its default; without a return head or an ensemble, so does every one.
UNSEARCHED = {
    "direction": "follow",
    "require_return": True,
    "return_threshold": 0.0,
    "min_certainty": 0.0,
}

pytestmark = [
    # Its fixture searches and trains for the whole module.
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning"),
    # Multivariate samplers and the terminator are experimental in optuna.
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@dataclass
class Project:
    """A user directory with candles, and the configurations to use it."""

    folder: Path
    trained: list[str] = field(default_factory=list)

    @property
    def userdir(self) -> Path:
        return self.folder / "user_data"

    @property
    def configs(self) -> list[str]:
        names = ("config-torch.json", "small.json", "exchange.json")
        return [str(self.folder / name) for name in names]

    def arguments(self, **others: Any) -> dict[str, Any]:
        common = {
            "config": self.configs,
            "user_data_dir": str(self.userdir),
            "datadir": str(self.userdir / "data"),
            "timerange": TIMERANGE,
        }
        return common | others

    def strategies(self, name: str, parameters: dict[str, Any] | None = None) -> Path:
        """Make a folder with the real strategy, and a parameter file where there are any."""
        folder = self.folder / name
        shutil.copytree(ROOT / "user_data" / "strategies", folder, dirs_exist_ok=True)
        file = folder / f"{STRATEGY}.json"
        file.unlink(missing_ok=True)
        if parameters is not None:
            content = {"strategy_name": STRATEGY, "params": parameters, "ft_stratparam_v": 1}
            file.write_text(json.dumps(content))
        return folder

    def run(self, program: str, *arguments: str) -> str:
        """Run a command as a user does, and give its output."""
        options = [option for path in self.configs for option in ("--config", path)]
        options += ["--userdir", str(self.userdir), "--datadir", str(self.userdir / "data")]
        done = subprocess.run(
            [str(Path(sys.executable).parent / program), *arguments, *options],
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert " - ERROR - " not in output
        assert "Trained " not in output
        return output


@pytest.fixture(scope="module")
def project(market: SyntheticMarket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with downloaded candles, whose exchange runs, that counts its trainings."""
    made = Project(tmp_path_factory.mktemp("hyperopt"))
    fit = PyTorchLSTMTrainer.fit

    def counted(self: PyTorchLSTMTrainer, *arguments: Any) -> None:
        made.trained.append(self.description)
        fit(self, *arguments)

    for name in ("strategies", "freqaimodels"):
        shutil.copytree(ROOT / "user_data" / name, made.userdir / name)
    shutil.copy(ROOT / "config-torch.json", made.folder)
    (made.folder / "small.json").write_text(json.dumps(SMALL))
    with ReplayServer(market) as server, pytest.MonkeyPatch.context() as patch:
        (made.folder / "exchange.json").write_text(json.dumps(exchange_overlay(server.url)))
        patch.setattr(PyTorchLSTMTrainer, "fit", counted)
        # It would replace pytest's own handlers.
        patch.setattr("freqtrade.configuration.configuration.setup_logging", lambda config: None)
        arguments = made.arguments(
            timerange="20231101-20240220", timeframes=TIMEFRAMES, pairs=[*TRADED, "ETH/USDT:USDT"]
        )
        download_data_main(setup_utils_configuration(arguments, RunMode.UTIL_EXCHANGE))
        yield made


@dataclass
class Search:
    """A hyperopt run with fixed thresholds over the weights."""

    hyperopt: Hyperopt
    trades: list[pd.DataFrame]
    trainings_before_epochs: int
    judged: dict[str, Any]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        options = {"hyperopt_list_best": False}
        return list(HyperoptTools.load_filtered_results(self.hyperopt.results_file, options)[0])

    @property
    def exported(self) -> dict[str, Any]:
        """The parameter file that hyperopt wrote beside the strategy, as its content."""
        file = Path(self.hyperopt.config["strategy_path"]) / f"{STRATEGY}.json"
        loaded: dict[str, Any] = HyperoptTools.load_params_from_file(file)
        return loaded


def make_hyperopt(project: Project, strategies: Path, epochs: int) -> Hyperopt:
    arguments = project.arguments(
        strategy_path=str(strategies),
        epochs=epochs,
        spaces=["buy", "sell"],
        hyperopt_loss="SharpeHyperOptLossDaily",
        hyperopt_jobs=1,
        hyperopt_random_state=1,
        hyperopt_min_trades=1,
    )
    return Hyperopt(setup_optimize_configuration(arguments, RunMode.HYPEROPT))


@pytest.fixture(scope="module")
def search(project: Project) -> Search:
    """Search the weights; the first pass trains all models of this module."""
    strategies = project.strategies("searched", FIXED_THRESHOLDS)
    hyperopt = make_hyperopt(project, strategies, EPOCHS)
    backtesting = hyperopt.hyperopter.backtesting
    backtesting.strategy.threshold_buy.optimize = False
    backtesting.strategy.direction.optimize = False
    backtesting.strategy.threshold_sell.optimize = False
    hyperopt.hyperopter.config["spaces"] = ["buy"]
    # Searches that start later must not change what this one's epochs load.
    hyperopt.hyperopter.data_pickle_file = project.folder / "search.pkl"
    made = Search(hyperopt, [], -1, {})
    backtest, calculate_loss = backtesting.backtest, hyperopt.hyperopter.calculate_loss

    def recorded(**arguments: Any) -> Any:
        if made.trainings_before_epochs < 0:
            made.trainings_before_epochs = len(project.trained)
        content = backtest(**arguments)
        made.trades.append(trades_of(content))
        return content

    def judged(**arguments: Any) -> float:
        made.judged = arguments
        return float(calculate_loss(**arguments))

    backtesting.backtest = recorded
    hyperopt.hyperopter.calculate_loss = judged
    hyperopt.start()
    backtesting.backtest = backtest
    return made


def trades_of(content: Any) -> pd.DataFrame:
    columns = ["pair", "open_date", "close_date", "is_short", "profit_ratio", "profit_abs"]
    return content["results"][columns].reset_index(drop=True)


class PlainBacktest:
    """freqtrade's backtesting, which takes a strategy and its parameter file from a folder."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.config = setup_optimize_configuration(project.arguments(), RunMode.BACKTEST)
        self.backtesting = Backtesting(self.config)
        self.data, self.timerange = self.backtesting.load_bt_data()

    def strategy(self, folder: Path) -> Any:
        self.config["strategy_path"] = str(folder)
        strategy = StrategyResolver.load_strategy(self.config)
        self.backtesting._set_strategy(strategy)
        return strategy

    def trades(self, parameters: dict[str, Any] | None) -> pd.DataFrame:
        """Backtest with these parameters in the strategy's own parameter file."""
        folder = self.project.strategies("plain", parameters)
        strategy = self.strategy(folder)
        self.backtesting.backtest_one_strategy(strategy, self.data, self.timerange)
        return trades_of(self.backtesting.all_bt_content[STRATEGY])

    def analysed(self, parameters: dict[str, Any] | None) -> dict[str, pd.DataFrame]:
        """Return each pair's candles with all indicators and signals."""
        strategy = self.strategy(self.project.strategies("plain", parameters))
        indicators = strategy.advise_all_indicators(self.data)
        return {
            pair: strategy.ft_advise_signals(frame, {"pair": pair})
            for pair, frame in indicators.items()
        }


@pytest.fixture(scope="module")
def plain(project: Project, search: Search) -> Iterator[PlainBacktest]:
    assert search.trades
    made = PlainBacktest(project)
    yield made
    made.backtesting.exchange.close()


def weights(*values: float) -> dict[str, Any]:
    named = dict(zip(WEIGHT_NAMES, values, strict=True))
    buy = FIXED_THRESHOLDS["buy"] | named
    return FIXED_THRESHOLDS | {"buy": buy}


def test_distinct_weights_give_distinct_trades(search: Search) -> None:
    searched = {tuple(epoch["params_dict"].values()) for epoch in search.epochs}
    assert len(searched) == len(search.trades) == EPOCHS
    assert set(search.epochs[0]["params_dict"]) == set(WEIGHT_NAMES)
    assert all(len(trades) > 5 for trades in search.trades)
    lists = {tuple(trades.itertuples(index=False, name=None)) for trades in search.trades}
    # Weights that are nearly alike may trade alike, the others not.
    assert len(lists) >= 20
    # What is traded when differs, not only the profit.
    opened = {tuple(zip(t["pair"], t["open_date"], strict=True)) for t in search.trades}
    assert len(opened) >= 20


def test_an_epoch_is_a_plain_backtest_with_its_parameters(
    project: Project, search: Search, plain: PlainBacktest, tmp_path: Path
) -> None:
    file = tmp_path / "parameters.json"
    for epoch, trades in list(zip(search.epochs, search.trades, strict=True))[::4]:
        HyperoptTools.export_params(epoch, STRATEGY, file)
        parameters = HyperoptTools.load_params_from_file(file)["params"]
        assert parameters["buy"]["threshold_buy"] == 0.3
        pd.testing.assert_frame_equal(plain.trades(parameters), trades, check_exact=True)
    assert project.trained == TRAININGS


def test_nothing_is_trained_after_the_first_pass(project: Project, search: Search) -> None:
    assert search.trainings_before_epochs == len(TRAININGS)
    assert project.trained == TRAININGS


def test_exported_parameters_are_picked_up_without_training(
    project: Project, search: Search, plain: PlainBacktest
) -> None:
    best = min(search.epochs, key=lambda epoch: epoch["loss"])
    exported = search.exported["params"]
    assert exported["buy"] == best["params_details"]["buy"] | FIXED_THRESHOLDS["buy"] | UNSEARCHED
    found = plain.trades(exported)
    pd.testing.assert_frame_equal(found, search.trades[best["current_epoch"] - 1], check_exact=True)
    assert not found.equals(plain.trades(None))
    assert project.trained == TRAININGS


@pytest.mark.parametrize("chosen", WEIGHT_NAMES)
def test_single_weight_gives_its_component_times_volatility(
    plain: PlainBacktest, chosen: str
) -> None:
    values = [float(name == chosen) for name in WEIGHT_NAMES]
    for analysed in plain.analysed(weights(*values)).values():
        predicted = analysed[analysed["do_predict"] == 1]
        assert len(predicted) >= 20 * 24
        expected = predicted[f"&-score_{chosen}"] * predicted["volatility"]
        np.testing.assert_allclose(predicted["&-target"], expected, rtol=1e-12)
        assert analysed.loc[analysed["do_predict"] != 1, "&-target"].isna().all()


def test_weights_of_zero_trade_nothing(search: Search, plain: PlainBacktest) -> None:
    zero = weights(*[0.0] * 9)
    assert plain.trades(zero).empty
    assert all(frame["score"].isna().all() for frame in plain.analysed(zero).values())
    epoch = search.hyperopt.hyperopter.generate_optimizer(dict.fromkeys(WEIGHT_NAMES, 0.0))
    assert epoch["loss"] == MAX_LOSS
    assert epoch["results_metrics"]["total_trades"] == 0


def test_weights_near_zero_count_by_their_ratio(search: Search, plain: PlainBacktest) -> None:
    usual = plain.trades(weights(*DEFAULT_WEIGHTS))
    tiny = plain.trades(weights(*(1e-12 * weight for weight in DEFAULT_WEIGHTS)))
    assert len(usual) > 5
    pd.testing.assert_frame_equal(tiny, usual)
    epoch = search.hyperopt.hyperopter.generate_optimizer(dict.fromkeys(WEIGHT_NAMES, 1e-12))
    equal = plain.trades(weights(*[1.0] * 9))
    assert epoch["results_metrics"]["total_trades"] == len(equal)
    assert np.isfinite(epoch["loss"])


@pytest.mark.parametrize(("buy", "sell"), [(-2.0, 2.0), (0.2, 0.5), (-0.5, -0.2)])
def test_thresholds_out_of_order_are_refused(plain: PlainBacktest, buy: float, sell: float) -> None:
    parameters = {"buy": {"threshold_buy": buy}, "sell": {"threshold_sell": sell}}
    with pytest.raises(StrategyError, match=r"problem\(s\), nothing is traded:"):
        plain.trades(parameters)


def test_no_parameter_is_read_while_indicators_are_computed(
    project: Project, search: Search, caplog: pytest.LogCaptureFixture
) -> None:
    hyperopt = make_hyperopt(project, project.strategies("indicators"), 1)
    with caplog.at_level(logging.WARNING):
        hyperopt.hyperopter.prepare_hyperopt()
        assert "is used during indicator calculation" not in caplog.text
        # freqtrade would have said so.
        HyperoptStateContainer.set_state(HyperoptState.INDICATORS)
        assert hyperopt.hyperopter.backtesting.strategy.w0.value == DEFAULT_WEIGHTS[0]
        assert "Parameter 'w0' is part of this hyperopt run, but its value is used" in caplog.text
    HyperoptStateContainer.set_state(HyperoptState.OPTIMIZE)
    assert search.trades
    assert project.trained == TRAININGS


def test_every_loss_of_freqtrade_judges_an_epoch(project: Project, search: Search) -> None:
    config = dict(search.hyperopt.config)
    losses = [found["name"] for found in HyperOptLossResolver.search_all_objects(config, False)]
    assert len(losses) >= 12
    values = {}
    for name in losses:
        config["hyperopt_loss"] = name
        loss = HyperOptLossResolver.load_hyperoptloss(config)
        values[name] = loss.hyperopt_loss_function(**search.judged)
    assert np.isfinite(list(values.values())).all(), values


@pytest.mark.parametrize("sampler", sorted(optuna_samplers_dict))
def test_every_sampler_of_freqtrade_proposes_weights(search: Search, sampler: str) -> None:
    hyperopter = search.hyperopt.hyperopter
    hyperopter.custom_hyperopt.generate_estimator = lambda **_: sampler
    study = hyperopter.get_optimizer(1)
    for value in (1.0, 0.5):
        trial = study.ask(hyperopter.o_dimensions)
        assert set(trial.params) == set(WEIGHT_NAMES)
        assert all(0 <= weight <= 1 for weight in trial.params.values())
        study.tell(trial, value)


def epochs_since(project: Project, before: set[Path]) -> list[tuple[Any, ...]]:
    (file,) = set((project.userdir / "hyperopt_results").glob("*.fthypt")) - before
    epochs = [json.loads(line) for line in file.read_text().splitlines()]
    return [
        (epoch["params_dict"], epoch["loss"], epoch["results_metrics"]["total_trades"])
        for epoch in epochs
    ]


@pytest.mark.long
def test_two_processes_search_what_one_does(project: Project, search: Search) -> None:
    assert search.trades
    folder = project.userdir / "hyperopt_results"
    found = []
    for jobs in ("1", "2"):
        before = set(folder.glob("*.fthypt"))
        output = project.run(
            *("freqtrade", "hyperopt", "--strategy", STRATEGY),
            *("--freqaimodel", "PyTorchLSTMRegressor", "--timerange", "20240131-20240210"),
            *("--spaces", "buy", "sell", "--hyperopt-loss", "SharpeHyperOptLossDaily"),
            *("-j", jobs, "--epochs", "2", "--random-state", "7", "--disable-param-export"),
        )
        assert "is used during indicator calculation" not in output
        found.append(epochs_since(project, before))
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_confirm_judges_what_hyperopt_finds(project: Project, search: Search) -> None:
    assert search.trades
    before = set((project.userdir / "hyperopt_results").glob("*.fthypt"))
    output = project.run(
        *("freqai-lstm", "confirm", "--timerange", TIMERANGE, "--split", "0.5", "-j", "1"),
        *("--epochs", "2", "--random-state", "7"),
    )
    epochs = epochs_since(project, before)
    assert len(epochs) == 2
    assert set(epochs[0][0]) == {*WEIGHT_NAMES, "threshold_buy", "threshold_sell", "direction"}
    assert "is used during indicator calculation" not in output
    assert "SEARCHED ON 20240131-20240210, CONFIRMED ON 20240210-20240220" in output
    rows = {
        name: [float(cell) for cell in line.split("│")[2:-1]]
        for name in ("default", "found")
        for line in output.splitlines()
        if f" {name} │" in line
    }
    assert len(rows["default"]) == len(rows["found"]) == 8
    assert rows["default"] != rows["found"]
    best = min(epochs, key=lambda epoch: epoch[1])
    assert rows["found"][0] == best[2]
    assert "on the confirm range" in output
    assert "Deflated Sharpe ratio " in output
    assert "that the best of 2 epochs is better than" in output or "not defined" in output
    assert "below the median on the other half" in output
    # The strategy stays as it is, until the user says so.
    assert not list((project.userdir / "strategies").glob("*.json"))
    command = next(line for line in output.splitlines() if line.startswith("  cp "))
    _, source, target = command.split()
    assert Path(target) == project.userdir / "strategies" / f"{STRATEGY}.json"
    assert HyperoptTools.load_params_from_file(Path(source))["strategy_name"] == STRATEGY


def test_pretrain_finds_the_models_of_hyperopt(project: Project, search: Search) -> None:
    assert search.trades
    output = project.run("freqai-lstm", "pretrain", "--timerange", TIMERANGE, "--jobs", "2")
    assert f"0 models trained, {len(TRAININGS)} found, 0 failed" in output
