"""What a label's present value says of it, and a network that learns the rest."""

from pathlib import Path
from typing import Any

import pytest
import torch
from unit_rows import BOTH, WINDOW, load_trainer, make_data, make_split, make_trainer

from freqai_lstm.model.persistence import Persistence, fit_persistence
from freqai_lstm.model.training import Split

FEATURES = ["%-other", "%-a", "%-rsi", "%-volume"]
LABELS = ["&-future", "&-a"]


def named(data: dict[str, Any], features: list[str] = FEATURES) -> dict[str, Any]:
    """Name the columns of FreqAI's data dictionary."""
    for split in BOTH:
        data[f"{split}_features"].columns = features
        data[f"{split}_labels"].columns = LABELS
    return data


def carried(split: Split, factor: float) -> Split:
    labels = split.labels.clone()
    labels[:, 1] = factor * split.features[:, 1]
    return Split(split.features, labels, split.weights, split.ends)


def test_factor_is_that_of_the_label_with_a_feature_of_its_name() -> None:
    split = carried(make_split(40), 0.7)
    persistence = fit_persistence(split, FEATURES, LABELS)
    assert (persistence.labels, persistence.features) == ((1,), (1,))
    assert persistence.factors == pytest.approx((0.7,), rel=1e-6)
    left = persistence.residual(split)
    assert torch.equal(left.labels[:, 0], split.labels[:, 0])
    torch.testing.assert_close(left.labels[:, 1], torch.zeros(len(split.labels)))


def test_rows_count_by_their_weight_and_only_where_a_window_ends() -> None:
    split = carried(make_split(40), 0.7)
    split.labels[:WINDOW, 1] = 99
    split.labels[20, 1] = 99
    split.weights[20] = 0
    split.ends.copy_(split.ends.clamp(min=WINDOW))
    assert fit_persistence(split, FEATURES, LABELS).factors == pytest.approx((0.7,), rel=1e-6)


def test_feature_without_variation_says_nothing() -> None:
    split = make_split(20)
    split.features[:, 1] = 0
    assert fit_persistence(split, FEATURES, LABELS).factors == (0.0,)


def test_labels_without_features_are_left_to_the_network() -> None:
    split = make_split(20)
    persistence = fit_persistence(split, ["%-x", "%-y", "%-z", "%-a-1"], LABELS)
    assert persistence == Persistence((), (), ())
    assert torch.equal(persistence.residual(split).labels, split.labels)


@pytest.mark.parametrize("size", [1, 3])
def test_networks_learn_and_add_what_is_left(tmp_path: Path, size: int) -> None:
    plain = make_trainer(ensemble_size=size)
    trainer = make_trainer(ensemble_size=size, from_persistence=True)
    data = named(make_data())
    split = trainer._load_split(data, "train")
    persistence = fit_persistence(split, FEATURES, LABELS)
    trainer.fit(data, BOTH)
    for kind in BOTH:
        left = persistence.residual(plain._load_split(data, kind)).labels.numpy()
        data[f"{kind}_labels"] = data[f"{kind}_labels"] * 0 + left
    plain.fit(data, BOTH)

    ends = split.ends
    expected = plain.predict(split.features, ends)
    expected += persistence.predict(split.features[ends], len(LABELS))
    assert trainer.persistence == persistence
    predicted = trainer.predict(split.features, ends)
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-6)
    trainer.save(tmp_path / "model.zip")
    loaded = load_trainer(tmp_path / "model.zip")
    assert torch.equal(loaded.predict(split.features, ends), predicted)


def test_without_the_setting_there_is_none() -> None:
    trainer = make_trainer()
    trainer.fit(named(make_data()), BOTH)
    assert trainer.persistence is None
