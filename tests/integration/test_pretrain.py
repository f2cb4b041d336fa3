"""Models trained ahead, in parallel, are the ones that a backtest would have trained."""

import copy
import json
import logging
import pickle
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from freqtrade.configuration import TimeRange
from freqtrade.exceptions import OperationalException
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame

from freqai_lstm.bridge.kitchen import WindowedDataKitchen, plan_windows
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools import pretrain as command
from freqai_lstm.tools.cache import DiskCache, cache_folder
from freqai_lstm.tools.features import FeatureStore, open_store
from freqai_lstm.tools.loading import WalkForward
from freqai_lstm.tools.pretrain import Account, pool_for, pretrain
from tests.conftest import candle_file, make_config, store_candles
from tests.integration.conftest import Backtest
from tests.pools import InlinePool

BTC, SOL, ETH = "BTC/USDT:USDT", "SOL/USDT:USDT", "ETH/USDT:USDT"
PAIRS = [BTC, SOL]
# Two windows for each pair, the second one short.
TIMERANGE = "20240210-20240218"
MODELS = 2 * len(PAIRS)


@dataclass
class Sequential:
    """What a backtest left, and the candles it analysed."""

    folder: Path
    analysed: dict[str, DataFrame]


def run_backtest(config: dict[str, Any]) -> Sequential:
    backtest = Backtest(config)
    return Sequential(Path(backtest.freqai.full_path), {pair: backtest.run(pair) for pair in PAIRS})


@pytest.fixture(scope="module")
def sequential(datadir: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequential:
    """A backtest that trained its models one after another."""
    return run_backtest(quick(make_config(datadir, tmp_path_factory.mktemp("sequential"))))


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return quick(config)


def quick(config: dict[str, Any]) -> dict[str, Any]:
    config["timerange"] = TIMERANGE
    config["exchange"]["pair_whitelist"] = PAIRS
    config["freqai"]["continual_learning"] = False
    config["freqai"]["model_training_parameters"]["trainer_kwargs"]["n_epochs"] = 2
    return config


@pytest.fixture
def folder(config: dict[str, Any]) -> Path:
    """The identifier's folder."""
    return Path(config["user_data_dir"]) / "models" / config["freqai"]["identifier"]


def walk_forward(config: dict[str, Any]) -> WalkForward:
    """Load what the command loads from freqtrade's backtesting, without an exchange."""
    backtest = Backtest(copy.deepcopy(config))
    candles = {pair: backtest.candles(pair) for pair in PAIRS}
    return WalkForward(backtest.config, backtest.strategy, candles)


def pretrain_stored(walk: WalkForward, pool: Any) -> Account:
    """Pretrain with the features that the user directory has, and leave there what is computed."""
    with open_store(walk.config) as store:
        return pretrain(walk, pool, store)


def pretrain_inline(config: dict[str, Any], stop_after: int | None = None) -> Account:
    return pretrain_stored(walk_forward(config), InlinePool(stop_after))


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.glob(pattern)
        if path.is_file()
    }


def weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for file in sorted(folder.glob("sub-train-*/*_model.zip")):
        checkpoint = torch.load(file, weights_only=False)
        for number, member in enumerate([checkpoint, *checkpoint.get("further_members", ())]):
            for name, value in member["model_state_dict"].items():
                yield f"{file.name} {number} {name}", value


def assert_same(folder: Path, sequential: Path) -> None:
    """Predictions and weights are equal to the last bit, and no file is missing or left over."""
    ours = contents(folder, "backtesting_predictions/*")
    assert ours
    assert ours == contents(sequential, "backtesting_predictions/*")
    assert contents(folder, "sub-train-*/*").keys() == contents(sequential, "sub-train-*/*").keys()
    for (name, value), (other_name, other) in zip(
        weights(folder), weights(sequential), strict=True
    ):
        assert name == other_name
        assert torch.equal(value, other), name
    assert not list(folder.glob(".*"))


