"""The parts of the pretraining that need no training."""

import gc
import json
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import joblib
import pandas as pd
import pytest
from pandas import DataFrame

from freqai_lstm.cli import main
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.pretrain import cli, cluster, workers
from freqai_lstm.pretrain.cluster import RayWorkers
from freqai_lstm.pretrain.features import check_regressor
from freqai_lstm.pretrain.folder import IdentifierFolder
from freqai_lstm.pretrain.plan import Task, Window, missing_tasks
from freqai_lstm.pretrain.project import pack_project
from freqai_lstm.pretrain.run import Account, Failure, pretrain
from freqai_lstm.pretrain.worker import Artefacts, Outcome
from freqai_lstm.pretrain.workers import LocalWorkers
from tests.integration.conftest import Backtest

HOUR = 3600
DATES = pd.Series(pd.date_range("2024-02-10", "2024-02-12", freq="h", tz="UTC", inclusive="left"))
START = int(DATES[0].timestamp())


def window(number: int = 0, pair: str = "BTC/USDT:USDT") -> Window:
    """A window of a day."""
    start = START + number * 24 * HOUR
    coin = pair.split("/", 1)[0]
    return Window(
        pair=pair,
        start=start,
        stop=start + 24 * HOUR,
        folder=f"sub-train-{coin}_{start}",
        model_filename=f"cb_{coin.lower()}_{start}",
        trained_timestamp=start - HOUR,
    )


def artefacts(tmp_path: Path, of: Window) -> Artefacts:
    """Files with the names that FreqAI gives them, and predictions of the window's candles."""
    suffixes = ("model.zip", "metadata.json", "feature_pipeline.pkl", "label_pipeline.pkl")
    suffixes += ("trained_df.pkl", "trained_dates_df.pkl")
    seconds = range(of.start, of.stop, HOUR)
    dates = pd.Series(pd.to_datetime(list(seconds), unit="s", utc=True))
    file = tmp_path / "prediction.feather"
    DataFrame({"date": dates}).to_feather(file)
    files = {f"{of.model_filename}_{suffix}": suffix.encode() for suffix in suffixes}
    return Artefacts(files | {"tensorboard/events": b"events"}, file.read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> IdentifierFolder:
    """An empty identifier's folder."""
    path = tmp_path / "models" / "lstm"
    path.mkdir(parents=True)
    return IdentifierFolder(path)


def test_stored_model_is_held(folder: IdentifierFolder, tmp_path: Path) -> None:
    assert not folder.holds(window(), DATES)
    folder.store(window(), artefacts(tmp_path, window()))
    assert folder.holds(window(), DATES)
    assert not folder.holds(window(1), DATES)
    assert (folder.path / window().folder / "tensorboard" / "events").read_bytes() == b"events"


def test_predictions_of_other_candles_are_not_held(
    folder: IdentifierFolder, tmp_path: Path
) -> None:
    folder.store(window(), artefacts(tmp_path, window()))
    assert not folder.holds(window(), DATES.drop(index=5))
    assert not folder.holds(window(), DATES + pd.Timedelta(minutes=30))


def test_newest_model_is_noted_for_a_bot(folder: IdentifierFolder) -> None:
    folder.note_newest([window(1), window(0)])
    folder.note_newest([window(0, "ETH/USDT:USDT")])
    noted = json.loads(folder.pair_dictionary.read_text())
    assert noted["BTC/USDT:USDT"] == {
        "model_filename": window(1).model_filename,
        "trained_timestamp": window(1).trained_timestamp,
        "data_path": str(folder.path / window(1).folder),
        "extras": {},
    }
    assert noted["ETH/USDT:USDT"]["model_filename"] == window(0, "ETH/USDT:USDT").model_filename
    # What a live training has noted is newer, and stays.
    before = folder.pair_dictionary.read_bytes()
    folder.note_newest([window(0)])
    folder.note_newest([])
    assert folder.pair_dictionary.read_bytes() == before


def test_windows_are_independent_unless_learning_continues() -> None:
    windows = [window(number) for number in range(3)]
    assert missing_tasks(windows, [windows[1]], continual_learning=False) == [
        Task((windows[0],)),
        Task((windows[2],)),
    ]
    assert missing_tasks(windows, [windows[1]], continual_learning=True) == [Task(tuple(windows))]
    assert missing_tasks(windows, windows, continual_learning=False) == []
    assert missing_tasks(windows, windows, continual_learning=True) == []


def test_other_prediction_models_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"freqaimodel: must be PyTorchLSTM.* was Simple"):
        check_regressor(SimpleNamespace(freqai=SimpleNamespace()))


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
def test_project_travels_without_secrets_and_paths(config: dict[str, Any], tmp_path: Path) -> None:
    config["exchange"].update(key="sesame", secret="sesame", password="sesame")
    config["telegram"] = {"enabled": False, "token": "sesame", "chat_id": "1"}
    config["api_server"] = {"password": "sesame"}
    strategy = Backtest(config).strategy
    project = pack_project(config, strategy, threads=1)
    packed = pickle.dumps(project)
    assert b"sesame" not in packed
    opened = pickle.loads(packed).open(tmp_path / "elsewhere", "20240210-20240212")
    assert type(opened).__name__ == type(strategy).__name__
    assert opened.freqai.full_path == tmp_path / "elsewhere" / "models" / "torch-lstm"
    assert (
        opened.freqai.freqai_info["model_training_parameters"]["trainer_kwargs"]["num_threads"] == 1
    )


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (8, 4)])
def test_project_uses_no_more_threads_than_it_may(
    config: dict[str, Any], threads: int, expected: int
) -> None:
    trainer = config["freqai"]["model_training_parameters"]["trainer_kwargs"]
    trainer["num_threads"] = 4
    packed = pack_project(config, Backtest(config).strategy, threads).config
    packed_trainer = packed["freqai"]["model_training_parameters"]["trainer_kwargs"]
    assert packed_trainer["num_threads"] == expected
    assert packed_trainer["progress_bar"] is False
    assert trainer["num_threads"] == 4


