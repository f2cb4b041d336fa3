"""What a crash left in the identifier's folder does not keep FreqAI from starting."""

import os
import time
from pathlib import Path

import cloudpickle
import pandas as pd
import pytest

from freqai_lstm.bridge.drawer import salvage_folder, set_aside

PAIRS = '{"BTC/USDT:USDT": {"model_filename": "cb", "trained_timestamp": 1, "data_path": "p"}}'
DATES = pd.to_datetime(["2024-01-01"], utc=True).as_unit("ms")
FRAME = pd.DataFrame({"&-a": [1.0], "date_pred": DATES})
HISTORY = cloudpickle.dumps({"BTC/USDT:USDT": FRAME})
WHOLE = {
    "pair_dictionary.json": PAIRS.encode(),
    "global_metadata.json": b'{"start_dry_live_date": 1}',
    "metric_tracker.json": b"{}",
    "historic_predictions.pkl": HISTORY,
    "historic_predictions.backup.pkl": HISTORY,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in WHOLE.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_whole_files_are_left_alone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    salvage_folder(folder)
    assert contents(folder) == WHOLE
    assert caplog.records == []


def test_folder_need_not_exist(tmp_path: Path) -> None:
    salvage_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["pair_dictionary.json", "global_metadata.json"])
@pytest.mark.parametrize("cut", [0, 1, 10])
def test_half_written_json_is_moved_aside(
    folder: Path, name: str, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / name).write_bytes(WHOLE[name][:cut])
    salvage_folder(folder)
    [aside] = folder.glob(f"{name}.unusable-*")
    assert aside.read_bytes() == WHOLE[name][:cut]
    assert not (folder / name).exists()
    assert f"{folder / name} cannot be used" in caplog.text


@pytest.mark.parametrize("content", [b"[]", b"null", b'{"BTC": {}}', b'{"BTC": 3}'])
def test_pairs_of_another_shape_are_moved_aside(folder: Path, content: bytes) -> None:
    (folder / "pair_dictionary.json").write_bytes(content)
    salvage_folder(folder)
    assert not (folder / "pair_dictionary.json").exists()


@pytest.mark.parametrize("content", [b"", HISTORY[:40], b"garbage", cloudpickle.dumps([1])])
def test_damaged_predictions_come_back_from_their_backup(folder: Path, content: bytes) -> None:
    (folder / "historic_predictions.pkl").write_bytes(content)
    salvage_folder(folder)
    assert (folder / "historic_predictions.pkl").read_bytes() == HISTORY
    [aside] = folder.glob("historic_predictions.pkl.unusable-*")
    assert aside.read_bytes() == content


def test_damaged_backup_is_moved_aside(folder: Path) -> None:
    (folder / "historic_predictions.backup.pkl").write_bytes(HISTORY[:40])
    salvage_folder(folder)
    assert (folder / "historic_predictions.pkl").read_bytes() == HISTORY
    assert not (folder / "historic_predictions.backup.pkl").exists()


def test_predictions_start_again_if_the_backup_is_damaged_too(folder: Path) -> None:
    for name in ("historic_predictions.pkl", "historic_predictions.backup.pkl"):
        (folder / name).write_bytes(HISTORY[:40])
    salvage_folder(folder)
    assert not (folder / "historic_predictions.pkl").exists()
    assert not (folder / "historic_predictions.backup.pkl").exists()


def test_leftovers_of_killed_processes_are_removed(folder: Path) -> None:
    model = folder / "sub-train-BTC_1"
    model.mkdir()
    old, new, other = (
        model / f".cb_btc_1_model.zip.{'a' * 32}",
        model / f".cb_btc_1_model.zip.{'b' * 32}",
        folder / ".gitignore",
    )
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    salvage_folder(folder)
    assert not old.exists()
    assert new.exists()
    assert other.exists()


def test_nothing_is_overwritten_by_what_is_moved_aside(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "file").write_text(content)
        set_aside(tmp_path / "file", "broken", "made again")
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["first", "second"]