def noted(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "pair_dictionary.json").read_text())
    for entry in loaded.values():
        entry["data_path"] = Path(entry["data_path"]).relative_to(folder)
    return loaded


def test_worker_processes_leave_what_a_backtest_leaves(
    config: dict[str, Any], folder: Path, sequential: Sequential, fits: list[str]
) -> None:
    walk = walk_forward(config)
    with pool_for(walk, 2, None) as pool:
        account = pretrain_stored(walk, pool)
    assert (account.found, account.trained, account.failures) == (0, MODELS, [])
    assert_same(folder, sequential.folder)
    assert noted(folder) == noted(sequential.folder)
    # A backtest takes the predictions, and trains nothing.
    for pair, analysed in run_backtest(config).analysed.items():
        pd.testing.assert_frame_equal(analysed, sequential.analysed[pair], check_exact=True)
    # A bot finds the newest model of each pair.
    freqai = walk_forward(config).strategy.freqai
    for pair in PAIRS:
        trainer = freqai.dd.load_data(pair, FreqaiDataKitchen(config, live=True, pair=pair))
        assert trainer.description == pair
    assert fits == []


@pytest.mark.long
def test_ray_cluster_that_loses_a_machine_leaves_what_a_backtest_leaves(
    config: dict[str, Any], folder: Path, sequential: Sequential
) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    machine = cluster.add_node(num_cpus=1)

    def lose_machine() -> None:
        while not any(folder.glob("sub-train-*")):
            time.sleep(0.01)
        cluster.remove_node(machine, allow_graceful=False)

    try:
        walk = walk_forward(config)
        loss = threading.Thread(target=lose_machine, daemon=True)
        loss.start()
        with pool_for(walk, None, cluster.address) as pool:
            account = pretrain_stored(walk, pool)
        loss.join(timeout=60)
        assert not loss.is_alive()
    finally:
        cluster.shutdown()
    assert (account.found, account.trained, account.failures) == (0, MODELS, [])
    assert_same(folder, sequential.folder)
    assert noted(folder) == noted(sequential.folder)


def test_interrupted_run_is_resumed(
    config: dict[str, Any], folder: Path, sequential: Sequential
) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain_inline(config, stop_after=2)
    # The last task had not been stored yet; what a killed one left is removed.
    remains = folder / ".sub-train-BTC_1707955200.0"
    remains.mkdir()
    shutil.rmtree(folder / "sub-train-BTC_1707955200", ignore_errors=True)
    account = pretrain_inline(config)
    assert account.found + account.trained == MODELS
    assert account.found > 0
    assert_same(folder, sequential.folder)
    assert noted(folder) == noted(sequential.folder)
    assert pretrain_inline(config) == Account(found=MODELS)


@pytest.mark.parametrize(
    "damaged",
    [
        "sub-train-SOL_1707523200/cb_sol_1707523200_metadata.json",
        "sub-train-SOL_1707523200/cb_sol_1707523200_model.zip",
        "backtesting_predictions/cb_sol_1707523200_prediction.feather",
    ],
)
@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"")])
def test_half_written_model_is_trained_again(
    config: dict[str, Any],
    folder: Path,
    sequential: Sequential,
    fits: list[str],
    damaged: str,
    damage: Callable[[Path], Any],
) -> None:
    shutil.copytree(sequential.folder, folder)
    damage(folder / damaged)
    assert pretrain_inline(config) == Account(found=MODELS - 1, trained=1)
    assert fits == [SOL]
    assert_same(folder, sequential.folder)


