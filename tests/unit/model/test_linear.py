"""A linear model that is averaged with the networks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from unit_rows import BOTH, WINDOW, load_trainer, make_data, make_split, make_trainer

from freqai_lstm.model.linear import Linear, fit_linear


def test_it_is_ridge_regression_of_the_rows_that_end_a_window() -> None:
    split = make_split(40)
    split.weights.copy_(torch.linspace(0.2, 3, len(split.weights)))
    linear = fit_linear(split, 0.5, 0.3)
    rows = split.ends.numpy()
    x, y, w = (each.numpy()[rows] for each in (split.features, split.labels, split.weights))
    ridge = Ridge(alpha=0.3 * len(rows)).fit(x, y, sample_weight=w / w.mean())
    assert len(rows) == len(split.features) - WINDOW + 1
    np.testing.assert_allclose(linear.slopes.T, ridge.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(linear.intercepts, ridge.intercept_, rtol=1e-4, atol=1e-6)


def test_share_is_that_of_the_mean() -> None:
    linear = Linear(0.25, torch.tensor([[2.0], [0.0]]), torch.tensor([1.0]))
    networks = torch.tensor([[[0.0]], [[4.0]]])
    found = linear.averaged(networks, torch.tensor([[3.0, 9.0]]))
    assert found.flatten().tolist() == [7 / 4, 3 + 7 / 4]


@pytest.mark.parametrize("size", [1, 2])
def test_networks_train_as_they_do_alone(size: int, tmp_path: Path) -> None:
    plain, both = (
        make_trainer(ensemble_size=size, linear_share=share, linear_alpha_per_row=0.1)
        for share in (0.0, 0.5)
    )
    for trainer in (plain, both):
        trainer.fit(make_data(), BOTH)
    split = make_split(20)
    rows = split.features, split.ends
    assert plain.linear is None
    assert both.linear is not None
    alone, averaged = plain.predict_members(*rows), both.predict_members(*rows)
    assert torch.equal(averaged, both.linear.averaged(alone, split.features[split.ends]))
    assert not torch.allclose(averaged, alone)
    both.save(tmp_path / "model.zip")
    assert torch.equal(load_trainer(tmp_path / "model.zip").predict_members(*rows), averaged)


def test_spread_is_calibrated_on_the_mean() -> None:
    trainer = make_trainer(ensemble_size=2, linear_share=0.5)
    data = make_data()
    trainer.fit(data, BOTH)
    features = torch.tensor(data["test_features"].to_numpy())
    ends = torch.arange(WINDOW - 1, len(features))
    members = trainer.predict_members(features, ends)
    labels = torch.tensor(data["test_labels"].to_numpy())[ends]
    error = (members.mean(dim=0) - labels).square().mean(dim=0)
    spread = (members.std(dim=0) * torch.tensor(trainer.calibration)).square().mean(dim=0)
    torch.testing.assert_close(spread, error)
