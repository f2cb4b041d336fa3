"""The feature and label pipelines where they differ from FreqAI's."""

import hashlib
from typing import Any

import datasieve.transforms as ds
import numpy as np
import pandas as pd
from datasieve.pipeline import Pipeline
from datasieve.transforms import SKLearnWrapper
from joblib import parallel_backend
from sklearn.metrics.pairwise import pairwise_distances
from sklearn.preprocessing import StandardScaler

_TIMESTAMP = "timestamp"


class SeededNoise(ds.Noise):
    """FreqAI's training noise from a generator of its own, so that a run can be repeated.

    :param sigma: Standard deviation of the noise, in units of the scaled features.
    """

    def __init__(self, sigma: float, seed: int) -> None:
        super().__init__(sigma=sigma)
        self.seed = seed

    def fit_transform(self, X, y=None, sample_weight=None, feature_list=None, **kwargs):  # type: ignore[no-untyped-def] # noqa: N803
        """Add noise to the training features and keep none of it."""
        noise = np.random.default_rng(self.seed).normal(self.mu, self.sigma, X.shape)
        return X + noise, y, sample_weight, feature_list


class DissimilarityIndex(ds.DissimilarityIndex):
    """The same index, with half the work: a training takes each distance between its rows once."""

    def fit(self, X, y=None, sample_weight=None, feature_list=None, **kwargs):  # type: ignore[no-untyped-def] # noqa: N803
        """Take the mean distance between two rows of the training data."""
        with parallel_backend(self.backend, n_jobs=self.n_jobs):
            distances = pairwise_distances(X)
        rows = len(distances)
        # All but the diagonal, in the order of memory, so that the sum rounds as in datasieve.
        pairs = distances.ravel()[1:].reshape(rows - 1, rows + 1)[:, :-1]
        self.avg_mean_dist = np.ascontiguousarray(pairs).mean()
        self.trained_data = X
        return X, y, sample_weight, feature_list

    def fit_transform(self, X, y=None, sample_weight=None, feature_list=None, **kwargs):  # type: ignore[no-untyped-def] # noqa: N803
        """Keep all rows: each has a distance of 0 to itself."""
        self.di_values = np.zeros(len(X))
        return self.fit(X, y, sample_weight, feature_list, **kwargs)  # type: ignore[no-untyped-call]


def derived_seed(seed: int, pair: str, last_candle: pd.Timestamp) -> int:
    """Return a seed of its own for each pair and training window."""
    text = f"{seed} {pair} {last_candle.isoformat()}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def adapt_feature_pipeline(pipeline: Pipeline, seed: int) -> Pipeline:
    """Let a pipeline standardise its features, and draw its noise from a seed.

    FreqAI scales features to [-1, 1] between their extremes, which leaves a feature that is
    usually 0 with rare large values too small a range to learn from.

    :param pipeline: FreqAI's feature pipeline, not fitted yet.
    :return: The same pipeline.
    """
    replacements = {"scaler": SKLearnWrapper(StandardScaler())}
    noise = dict(pipeline.steps).get("noise")
    if noise is not None:
        replacements["noise"] = SeededNoise(noise.sigma, seed)
    index = dict(pipeline.steps).get("di")
    if index is not None:
        replacements["di"] = DissimilarityIndex(index.di_threshold, index.n_jobs, index.backend)
    pipeline.steps = [(name, replacements.get(name, step)) for name, step in pipeline.steps]
    return pipeline


def standardising_label_pipeline() -> Pipeline:
    """Return a pipeline that scales each label to mean 0 and standard deviation 1.

    For the same reason: the components of the score are 0 on most candles.
    """
    return Pipeline([("scaler", SKLearnWrapper(StandardScaler()))])


def apply_pipelines(dk: Any, split: str, timestamps: pd.Series) -> None:
    """Scale one split in place, and put the timestamps of its rows beside it.

    The pipelines are fitted on the training split. The feature pipeline renumbers the rows and may
    drop outliers, so the timestamps travel with the labels.

    :param dk: FreqAI's data kitchen, with both pipelines and the splits in ``data_dictionary``.
    :param split: ``train`` or ``test``.
    :param timestamps: Opening times of the candles in seconds, by the index of the split's labels.
    """
    dd = dk.data_dictionary
    labels = dd[f"{split}_labels"]
    labels = labels.assign(**{_TIMESTAMP: timestamps.loc[labels.index]})
    step = "fit_transform" if split == "train" else "transform"
    dd[f"{split}_features"], labels, dd[f"{split}_weights"] = getattr(dk.feature_pipeline, step)(
        dd[f"{split}_features"], labels, dd[f"{split}_weights"]
    )
    dd[f"{split}_timestamps"] = labels.pop(_TIMESTAMP).to_numpy().astype(np.int64)
    dd[f"{split}_labels"], _, _ = getattr(dk.label_pipeline, step)(labels)
