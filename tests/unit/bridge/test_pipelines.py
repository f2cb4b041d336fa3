"""The feature and label pipelines: standardised, and noisy by a seed alone."""

from typing import Any

import datasieve.transforms as ds
import numpy as np
import pandas as pd
import pytest
from datasieve.pipeline import Pipeline
from datasieve.transforms import SKLearnWrapper
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from freqai_lstm.bridge.pipelines import (
    SeededNoise,
    adapt_feature_pipeline,
    standardising_label_pipeline,
)

ROWS, SIGMA = 400, 0.1


def freqai_pipeline(sigma: float = 0.0, *between: tuple[str, Any]) -> Pipeline:
    """Make a feature pipeline like FreqAI's own."""
    steps: list[tuple[str, Any]] = [
        ("const", ds.VarianceThreshold(threshold=0)),
        ("scaler", SKLearnWrapper(MinMaxScaler(feature_range=(-1, 1)))),
        *between,
    ]
    if sigma:
        steps.append(("noise", ds.Noise(sigma=sigma)))
    return Pipeline(steps)


@pytest.fixture
def features() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "%-plain": random.normal(5, 3, ROWS),
            "%-constant": 1.0,
            "%-rare": np.where(random.random(ROWS) < 0.02, 50.0, 0.0),
        }
    )


def fitted(pipeline: Pipeline, features: pd.DataFrame) -> pd.DataFrame:
    """Fit a pipeline and return the training features of it."""
    transformed, _, _ = pipeline.fit_transform(features.copy(), None, np.ones(len(features)))
    return pd.DataFrame(transformed)


def test_features_are_standardised(features: pd.DataFrame) -> None:
    scaled = fitted(adapt_feature_pipeline(freqai_pipeline(), seed=0), features)
    np.testing.assert_allclose(scaled.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(ddof=0), 1, rtol=1e-9)


def test_constant_features_are_still_dropped(features: pd.DataFrame) -> None:
    pipeline = adapt_feature_pipeline(freqai_pipeline(), seed=0)
    assert list(fitted(pipeline, features).columns) == ["%-plain", "%-rare"]


def test_new_features_are_scaled_like_the_training_ones(features: pd.DataFrame) -> None:
    pipeline = adapt_feature_pipeline(freqai_pipeline(SIGMA), seed=0)
    fitted(pipeline, features)
    transformed, _, _ = pipeline.transform(features.iloc[:10] * 2)
    kept = features[["%-plain", "%-rare"]]
    expected = (kept.iloc[:10] * 2 - kept.mean()) / kept.std(ddof=0)
    np.testing.assert_allclose(transformed, expected, rtol=1e-9)


def test_other_steps_keep_their_place_and_their_object() -> None:
    outliers = ds.SVMOutlierExtractor()
    pipeline = freqai_pipeline(SIGMA, ("svm", outliers))
    adapted = adapt_feature_pipeline(pipeline, seed=0)
    assert adapted is pipeline
    assert [name for name, _ in adapted.steps] == ["const", "scaler", "svm", "noise"]
    assert adapted["svm"] is outliers
    assert isinstance(adapted["noise"], SeededNoise)


def test_without_noise_there_is_no_noise_step() -> None:
    adapted = adapt_feature_pipeline(freqai_pipeline(), seed=0)
    assert [name for name, _ in adapted.steps] == ["const", "scaler"]


def test_noise_is_the_same_for_the_same_seed_alone(features: pd.DataFrame) -> None:
    first, again, other = (
        fitted(adapt_feature_pipeline(freqai_pipeline(SIGMA), seed), features) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first, other)


def test_noise_does_not_touch_numpys_own_generator(features: pd.DataFrame) -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    fitted(adapt_feature_pipeline(freqai_pipeline(SIGMA), seed=0), features)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_noise_has_the_configured_strength(features: pd.DataFrame) -> None:
    clean = fitted(adapt_feature_pipeline(freqai_pipeline(), seed=0), features)
    noisy = fitted(adapt_feature_pipeline(freqai_pipeline(SIGMA), seed=0), features)
    noise = (noisy - clean).to_numpy()
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(SIGMA, rel=0.1)
    # Each value has its own.
    assert len(np.unique(noise.round(9))) == noise.size


def test_noise_is_added_to_training_features_only() -> None:
    noise, rows = SeededNoise(SIGMA, seed=0), np.ones((5, 2))
    labels, weights = np.arange(5), np.arange(5) / 5
    trained_on, *rest = noise.fit_transform(rows, labels, weights, ["%-a", "%-b"])
    assert not np.isclose(trained_on, rows).any()
    assert [value is given for value, given in zip(rest, (labels, weights), strict=False)] == [
        True,
        True,
    ]
    predicted_from, *_ = noise.transform(rows)
    assert (predicted_from == 1).all()
    assert (rows == 1).all()


def test_noise_step_keeps_none_of_its_noise() -> None:
    noise = SeededNoise(SIGMA, seed=0)
    noise.fit_transform(np.ones((500, 20)))
    assert all(np.size(value) <= 1 for value in vars(noise).values())


def test_labels_are_standardised_and_restored() -> None:
    random = np.random.default_rng(1)
    labels = pd.DataFrame(
        {"&-a": random.normal(3, 2, ROWS), "&-b": np.where(random.random(ROWS) < 0.1, 9.0, 0.0)}
    )
    pipeline = standardising_label_pipeline()
    scaled, _, _ = pipeline.fit_transform(labels.copy())
    np.testing.assert_allclose(scaled.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(ddof=0), 1, rtol=1e-9)
    restored, _, _ = pipeline.inverse_transform(scaled)
    np.testing.assert_allclose(restored, labels, atol=1e-9)


def test_label_pipelines_share_nothing() -> None:
    first, second = standardising_label_pipeline(), standardising_label_pipeline()
    first.fit_transform(pd.DataFrame({"&-a": [0.0, 10.0]}))
    second.fit_transform(pd.DataFrame({"&-a": [0.0, 2.0]}))
    restored, _, _ = first.inverse_transform(pd.DataFrame({"&-a": [1.0]}))
    assert restored["&-a"].tolist() == [10.0]


def test_dissimilarity_is_datasieves_to_the_last_bit(features: pd.DataFrame) -> None:
    theirs = freqai_pipeline(0.0, ("di", ds.DissimilarityIndex(di_threshold=0.5, n_jobs=1)))
    theirs.steps[1] = ("scaler", SKLearnWrapper(StandardScaler()))
    ours = adapt_feature_pipeline(
        freqai_pipeline(0.0, ("di", ds.DissimilarityIndex(di_threshold=0.5, n_jobs=1))), seed=0
    )
    pd.testing.assert_frame_equal(fitted(theirs, features), fitted(ours, features))
    assert ours["di"].avg_mean_dist == theirs["di"].avg_mean_dist
    assert (ours["di"].di_values == theirs["di"].di_values).all()
    new = features * np.linspace(1, 4, ROWS)[:, np.newaxis]
    for pipeline in (ours, theirs):
        _, inliers, _ = pipeline.transform(new.copy(), outlier_check=True)
        assert 0 < (inliers == 0).sum() < ROWS
    assert (ours["di"].di_values == theirs["di"].di_values).all()
