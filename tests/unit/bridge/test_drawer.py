"""Models, pipelines and predictions on disk: whole, or as they were."""

import multiprocessing
import random
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from unit_rows import WINDOW, make_features, make_trainer

from freqai_lstm.bridge.drawer import SafeDataDrawer
from freqai_lstm.bridge.incidents import IncidentLog, read_incidents

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
FEATURES = ["%-a", "%-b", "%-c", "%-d"]
KILLS = 25
FILES = ["model.zip", "metadata.json", "feature_pipeline.pkl", "label_pipeline.pkl"]


def configuration(folder: Path) -> dict[str, Any]:
    return {
        "user_data_dir": folder,
        "exchange": {"pair_whitelist": [BTC, ETH]},
        "freqai": {"identifier": "live", "feature_parameters": {"include_corr_pairlist": []}},
    }


def make_drawer(folder: Path) -> SafeDataDrawer:
    """Make a drawer as a new process does."""
    models = folder / "models" / "live"
    models.mkdir(parents=True, exist_ok=True)
    drawer = SafeDataDrawer(models, configuration(folder), IncidentLog(models / "incidents.json"))
    drawer.model_type = "pytorch"
    for pair in (BTC, ETH):
        drawer.get_pair_dict_info(pair)
    return drawer


def make_kitchen(
    folder: Path, timestamp: int, pair: str = BTC, *, live: bool = True
) -> FreqaiDataKitchen:
    """Make a data kitchen after a training that ended at a time."""
    kitchen = FreqaiDataKitchen(configuration(folder), True, pair)
    kitchen.live = live
    kitchen.set_paths(pair, timestamp)
    kitchen.set_new_model_names(pair, timestamp)
    kitchen.training_features_list, kitchen.label_list = FEATURES, ["&-a", "&-b"]
    features = pd.DataFrame(np.zeros((3, 4)), columns=FEATURES)
    dates = pd.Series(pd.date_range("2024-01-01", periods=3, tz="UTC"))
    kitchen.data_dictionary = {"train_features": features, "train_dates": dates}
    # What tells the pipelines of one training from those of another.
    kitchen.feature_pipeline = kitchen.label_pipeline = timestamp
    kitchen.data["of"] = timestamp
    return kitchen


def save(drawer: SafeDataDrawer, kitchen: FreqaiDataKitchen, model: Any) -> None:
    drawer.pair_dict[kitchen.pair]["trained_timestamp"] = kitchen.data["of"]
    drawer.save_data(model, kitchen.pair, kitchen)


def load(folder: Path, pair: str = BTC) -> tuple[Any, FreqaiDataKitchen, SafeDataDrawer]:
    """Load the model of a pair as a new process does."""
    drawer = make_drawer(folder)
    kitchen = FreqaiDataKitchen(configuration(folder), True, pair)
    return drawer.load_data(pair, kitchen), kitchen, drawer


def test_saved_model_is_loaded_with_its_pipelines(tmp_path: Path) -> None:
    trainer = make_trainer(seed=3)
    save(make_drawer(tmp_path), make_kitchen(tmp_path, 1_700_000_000), trainer)
    loaded, kitchen, drawer = load(tmp_path)
    rows = make_features(20), torch.arange(WINDOW - 1, 20)
    assert torch.equal(loaded.predict(*rows), trainer.predict(*rows))
    assert kitchen.feature_pipeline == kitchen.label_pipeline == kitchen.data["of"]
    assert kitchen.training_features_list == FEATURES
    assert drawer.pair_dict[BTC]["trained_timestamp"] == 1_700_000_000


def test_pair_without_a_model_has_none(tmp_path: Path) -> None:
    save(make_drawer(tmp_path), make_kitchen(tmp_path, 1_700_000_000), make_trainer())
    model, _, drawer = load(tmp_path, ETH)
    assert model is None
    assert not drawer.incidents.path.exists()