def test_failed_model_is_reported_and_the_others_go_on(
    config: dict[str, Any], folder: Path, own_datadir: Path
) -> None:
    candles = pd.read_feather(candle_file(own_datadir, SOL, "1h"))
    candles.loc[candles["date"] < "2024-02-12", "close"] = float("nan")
    store_candles(own_datadir, SOL, "1h", candles)
    account = pretrain_inline(config)
    assert account.trained == MODELS - 2
    assert [failure.timerange for failure in account.failures] == [
        "20240210-20240215",
        "20240215-20240218",
    ]
    assert {failure.pair for failure in account.failures} == {SOL}
    assert all("training needs at least" in failure.error for failure in account.failures) or all(
        "dropped due to NaNs" in failure.error for failure in account.failures
    )
    assert noted(folder).keys() == {BTC}
    assert not list(folder.glob("*SOL*"))
    # As in a backtest, it is tried again next time.
    assert pretrain_inline(config).failures == account.failures


def test_pair_without_candles_of_a_timeframe_is_reported(
    config: dict[str, Any], own_datadir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    candle_file(own_datadir, SOL, "4h").unlink()
    walk = walk_forward(config)
    del walk.candles[BTC]
    with caplog.at_level(logging.ERROR):
        account = pretrain_stored(walk, InlinePool())
    assert account.trained == 0
    assert [(failure.pair, failure.error) for failure in account.failures] == [
        *[(BTC, "no candles of 1h")] * 2,
        *[(SOL, "no candles of some include_timeframes, see the log")] * 2,
    ]
    assert f"{SOL}: skipped, no candles of 4h" in caplog.text


def test_missing_correlated_pair_is_an_error(config: dict[str, Any], own_datadir: Path) -> None:
    candle_file(own_datadir, ETH, "4h").unlink()
    with pytest.raises(OperationalException, match=r"include_corr_pairlist: ETH.*no candles of 4h"):
        pretrain_inline(config)


def test_predictions_alone_are_kept_where_the_configuration_says_so(
    config: dict[str, Any], folder: Path, sequential: Sequential, fits: list[str]
) -> None:
    config["freqai"]["save_backtest_models"] = False
    assert pretrain_inline(config) == Account(trained=MODELS)
    predictions = "backtesting_predictions/*"
    assert contents(folder, predictions) == contents(sequential.folder, predictions)
    assert all(name.endswith("_metadata.json") for name in contents(folder, "sub-train-*/*"))
    assert not (folder / "pair_dictionary.json").exists()
    fits.clear()
    run_backtest(config)
    assert pretrain_inline(config) == Account(found=MODELS)
    assert fits == []


def test_changed_setting_under_the_same_identifier_is_refused(
    config: dict[str, Any], folder: Path, sequential: Sequential
) -> None:
    shutil.copytree(sequential.folder, folder)
    config["freqai"]["train_period_days"] = 19
    with pytest.raises(SettingsError, match=r"freqai\.train_period_days: trained with 20, was 19"):
        pretrain_inline(config)


def test_task_is_cut_into_its_windows_alone(config: dict[str, Any]) -> None:
    config["freqai"]["backtest_period_days"] = 1.5
    config["timerange"] = "20240210-20240214"
    Backtest(config)
    windows = plan_windows(config, BTC)
    assert [window.timerange for window in windows] == [
        "20240210-20240211T1200",
        "20240211T1200-20240213",
        "20240213-20240214",
    ]
    for first in range(len(windows)):
        for last in range(first, len(windows)):
            part = windows[first : last + 1]
            timerange = replace(part[0], stop=part[-1].stop).timerange
            assert plan_windows(config | {"timerange": timerange}, BTC) == part


# Continual learning

LONG_TIMERANGE = "20240210-20240220"
FIRST_PART = "20240210-20240214"
# Five windows for each pair.
CHAIN = 5


def chained(config: dict[str, Any]) -> dict[str, Any]:
    """Let each model start from the one before, a window every two days."""
    quick(config).update(timerange=LONG_TIMERANGE)
    config["freqai"].update(continual_learning=True, backtest_period_days=2)
    return config


@pytest.fixture(scope="module")
def sequential_chain(datadir: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequential:
    """A backtest in one process, each model of which starts from the one before."""
    return run_backtest(chained(make_config(datadir, tmp_path_factory.mktemp("chain"))))


def model_files(folder: Path, pair: str) -> list[Path]:
    """Return the models of a pair, oldest first."""
    return sorted(folder.glob(f"sub-train-{pair.partition('/')[0]}_*/*_model.zip"))


def generations(folder: Path, pair: str) -> list[int]:
    """Return how many models came before each model of a pair."""
    found = []
    for file in model_files(folder, pair):
        if file.read_bytes() == b"half":
            continue
        checkpoint = torch.load(file, weights_only=False)
        trainer = checkpoint["pytrainer"].load_from_checkpoint(checkpoint)
        assert trainer.generation == trainer.model_meta_data.get("generation", 0)
        found.append(trainer.generation)
    return found


def remove_model(folder: Path, pair: str, number: int) -> None:
    """Remove one model of a pair with its predictions, as if it had never been trained."""
    model = model_files(folder, pair)[number].parent
    coin, timestamp = model.name.removeprefix("sub-train-").split("_")
    (folder / f"backtesting_predictions/cb_{coin.lower()}_{timestamp}_prediction.feather").unlink()
    shutil.rmtree(model)


def assert_no_training(config: dict[str, Any], sequential: Sequential, fits: list[str]) -> None:
    """A backtest finds all predictions, to the last bit those of the sequential one."""
    fits.clear()
    for pair in PAIRS:
        indicators = Backtest(copy.deepcopy(config)).indicators(pair)
        timerange = TimeRange.parse_timerange(config["timerange"])
        tested = (indicators["date"] >= timerange.startdt) & (indicators["date"] < timerange.stopdt)
        expected = sequential.analysed[pair]
        pd.testing.assert_frame_equal(
            indicators[tested].reset_index(drop=True),
            expected[[column for column in expected if column in indicators]],
            check_exact=True,
        )
    assert fits == []


def test_chain_in_pieces_leaves_what_a_backtest_leaves(
    config: dict[str, Any],
    folder: Path,
    sequential_chain: Sequential,
    fits: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The last piece is a shorter one.
    monkeypatch.setattr(command, "_PIECE", 2)
    walk = walk_forward(chained(config))
    with pool_for(walk, 2, None) as pool:
        account = pretrain_stored(walk, pool)
    assert (account.found, account.trained, account.failures) == (0, CHAIN * len(PAIRS), [])
    assert_same(folder, sequential_chain.folder)
    assert noted(folder) == noted(sequential_chain.folder)
    for pair in PAIRS:
        assert generations(folder, pair) == [*range(CHAIN)]
    assert_no_training(config, sequential_chain, fits)


@pytest.mark.parametrize("piece", [3])
def test_size_of_the_pieces_does_not_matter(
    config: dict[str, Any],
    folder: Path,
    sequential_chain: Sequential,
    monkeypatch: pytest.MonkeyPatch,
    piece: int,
) -> None:
    monkeypatch.setattr(command, "_PIECE", piece)
    assert pretrain_inline(chained(config)) == Account(trained=CHAIN * len(PAIRS))
    assert_same(folder, sequential_chain.folder)


@pytest.mark.parametrize("removed", [[-1], [0, 2, 3]])
def test_interrupted_chain_goes_on_with_the_same_models(
    config: dict[str, Any],
    folder: Path,
    sequential_chain: Sequential,
    fits: list[str],
    removed: list[int],
) -> None:
    shutil.copytree(sequential_chain.folder, folder)
    for number in sorted(removed, key=lambda number: number % CHAIN, reverse=True):
        remove_model(folder, SOL, number)
    trained = len(removed)
    account = pretrain_inline(chained(config))
    assert account == Account(found=CHAIN * len(PAIRS) - trained, trained=trained)
    # Only what is missing is trained.
    assert fits == [SOL] * trained
    assert_same(folder, sequential_chain.folder)
    assert generations(folder, SOL) == [*range(CHAIN)]


def test_run_that_was_killed_goes_on_with_the_same_models(
    config: dict[str, Any],
    folder: Path,
    sequential_chain: Sequential,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "_PIECE", 2)
    with pytest.raises(KeyboardInterrupt):
        pretrain_inline(chained(config), stop_after=4)
    account = pretrain_inline(config)
    assert account.found > 0
    assert account.trained > 0
    assert account.found + account.trained == CHAIN * len(PAIRS)
    assert_same(folder, sequential_chain.folder)
    assert generations(folder, SOL) == [*range(CHAIN)]


def test_longer_timerange_goes_on_from_the_models_of_the_shorter(
    config: dict[str, Any], folder: Path, sequential_chain: Sequential
) -> None:
    chained(config)["timerange"] = FIRST_PART
    assert pretrain_inline(config) == Account(trained=2 * len(PAIRS))
    config["timerange"] = LONG_TIMERANGE
    assert pretrain_inline(config) == Account(found=2 * len(PAIRS), trained=3 * len(PAIRS))
    assert generations(folder, BTC) == [*range(CHAIN)]
    ours, theirs = weights(folder), weights(sequential_chain.folder)
    for (name, value), (other_name, other) in zip(ours, theirs, strict=True):
        assert name == other_name
        assert torch.equal(value, other), name


def test_chain_without_a_predecessor_starts_from_scratch(
    config: dict[str, Any], folder: Path, sequential_chain: Sequential
) -> None:
    chained(config)["timerange"] = "20240214-20240218"
    assert pretrain_inline(config) == Account(trained=2 * len(PAIRS))
    for pair in PAIRS:
        assert generations(folder, pair) == [0, 1]
    # With one, the same timerange goes on from it.
    shutil.rmtree(folder)
    shutil.copytree(sequential_chain.folder, folder)
    for number in (-1, -1, -1):
        remove_model(folder, BTC, number)
    assert pretrain_inline(config) == Account(found=2, trained=2)
    assert generations(folder, BTC) == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"half")])
