"""Ridge regression, against its closed form."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.resolvers.freqaimodel_resolver import FreqaiModelResolver


@pytest.fixture
def data() -> dict[str, Any]:
    random = np.random.default_rng(0)
    features = pd.DataFrame(random.normal(size=(60, 3)), columns=["%-a", "%-b", "%-c"])
    labels = pd.DataFrame({"&-x": features["%-a"], "&-y": -2.0 * features["%-b"]})
    labels += random.normal(size=labels.shape)
    weights = np.exp(-np.arange(60)[::-1] / 20)
    return {"train_features": features, "train_labels": labels, "train_weights": weights}


def regressor(config: dict[str, Any], **parameters: float) -> Any:
    config["freqaimodel"] = "RidgeRegressor"
    config["freqai"]["model_training_parameters"] = parameters
    return FreqaiModelResolver.load_freqaimodel(config)


@pytest.mark.parametrize("alpha_per_row", [None, 0.25])
def test_fit_is_the_closed_form_of_the_weighted_rows(
    config: dict[str, Any], data: dict[str, Any], alpha_per_row: float | None
) -> None:
    given = {} if alpha_per_row is None else {"alpha_per_row": alpha_per_row}
    model = regressor(config, **given).fit(data, dk=None)
    weights = data["train_weights"]
    x, y = (data[name].to_numpy() for name in ("train_features", "train_labels"))
    x, y = (each - np.average(each, axis=0, weights=weights) for each in (x, y))
    penalty = (alpha_per_row or 1.0) * len(x) * np.eye(3)
    expected = np.linalg.solve((x.T * weights) @ x + penalty, (x.T * weights) @ y)
    assert pytest.approx(expected) == model.coef_.T
    assert model.predict(data["train_features"]).shape == (60, 2)


def test_features_and_labels_are_standardised_by_freqais_pipelines(config: dict[str, Any]) -> None:
    config["freqai"]["feature_parameters"].update(DI_threshold=0, noise_standard_deviation=0.1)
    model = regressor(config)
    rows = pd.DataFrame({"%-a": np.arange(100.0) ** 3, "%-b": 1.0})
    scaled = [model.define_data_pipeline().fit_transform(rows)[0] for _ in range(2)]
    # What is constant tells nothing; the noise is the same in each training.
    assert list(scaled[0]) == ["%-a"]
    assert scaled[0].equals(scaled[1])
    assert scaled[0].std().item() == pytest.approx(1, abs=0.05)
    labels, _, _ = model.define_label_pipeline().fit_transform(rows[["%-a"]])
    assert (labels.mean().item(), labels.std(ddof=0).item()) == pytest.approx((0, 1), abs=1e-9)
