"""What is kept of computed features and labels: it comes back as it was, or not at all."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame
from unit_mapped import mapped_file

from freqai_lstm.cli import main
from freqai_lstm.tools.cache import DiskCache, cache_folder


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(cache_folder(tmp_path))


def frame(rows: int = 1000) -> DataFrame:
    dates = pd.date_range("2024-02-10", periods=rows, freq="h", tz="UTC")
    return DataFrame({"date": dates, "close": np.arange(rows, dtype=float), "class": "up"})


def test_value_comes_back_as_it_was(cache: DiskCache) -> None:
    assert cache.load("features") is None
    assert not cache.folder.exists()
    file = cache.keep("features", {"sources": {("BTC", "1h"): "digest"}, "frame": frame()})
    assert file == cache.path("features")
    loaded = cache.load("features")
    assert loaded["sources"] == {("BTC", "1h"): "digest"}
    assert loaded["frame"].equals(frame())
    assert cache.load("labels") is None
    assert cache.files() == [file]
    assert cache.size == file.stat().st_size


def test_arrays_are_mapped_and_cannot_be_written_to(cache: DiskCache) -> None:
    file = cache.keep("features", [np.arange(1000.0), frame()])
    array, loaded = cache.load("features")
    for mapped in (array, loaded["close"].to_numpy(), loaded["date"].array.asi8):
        assert mapped_file(mapped) == file
        with pytest.raises(ValueError, match="read-only"):
            mapped[0] = 1


def test_value_is_computed_once(cache: DiskCache) -> None:
    computed = []

    def compute() -> DataFrame:
        computed.append(1)
        return frame()

    for _ in range(3):
        assert cache.remember("labels", compute).equals(frame())
    assert computed == [1]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [cut, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"no pickle" * 1000)],
)
def test_damaged_file_is_as_none_and_is_written_anew(
    cache: DiskCache, damage: Callable[[Path], None]
) -> None:
    damage(cache.keep("labels", frame()))
    assert cache.load("labels") is None
    assert cache.remember("labels", frame).equals(frame())
    assert cache.load("labels").equals(frame())


def test_write_that_fails_leaves_the_former_value(cache: DiskCache) -> None:
    cache.keep("labels", frame(10))
    with pytest.raises(Exception, match="pickle"):
        cache.keep("labels", [frame(), lambda: None])
    assert cache.load("labels").equals(frame(10))
    assert [*cache.folder.iterdir()] == [cache.path("labels")]


def long_ago(cache: DiskCache, *names: str) -> None:
    """Let values be written and read long ago, the first one longest."""
    for number, name in enumerate(names):
        os.utime(cache.path(name), (number, number))


def test_what_was_read_longest_ago_is_removed_beyond_the_limit(cache: DiskCache) -> None:
    size = cache.keep("first", frame()).stat().st_size
    cache.keep("second", frame())
    cache.keep("third", frame())
    long_ago(cache, "first", "second", "third")
    # It was read last of all now.
    cache.load("first")
    small = DiskCache(cache.folder, limit=3 * size)
    small.keep("fourth", frame())
    names = {path.stem for path in small.files()}
    assert names == {"third", "first", "fourth"}
    assert small.size <= small.limit


def test_what_is_in_use_is_never_removed(cache: DiskCache) -> None:
    for name in ("older", "old"):
        cache.keep(name, frame())
    long_ago(cache, "older", "old")
    small = DiskCache(cache.folder, limit=10)
    # A worker that keeps labels has the cache that was sent to it.
    workers = pickle.loads(pickle.dumps(small))
    assert small.load("old").equals(frame())
    for writer, name in ((small, "features"), (workers, "labels")):
        writer.keep(name, frame())
    assert {path.stem for path in small.files()} == {"old", "features", "labels"}
    assert small.size > small.limit
    # Those that come later know nothing of it.
    long_ago(cache, "old", "features", "labels")
    DiskCache(cache.folder, limit=10).keep("newest", frame())
    assert [path.stem for path in small.files()] == ["newest"]


def test_all_of_it_can_be_removed(cache: DiskCache) -> None:
    cache.clear()
    cache.keep("features", frame())
    cache.keep("labels", frame())
    # A process that was killed while it wrote has left this.
    (cache.folder / ".features.joblib.0123456789abcdef").write_bytes(b"half")
    cache.clear()
    assert [*cache.folder.iterdir()] == []
    assert (cache.files(), cache.size) == ([], 0)


def test_command_shows_and_removes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = DiskCache(cache_folder(tmp_path))
    line = ["cache", "--userdir", str(tmp_path)]
    assert main(line) == 0
    assert capsys.readouterr().out == f"{cache.folder}: 0 files, 0 MiB of at most 8,192 MiB\n"
    cache.keep("features", np.zeros(3 * 2**17))
    cache.keep("labels", np.zeros(2**17))
    assert main(line) == 0
    assert capsys.readouterr().out == f"{cache.folder}: 2 files, 4 MiB of at most 8,192 MiB\n"
    assert len(cache.files()) == 2
    assert main([*line, "--clear"]) == 0
    assert "2 files, 4 MiB of at most 8,192 MiB, removed\n" in capsys.readouterr().out
    assert cache.files() == []