def test_predecessor_that_cannot_be_used_is_as_none(
    config: dict[str, Any],
    folder: Path,
    sequential_chain: Sequential,
    damage: Callable[[Path], Any],
) -> None:
    shutil.copytree(sequential_chain.folder, folder)
    for number in (-1, -1):
        remove_model(folder, SOL, number)
    # What is before the timerange is not trained again.
    damage(model_files(folder, SOL)[2])
    chained(config)["timerange"] = "20240216-20240220"
    assert pretrain_inline(config) == Account(found=2, trained=2)
    assert generations(folder, BTC) == [*range(CHAIN)]
    assert generations(folder, SOL)[-2:] == [0, 1]


# The store


class SendingPool(InlinePool):
    """Sends what a job takes, as to another process."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        return super().submit(function, *pickle.loads(pickle.dumps(arguments)))


def test_features_in_use_are_kept_beyond_the_limit_of_the_cache(
    config: dict[str, Any], folder: Path, sequential: Sequential
) -> None:
    store = FeatureStore(DiskCache(cache_folder(config["user_data_dir"]), limit=1))
    # The features of the second pair are computed before the first one is through.
    pool: Any = SendingPool()
    assert pretrain(walk_forward(config), pool, store) == Account(trained=MODELS)
    assert_same(folder, sequential.folder)


def test_features_and_labels_that_are_found_train_the_same_models(
    config: dict[str, Any], folder: Path, sequential: Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pretrain_inline(config) == Account(trained=MODELS)
    files = [file.name for file in cache_folder(config["user_data_dir"]).iterdir()]
    assert sorted(name.partition("-")[0] for name in files) == ["features"] * 2 + ["labels"] * 4
    config["freqai"]["identifier"] = "another"
    monkeypatch.setattr(WalkForward, "features", None)
    monkeypatch.setattr(WindowedDataKitchen, "label", None)
    assert pretrain_inline(config) == Account(trained=MODELS)
    assert_same(folder.with_name("another"), sequential.folder)