@pytest.mark.parametrize(
    ("cores", "num_threads", "jobs", "expected"),
    [(8, 1, None, (8, 1)), (8, 4, None, (2, 4)), (8, 16, None, (1, 8)), (8, 4, 4, (4, 2))],
)
def test_workers_share_the_cores(
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    num_threads: int,
    jobs: int | None,
    expected: tuple[int, int],
) -> None:
    config["freqai"]["model_training_parameters"]["trainer_kwargs"]["num_threads"] = num_threads
    walk: Any = SimpleNamespace(config=config, strategy=Backtest(config).strategy)
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    made = cli.make_workers(walk, jobs, None)
    assert isinstance(made, LocalWorkers)
    assert (made.count, made.threads) == expected


class FakeWorkers:
    """Ends every task as it is told to, and records the order."""

    capacity = 2

    def __init__(self, end: Callable[[Task, int], Outcome | BaseException]) -> None:
        self.end = end
        self.submitted: list[str] = []

    def share(self, features: DataFrame) -> Any:
        return features

    def submit(self, features: Any, task: Task) -> "Future[Outcome]":
        name = task.windows[0].model_filename
        self.submitted.append(name)
        future: Future[Outcome] = Future()
        end = self.end(task, self.submitted.count(name))
        if isinstance(end, Outcome):
            future.set_result(end)
        else:
            future.set_exception(end)
        return future

    def flush(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def walk(folder: IdentifierFolder, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A walk-forward over two windows of one pair, without a strategy."""
    freqai = SimpleNamespace(
        full_path=folder.path, save_backtest_models=True, continual_learning=False
    )
    plan = "freqai_lstm.pretrain.run.plan_windows"
    monkeypatch.setattr(plan, lambda config, pair: [window(0, pair), window(1, pair)])
    return SimpleNamespace(
        config={"exchange": {"pair_whitelist": ["BTC/USDT:USDT"]}, "timeframe": "1h"},
        strategy=SimpleNamespace(freqai=freqai),
        candles={"BTC/USDT:USDT": DataFrame({"date": DATES})},
        features=lambda pair: DataFrame(),
    )


def test_task_that_raises_is_a_failure_and_the_other_goes_on(
    walk: Any, folder: IdentifierFolder, tmp_path: Path
) -> None:
    def end(task: Task, times: int) -> Outcome | BaseException:
        (one,) = task.windows
        if one == window(0):
            return ValueError("no such feature")
        return Outcome({one.model_filename: artefacts(tmp_path, one)})

    account = pretrain(walk, FakeWorkers(end))
    failure = Failure("BTC/USDT:USDT", "20240210-20240211", "ValueError: no such feature")
    assert account == Account(trained=1, failures=[failure])
    assert folder.holds(window(1), DATES)


def test_tasks_that_a_dead_worker_took_along_run_again_one_by_one(
    walk: Any, folder: IdentifierFolder, tmp_path: Path
) -> None:
    def end(task: Task, times: int) -> Outcome | BaseException:
        (one,) = task.windows
        # The first one kills its worker whenever it runs; the second one only ran beside it.
        if one == window(0) or times == 1:
            return BrokenExecutor("a worker process was killed")
        return Outcome({one.model_filename: artefacts(tmp_path, one)})

    fake = FakeWorkers(end)
    account = pretrain(walk, fake)
    error = "the worker process was killed, perhaps for want of memory"
    assert account.failures == [Failure("BTC/USDT:USDT", "20240210-20240211", error)]
    assert account.trained == 1
    assert sorted(fake.submitted) == sorted(
        2 * [one.model_filename for one in (window(), window(1))]
    )
    assert folder.holds(window(1), DATES)


def test_pool_whose_worker_died_starts_anew(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def train(project: Any, features: str, task: Any) -> Any:
        # Sent as it is: the process knows nothing of this module.
        import os

        import joblib

        if task == "die":
            os._exit(1)
        return joblib.load(features, mmap_mode="r")["close"].sum(), os.environ["OMP_NUM_THREADS"]

    monkeypatch.setattr(workers, "_train", train)
    monkeypatch.setattr(workers, "_prepare", None)
    project: Any = None
    die: Any = "die"
    live: Any = "live"
    with LocalWorkers(project, count=1, threads=3) as pool:
        shared = pool.share(DataFrame({"close": [1.0, 2.0]}))
        file = shared.path
        assert isinstance(pool.submit(shared, die).exception(timeout=60), BrokenExecutor)
        result: Any = pool.submit(shared, live).result(timeout=60)
        assert result == (3.0, "3")
        assert file.exists()
        # The error of the dead process refers to it in a cycle.
        del shared
        gc.collect()
        assert not file.exists()
    assert not file.parent.exists()


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    project: Any = None
    with pytest.raises(SettingsError, match=r"--ray: needs Ray.*freqai-lstm\[ray\]"):
        RayWorkers(project, "local", 1, 1)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nonsense"])
def test_ray_address_without_a_cluster_is_named(address: str) -> None:
    project: Any = None
    with pytest.raises(SettingsError, match=rf"--ray: must be the address .*was '{address}'"):
        RayWorkers(project, address, 1, 1)


def test_machine_with_other_packages_is_refused() -> None:
    nothing: Any = None
    expected = cluster._versions() | {"torch": "1.0"}
    with pytest.raises(SettingsError, match=r"one has torch \S+ in place of 1\.0$"):
        cluster._train(nothing, nothing, nothing, expected)


def test_command_tells_what_it_did_and_fails_where_a_model_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: dict[str, Any] = {}

    def load(options: dict[str, Any]) -> Any:
        taken.update(options)
        return SimpleNamespace(config={"exchange": {"pair_whitelist": ["BTC/USDT"]}})

    accounts = [
        Account(found=1, trained=2, failures=[Failure("BTC/USDT", "20240210-20240211", "no luck")]),
        Account(found=3),
    ]
    monkeypatch.setattr(cli, "load_walk_forward", load)
    monkeypatch.setattr(cli, "make_workers", lambda *_: FakeWorkers(lambda *_: Outcome()))
    monkeypatch.setattr(cli, "pretrain", lambda *_: accounts.pop(0))
    command = ["pretrain", "-c", "config.json", "--timerange", "20240210-20240211", "--jobs", "2"]
    assert main(command) == 1
    printed = capsys.readouterr().out
    assert "no luck" in printed
    assert "2 models trained, 1 found, 1 failed" in printed
    assert main(command) == 0
    assert "0 models trained, 3 found, 0 failed" in capsys.readouterr().out
    assert taken["config"] == ["config.json"]
    assert taken["timerange"] == "20240210-20240211"
    assert "jobs" not in taken


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-j", "0"], "--jobs: must be at least 1, was 0"),
        (["--batch-models", "0"], "--batch-models: must be at least 1, was 0"),
        (["--batch-models", "8", "-j", "2"], "--batch-models: must be given without --jobs"),
        (["--batch-models", "8", "--ray", "local"], "--batch-models: must be given without --jobs"),
    ],
)
def test_unusable_options_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pretrain", "-c", "config.json", "--timerange", "20240210-20240211"]
    assert main([*command, *options]) == 2
    assert message in capsys.readouterr().err
