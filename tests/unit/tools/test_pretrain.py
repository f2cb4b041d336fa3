"""The parts of the pretraining that need no training."""

from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from pandas import DataFrame
from unit_windows import DATES, artefacts, window

from freqai_lstm.bridge.folders import IdentifierFolder, Window
from freqai_lstm.cli import main
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools import pretrain as command
from freqai_lstm.tools.cache import cache_folder
from freqai_lstm.tools.features import FeatureStore, PairFeatures
from freqai_lstm.tools.pretrain import Account, Failure, check_regressor, missing_chains, pretrain
from freqai_lstm.tools.progress import WorkBar
from freqai_lstm.tools.walk import Outcome
from tests.pools import InlinePool

BTC, SOL = "BTC/USDT:USDT", "SOL/USDT:USDT"


def test_windows_are_independent_unless_learning_continues() -> None:
    windows = [window(number) for number in range(3)]
    assert missing_chains(windows, [windows[1]], continual_learning=False) == [
        [windows[0]],
        [windows[2]],
    ]
    assert missing_chains(windows, [], continual_learning=False) == [[each] for each in windows]
    assert missing_chains(windows, [], continual_learning=True) == [windows]
    assert missing_chains(windows, windows, continual_learning=False) == []
    assert missing_chains(windows, windows, continual_learning=True) == []


def test_chain_is_of_missing_windows_alone() -> None:
    windows = [window(number) for number in range(7)]
    present = [windows[number] for number in (5, 2)]
    assert missing_chains(windows, present, continual_learning=True) == [
        windows[:2],
        windows[3:5],
        windows[6:],
    ]
    assert missing_chains(windows, windows[:-1], continual_learning=True) == [windows[-1:]]


def test_other_prediction_models_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"freqaimodel: must be PyTorchLSTM.* was Simple"):
        check_regressor(SimpleNamespace(freqai=SimpleNamespace()))


class Plan:
    """Windows of pairs that are trained, each in no time, with no strategy and no candles.

    :param stored: The identifier's folder.
    :param lengths: The number of windows of each pair.
    """

    def __init__(
        self, stored: IdentifierFolder, lengths: dict[str, int], continual_learning: bool
    ) -> None:
        self.windows = {
            pair: [window(number, pair) for number in range(length)]
            for pair, length in lengths.items()
        }
        training = SimpleNamespace(n_epochs=10, warm_start_epochs=3.0)
        settings = SimpleNamespace(
            model_training_parameters=SimpleNamespace(trainer_kwargs=training),
            continual_learning=continual_learning,
            backtest_period_days=1,
            train_period_days=20,
        )
        freqai = SimpleNamespace(
            full_path=stored.path,
            save_backtest_models=True,
            continual_learning=continual_learning,
            settings=settings,
        )
        days = max(lengths.values())
        dates = pd.Series(pd.date_range(DATES[0], periods=24 * days, freq="h"))
        self.loaded: Any = SimpleNamespace(
            config={
                "exchange": {"pair_whitelist": [*lengths]},
                "timeframe": "1h",
                "freqai": {"backtest_period_days": 1},
            },
            strategy=SimpleNamespace(freqai=freqai),
            candles={pair: DataFrame({"date": dates}) for pair in lengths},
        )
        self.store: Any = SimpleNamespace(features=lambda loaded, pair: PairFeatures(DataFrame()))

    def pretrain(self, pool: Any) -> Account:
        return pretrain(self.loaded, pool, self.store)


Planner = Callable[..., Plan]


@pytest.fixture
def planned(stored: IdentifierFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planner:
    """Give a plan that the command takes for its own; its models are trained at once."""

    def make(continual_learning: bool = True, **lengths: int) -> Plan:
        pairs = {f"{coin}/USDT:USDT": length for coin, length in lengths.items()}
        plan = Plan(stored, pairs, continual_learning)
        monkeypatch.setattr(command, "plan_windows", lambda config, pair: plan.windows[pair])
        return plan

    def walk(
        project: Any, features: PairFeatures, windows: list[Window], seed: Any, previous: Any
    ) -> Outcome:
        return Outcome({each.model_filename: artefacts(tmp_path, each) for each in windows})

    monkeypatch.setattr(command, "pack_project", lambda *_: None)
    monkeypatch.setattr(command, "walk", walk)
    return make


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
    planned: Planner,
    stored: IdentifierFolder,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
) -> None:
    plan = planned(continual_learning=False, BTC=2)
    succeed = command.walk

    def walk(project: Any, features: PairFeatures, windows: list[Window], *rest: Any) -> Outcome:
        (one,) = windows
        if one == window(0):
            raise error
        return succeed(project, features, windows, *rest)

    monkeypatch.setattr(command, "walk", walk)
    account = plan.pretrain(InlinePool())
    assert account == Account(trained=1, failures=[Failure(BTC, "20240210-20240211", told)])
    assert stored.holds(window(1), DATES)


# Chains


class WidePool(InlinePool):
    """Takes all that it is given at once."""

    capacity = 100


class NarrowPool(InlinePool):
    """Takes one job at a time."""

    capacity = 1


def pieces(pool: InlinePool) -> list[list[Window]]:
    """Return what each job trained, in the order in which they were given out."""
    return [arguments[2] for arguments in pool.submitted]


