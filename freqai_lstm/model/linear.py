"""A linear model beside the networks: ridge regression of the newest candle, averaged with them.

Where little can be known, a network that is tied down and a linear model err differently, and their
mean errs less than either.

Shapes: R rows, F features, L labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from freqai_lstm.model.training import Split

_REWEIGHTINGS = 4
"""After so many, slopes of returns change by less than a hundredth."""


@dataclass(frozen=True)
class Linear:
    """What each feature adds to each label, and how much it counts in the mean.

    :ivar share: Its share in the prediction, above 0 and below 1; the rest is the networks'.
    :ivar slopes: Shape ``(F, L)``.
    :ivar intercepts: Shape ``(L,)``.
    """

    share: float
    slopes: Tensor
    intercepts: Tensor

    def averaged(self, predicted: Tensor, features: Tensor) -> Tensor:
        """Return the mean of what each network predicts and this.

        :param predicted: Scaled labels, shape ``(networks, R, L)``.
        :param features: Scaled features of the newest candle, shape ``(R, F)``.
        """
        linear = features @ self.slopes.to(features) + self.intercepts.to(features)
        return torch.lerp(predicted, linear.to(predicted), self.share)


def fit_linear(
    split: Split, share: float, alpha_per_row: float, huber_delta: float | None = None
) -> Linear:
    """Fit the rows that a network trains on, by weighted least squares with a penalty.

    :param share: Share in the prediction.
    :param alpha_per_row: Penalty on the squared slopes for each row.
    :param huber_delta: Errors above it count by their size, by iteratively reweighted least
        squares, as in :func:`~freqai_lstm.model.training.huber_error`; None for none.
    """
    weights = split.weights[split.ends].double()[:, None]
    weights = weights / weights.mean()
    features, labels = split.features[split.ends].double(), split.labels[split.ends].double()
    slopes, intercepts = _least_squares(features, labels, weights, alpha_per_row)
    for label in range(labels.shape[1] if huber_delta is not None else 0):
        of_label = labels[:, [label]]
        for _ in range(_REWEIGHTINGS):
            errors = of_label - features @ slopes[:, [label]] - intercepts[label]
            reweighted = weights * (huber_delta / errors.abs()).clamp(max=1)
            slopes[:, [label]], intercepts[[label]] = _least_squares(
                features, of_label, reweighted, alpha_per_row
            )
    return Linear(share, slopes.float().cpu(), intercepts.float().cpu())


def _least_squares(
    features: Tensor, labels: Tensor, weights: Tensor, alpha_per_row: float
) -> tuple[Tensor, Tensor]:
    """Return slopes ``(F, L)`` and intercepts ``(L,)``; weights have the shape ``(R, 1)``."""
    total = weights.sum()
    means = (weights * features).sum(dim=0) / total, (weights * labels).sum(dim=0) / total
    features, labels = features - means[0], labels - means[1]
    penalty = alpha_per_row * len(features) * torch.eye(features.shape[1]).to(features)
    weighted = weights * features
    slopes = torch.linalg.solve(weighted.T @ features + penalty, weighted.T @ labels)
    return slopes, means[1] - means[0] @ slopes
