"""Persistence: what the present value of a label says of its value to come, fitted beforehand.

A network that has few candles to learn from first has to find out that the next score resembles the
present one. Here each label whose present value is a feature, ``&-x`` with ``%-x``, is that feature
times a factor, by least squares, and the network only learns what is left: the same as predicting
the residuals of an autoregression of order one.

Shapes: R rows, F features, L labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from freqai_lstm.model.training import Split


@dataclass(frozen=True)
class Persistence:
    """Which labels follow which features, and how closely: one entry for each such label."""

    labels: tuple[int, ...]
    features: tuple[int, ...]
    factors: tuple[float, ...]

    def predict(self, features: Tensor, label_count: int) -> Tensor:
        """Return what persistence predicts, 0 for labels without a feature.

        :param features: Scaled features, shape ``(R, F)``.
        :param label_count: Number of labels L.
        :return: Scaled labels, shape ``(R, L)``.
        """
        predicted = features.new_zeros(len(features), label_count)
        factors = features.new_tensor(self.factors)
        predicted[:, list(self.labels)] = features[:, list(self.features)] * factors
        return predicted

    def residual(self, split: Split) -> Split:
        """Return a split with what is left of its labels."""
        carried = self.predict(split.features, split.labels.shape[1])
        return replace(split, labels=split.labels - carried)


def fit_persistence(split: Split, features: Sequence[str], labels: Sequence[str]) -> Persistence:
    """Fit each label's factor to the rows that a network trains on, by weighted least squares.

    :param features: Names of its features, ``%-`` before each.
    :param labels: Names of its labels, ``&-`` before each.
    """
    weights = split.weights[split.ends].double()
    found = []
    for label, name in enumerate(labels):
        if (namesake := f"%{name[1:]}") not in features:
            continue
        column = features.index(namesake)
        present = split.features[split.ends, column].double()
        future = split.labels[split.ends, label].double()
        square = torch.sum(weights * present**2)
        factor = torch.sum(weights * present * future) / square if square > 0 else square
        found.append((label, column, float(factor)))
    which, columns, factors = zip(*found, strict=True) if found else ((), (), ())
    return Persistence(which, columns, factors)
