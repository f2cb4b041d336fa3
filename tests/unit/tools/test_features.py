"""Features on their way to a worker, and the store that they come from."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from pandas import DataFrame
from unit_mapped import mapped_file

from freqai_lstm.tools.cache import DiskCache, cache_folder
from freqai_lstm.tools.features import PairFeatures, StoredLabels, open_store

FRAME = DataFrame({"close": np.arange(1000.0), "%-rsi": np.ones(1000)})


@pytest.fixture
def features(tmp_path: Path) -> PairFeatures:
    cache = DiskCache(tmp_path)
    path = cache.keep("features", {"frame": FRAME})
    return PairFeatures(FRAME, StoredLabels(cache, "key"), path)


def test_features_travel_as_a_file_that_is_mapped(features: PairFeatures) -> None:
    packed = pickle.dumps(features)
    assert len(packed) < FRAME["close"].nbytes
    opened = pickle.loads(packed)
    assert opened.frame.equals(FRAME)
    assert mapped_file(opened.frame["close"].to_numpy()) == features.path
    assert opened.path == features.path
    # The labels come from the same folder.
    assert features.labels is not None
    assert opened.labels.key == features.labels.key
    labels, names = opened.labels(2, 5, lambda: (FRAME.iloc[2:5], ["down", "up"]))
    assert labels.equals(FRAME.iloc[2:5])
    found, found_names = features.labels(2, 5, lambda: (DataFrame(), []))
    assert found.equals(labels)
    assert found_names == names == ["down", "up"]


def test_features_travel_to_other_machines_as_they_are(features: PairFeatures) -> None:
    other = features.for_other_machines()
    assert (other.path, other.labels) == (None, None)
    assert features.path is not None
    features.path.unlink()
    opened = pickle.loads(pickle.dumps(other))
    assert opened.frame.equals(FRAME)
    assert (opened.path, opened.labels) == (None, None)


def test_store_without_a_cache_leaves_nothing(tmp_path: Path) -> None:
    config = {"user_data_dir": tmp_path}
    with open_store(config, is_kept=False) as store:
        file = store.cache.keep("features", FRAME)
        assert file.exists()
        assert not file.is_relative_to(tmp_path)
    assert not store.cache.folder.exists()
    assert [*tmp_path.iterdir()] == []


def test_store_is_in_the_user_directory(tmp_path: Path) -> None:
    config = {"user_data_dir": tmp_path}
    with open_store(config) as store:
        file = store.cache.keep("features", FRAME)
    assert file.exists()
    assert file.parent == cache_folder(tmp_path)
