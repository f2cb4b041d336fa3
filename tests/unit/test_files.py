"""Files that are replaced as a whole or not at all."""

import os
from pathlib import Path

import pytest

from freqai_lstm.files import replacing, replacing_folder, temporary_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with old content, alone in its folder."""
    file = tmp_path / "model.zip"
    file.write_text("old", encoding="utf-8")
    return file


def write_and_fail(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyError("out of ideas")


def test_old_content_stays_until_the_new_one_is_whole(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        temporary.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new"
    assert list(path.parent.iterdir()) == [path]


def test_file_need_not_exist_before(tmp_path: Path) -> None:
    path = tmp_path / "new.zip"
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_error_leaves_the_old_content_and_nothing_else(path: Path) -> None:
    with pytest.raises(KeyError, match="out of ideas"):
        write_and_fail(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_error_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="out of ideas"):
        write_and_fail(tmp_path / "new.zip")
    assert list(tmp_path.iterdir()) == []


def test_failing_replacement_leaves_the_old_content(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"), replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_content_is_on_the_disk_before_it_takes_its_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_sync: list[tuple[str, str]] = []

    def note(descriptor: int) -> None:
        written = os.pread(descriptor, 10, 0).decode()
        at_sync.append((written, path.read_text(encoding="utf-8")))

    monkeypatch.setattr(os, "fsync", note)
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
    assert at_sync == [("new", "old")]


def test_temporary_file_is_hidden_in_the_same_folder(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".model.zip.")


def test_writers_at_the_same_time_do_not_share_a_file(path: Path) -> None:
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first", encoding="utf-8")
        second.write_text("second", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "first"
    assert list(path.parent.iterdir()) == [path]


def test_nothing_written_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text(encoding="utf-8") == "old"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an old file, alone in its own."""
    made = tmp_path / "sub-train-BTC_1"
    made.mkdir()
    (made / "old").touch()
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_and_fail(folder: Path) -> None:
    with replacing_folder(folder) as temporary:
        (temporary / "half").touch()
        raise KeyError("out of ideas")


def test_folder_takes_the_place_of_the_old_one_as_a_whole(folder: Path) -> None:
    with replacing_folder(folder) as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "new").touch()
        assert names(folder) == ["old"]
    assert names(folder) == ["below"]
    assert names(folder.parent) == [folder.name]


def test_folder_need_not_exist_before(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "new") as temporary:
        (temporary / "file").touch()
        assert not (tmp_path / "new").exists()
    assert names(tmp_path) == ["new"]


def test_error_leaves_the_old_folder_and_nothing_else(folder: Path) -> None:
    with pytest.raises(KeyError, match="out of ideas"):
        fill_and_fail(folder)
    assert names(folder) == ["old"]
    assert names(folder.parent) == [folder.name]


def test_what_a_killed_process_left_of_this_folder_is_removed(folder: Path) -> None:
    (folder.parent / ".sub-train-BTC_1.0").mkdir()
    (folder.parent / ".sub-train-BTC_10.0").mkdir()
    with replacing_folder(folder):
        pass
    assert names(folder.parent) == [".sub-train-BTC_10.0", folder.name]


def test_every_file_of_a_folder_is_on_the_disk_before_it_takes_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def note(descriptor: int) -> None:
        synced.append(os.pread(descriptor, 10, 0).decode())
        assert names(folder) == ["old"]

    monkeypatch.setattr(os, "fsync", note)
    with replacing_folder(folder) as temporary:
        (temporary / "below").mkdir()
        (temporary / "one").write_text("one", encoding="utf-8")
        (temporary / "below" / "two").write_text("two", encoding="utf-8")
    assert sorted(synced) == ["one", "two"]


def test_files_of_a_temporary_folder_do_not_wait_for_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with temporary_folder() as folder:
        for place in (folder, path.parent):
            with replacing(place / "model.zip") as temporary:
                temporary.write_text("new", encoding="utf-8")
            with replacing_folder(place / "models") as models:
                (models / "model.zip").write_text("new", encoding="utf-8")
            assert (place / "model.zip").read_text(encoding="utf-8") == "new"
            assert len(synced) == (0 if place == folder else 2)
    assert not folder.exists()