def test_full_disk_keeps_the_former_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawer, trainer = make_drawer(tmp_path), make_trainer()
    save(drawer, make_kitchen(tmp_path, 1_700_000_000), trainer)

    def fail(_: Path) -> None:
        raise OSError("no space left on device")

    following = make_trainer(seed=9)
    monkeypatch.setattr(following, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        drawer.save_data(following, BTC, make_kitchen(tmp_path, 1_700_000_900))
    assert drawer.load_data(BTC, make_kitchen(tmp_path, 1)) is trainer
    _, kitchen, _ = load(tmp_path)
    assert kitchen.data["of"] == 1_700_000_000


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "garbage"])
def test_damaged_model_is_an_incident_and_other_pairs_go_on(
    tmp_path: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    drawer = make_drawer(tmp_path)
    for pair in (BTC, ETH):
        save(drawer, make_kitchen(tmp_path, 1_700_000_000, pair), make_trainer())
    [file] = (tmp_path / "models" / "live").glob(f"sub-train-BTC_*/*_{name}")
    content = file.read_bytes()
    damaged = {"empty": b"", "half": content[: len(content) // 2], "garbage": b"\x80garbage"}
    file.unlink() if damage == "missing" else file.write_bytes(damaged[damage])

    model, _, restarted = load(tmp_path)
    assert model is None
    assert f"{BTC}: loading failed (1 so far)" in caplog.text
    assert [each.kind for each in read_incidents(restarted.incidents.path)] == ["loading"]
    # Trained at time 0: FreqAI trains the pair at once.
    assert restarted.get_pair_dict_info(BTC) == ("", 0)
    assert restarted.load_data(BTC, make_kitchen(tmp_path, 1)) is None
    assert load(tmp_path, ETH)[0] is not None
    assert len(read_incidents(restarted.incidents.path)) == 1


def test_backtest_asks_for_a_training_where_the_model_is_damaged(tmp_path: Path) -> None:
    drawer = make_drawer(tmp_path)
    for timestamp in (1_700_000_000, 1_700_009_000):
        save(drawer, make_kitchen(tmp_path, timestamp), make_trainer())
    first = make_kitchen(tmp_path, 1_700_000_000, live=False)
    second = make_kitchen(tmp_path, 1_700_009_000, live=False)
    (first.data_path / f"{first.model_filename}_model.zip").write_bytes(b"half")
    assert not drawer.can_load(BTC, first)
    assert drawer.can_load(BTC, second)


def test_backtest_window_gets_its_own_pipelines(tmp_path: Path) -> None:
    drawer = make_drawer(tmp_path)
    for timestamp in (1_700_000_000, 1_700_009_000):
        save(drawer, make_kitchen(tmp_path, timestamp), make_trainer(seed=timestamp))
    # The process trained the second window last; FreqAI keeps its pipelines for the pair.
    kitchen = make_kitchen(tmp_path, 1_700_000_000, live=False)
    kitchen.feature_pipeline = kitchen.label_pipeline = None
    model = drawer.load_data(BTC, kitchen)
    assert kitchen.feature_pipeline == kitchen.label_pipeline == 1_700_000_000
    assert model.seed == 1_700_000_000


def test_prediction_never_mixes_two_trainings(tmp_path: Path) -> None:
    """Each load gives a network and the pipelines of the same training, whatever is being saved."""
    drawer = make_drawer(tmp_path)
    stop = threading.Event()

    def train() -> None:
        for timestamp in range(1_700_000_000, 1_700_000_100):
            stub = SimpleNamespace(of=timestamp, save=lambda path: path.write_bytes(b""))
            save(drawer, make_kitchen(tmp_path, timestamp), stub)
        stop.set()

    thread = threading.Thread(target=train)
    thread.start()
    loads = 0
    kitchen = FreqaiDataKitchen(configuration(tmp_path), True, BTC)
    while not stop.is_set():
        model = drawer.load_data(BTC, kitchen)
        if model is not None:
            loads += 1
            assert model.of == kitchen.feature_pipeline == kitchen.data["of"]
        time.sleep(0.0002)
    thread.join()
    assert loads > 10


def save_forever(folder: Path, first: int) -> None:
    """Save one training after the other until killed."""
    drawer, trainer = make_drawer(folder), make_trainer()
    (folder / f"started-{first}").touch()
    for timestamp in range(first, first + 100_000):
        save(drawer, make_kitchen(folder, timestamp), trainer)
        drawer.historic_predictions[BTC] = pd.DataFrame({"of": [timestamp] * 1000})
        drawer._predicted_since = True
        drawer.save_historic_predictions_to_disk()


def test_killed_process_leaves_only_whole_models(tmp_path: Path) -> None:
    """Kill a saving process at random moments: its last model loads, with all that belongs to it.

    :class:`SafeDataDrawer` here stands for a bot; ``tests/live`` kills whole bots.
    """
    rng = random.Random(5)
    context = multiprocessing.get_context("forkserver")
    # torch._dynamo is what the first optimizer of a process imports, for seconds.
    modules = ["pytest", "torch._dynamo", "freqai_lstm.trainer", "freqai_lstm.bridge.drawer"]
    context.set_forkserver_preload(modules)
    last = 0
    for kill in range(KILLS):
        first = 1_700_000_000 + kill * 100_000
        process = context.Process(target=save_forever, args=(tmp_path, first))
        process.start()
        while not (tmp_path / f"started-{first}").exists():
            assert process.is_alive()
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.2))
        process.kill()
        process.join()
        model, kitchen, drawer = load(tmp_path)
        if model is None:  # Killed before its first model was whole.
            assert last == 0
            continue
        assert kitchen.feature_pipeline == kitchen.label_pipeline == kitchen.data["of"]
        assert kitchen.data["of"] >= last
        last = kitchen.data["of"]
        history = drawer.historic_predictions.get(BTC)
        assert history is None or len(set(history["of"])) == 1
        assert not drawer.incidents.path.exists()
    assert last > 1_700_000_000


def test_full_disk_while_saving_predictions_is_an_incident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawer = make_drawer(tmp_path)
    drawer.historic_predictions[BTC] = pd.DataFrame({"of": [1]})
    drawer._predicted_since = True
    drawer.save_historic_predictions_to_disk()
    drawer.historic_predictions[BTC] = pd.DataFrame({"of": [2]})
    drawer._predicted_since = True

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    drawer.save_historic_predictions_to_disk()
    monkeypatch.undo()
    assert drawer.incidents.path.exists()
    assert make_drawer(tmp_path).historic_predictions[BTC]["of"].tolist() == [1]


def test_metrics_and_metadata_are_kept(tmp_path: Path) -> None:
    drawer = make_drawer(tmp_path)
    drawer.freqai_info["write_metrics_to_disk"] = True
    drawer.update_metric_tracker("train_time", 1.5, BTC)
    drawer.save_metric_tracker_to_disk()
    drawer.save_global_metadata_to_disk({"start_dry_live_date": 7})
    restarted = make_drawer(tmp_path)
    restarted.freqai_info["write_metrics_to_disk"] = True
    restarted.load_metric_tracker_from_disk()
    assert restarted.metric_tracker[BTC]["train_time"]["value"] == [1.5]
    assert restarted.load_global_metadata_from_disk() == {"start_dry_live_date": 7}