def test_longest_chain_goes_on_first(planned: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_PIECE", 2)
    plan = planned(BTC=2, ETH=7, SOL=4)
    pool = NarrowPool()
    assert plan.pretrain(pool) == Account(trained=13)
    btc, eth, sol = plan.windows.values()
    # Each pair is begun, so that its features are computed while others are trained.
    begun = [btc[:2], eth[:2], sol[:2]]
    # ETH has 5 left, then 3, then 1; SOL has 2.
    assert pieces(pool) == [*begun, eth[2:4], eth[4:6], sol[2:], eth[6:]]


def test_longest_of_several_chains_of_a_pair_goes_on_first(
    planned: Planner, stored: IdentifierFolder, tmp_path: Path
) -> None:
    plan = planned(BTC=8)
    windows = plan.windows[BTC]
    for number in (1, 4):
        stored.store(windows[number], artefacts(tmp_path, windows[number]))
    pool = NarrowPool()
    assert plan.pretrain(pool) == Account(found=2, trained=6)
    assert pieces(pool) == [windows[:1], windows[5:], windows[2:4]]


@pytest.mark.parametrize("piece", [1, 2, 3])
def test_piece_of_a_chain_waits_for_the_one_before(
    planned: Planner, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(command, "_PIECE", piece)
    plan = planned(BTC=5, ETH=4)
    pool = WidePool()
    assert plan.pretrain(pool) == Account(trained=9)
    for pair, windows in plan.windows.items():
        given = [each for each in pool.submitted if each[2][0].pair == pair]
        assert [each[2] for each in given] == [
            windows[first : first + piece] for first in range(0, len(windows), piece)
        ]
        # Had it not waited, the model to start from would not be there.
        assert given[0][4] is None
        for _, _, [first, *_], _, (before, network) in given[1:]:
            model = windows[windows.index(first) - 1]
            assert (before.model_filename, before.stop) == (model.model_filename, model.stop)
            assert [*network.files] == [f"{model.model_filename}_model.zip"]


def test_single_windows_wait_for_nothing(planned: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(continual_learning=False, BTC=3)
    pool = WidePool()
    assert plan.pretrain(pool) == Account(trained=3)
    assert pieces(pool) == [[each] for each in plan.windows[BTC]]
    assert {arguments[4] for arguments in pool.submitted} == {None}


def test_chain_goes_on_after_a_piece_that_failed(
    planned: Planner, stored: IdentifierFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_PIECE", 1)
    plan = planned(BTC=3)
    succeed = command.walk

    def walk(project: Any, features: PairFeatures, windows: list[Window], *rest: Any) -> Outcome:
        if windows == [window(1)]:
            raise ValueError("no luck")
        return succeed(project, features, windows, *rest)

    monkeypatch.setattr(command, "walk", walk)
    pool = WidePool()
    failure = Failure(BTC, "20240211-20240212", "ValueError: no luck")
    assert plan.pretrain(pool) == Account(trained=2, failures=[failure])
    assert pieces(pool) == [[each] for each in plan.windows[BTC]]
    # It starts from scratch, as in a backtest.
    assert pool.submitted[2][4] is None
    assert stored.holds(window(2), plan.loaded.candles[BTC]["date"])


def test_bar_is_full_at_the_end(
    planned: Planner, stored: IdentifierFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(BTC=6, ETH=2, SOL=3)
    for one in plan.windows[BTC][:2]:
        stored.store(one, artefacts(tmp_path, one))
    del plan.loaded.candles[SOL]
    bars: list[WorkBar] = []
    advance = WorkBar.advance

    def advanced(self: WorkBar, things: int, work: float) -> None:
        advance(self, things, work)
        bars.append(self)

    monkeypatch.setattr(WorkBar, "advance", advanced)
    account = plan.pretrain(NarrowPool())
    assert (account.found, account.trained, len(account.failures)) == (2, 6, 3)
    [task] = bars[-1].progress.tasks
    assert task.fields["done"] == task.fields["things"] == 11
    assert task.completed == pytest.approx(task.total)


# The command


def test_command_tells_what_it_did_and_fails_where_a_model_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: dict[str, Any] = {}
    stores: list[Path] = []

    def load(options: dict[str, Any]) -> Any:
        taken.update(options)
        return SimpleNamespace(strategy=None, config={"user_data_dir": tmp_path})

    def work(loaded: Any, pool: Any, store: FeatureStore) -> Account:
        stores.append(store.cache.folder)
        store.cache.keep("features", 1)
        return accounts.pop(0)

    accounts = [
        Account(found=1, trained=2, failures=[Failure("BTC/USDT", "20240210-20240211", "no luck")]),
        Account(found=3),
    ]
    monkeypatch.setattr(command, "load_walk_forward", load)
    monkeypatch.setattr(command, "check_regressor", lambda strategy: None)
    monkeypatch.setattr(command, "pool_for", lambda *_: InlinePool())
    monkeypatch.setattr(command, "pretrain", work)
    line = ["pretrain", "-c", "config.json", "--timerange", "20240210-20240211", "--jobs", "2"]
    assert main(line) == 1
    printed = capsys.readouterr().out
    assert "no luck" in printed
    assert "2 models trained, 1 found, 1 failed" in printed
    assert main([*line, "--no-cache"]) == 0
    assert "0 models trained, 3 found, 0 failed" in capsys.readouterr().out
    kept, gone = stores
    assert kept == cache_folder(tmp_path)
    assert [file.name for file in kept.iterdir()] == ["features.joblib"]
    assert not gone.exists()
    assert taken["config"] == ["config.json"]
    assert taken["timerange"] == "20240210-20240211"
    assert not {"jobs", "cache"} & taken.keys()


@pytest.mark.parametrize("command_name", ["pretrain", "evaluate", "tune"])
def test_jobs_below_one_are_refused(command_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command_name, "-c", "c.json", "--timerange", "20240210-20240211", "-j", "0"])
    assert caught.value.code == 2
    assert "--jobs: must be at least 1, was 0" in capsys.readouterr().err
