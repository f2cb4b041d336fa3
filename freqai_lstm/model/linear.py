"""A linear model beside the networks: ridge regression of the newest candle, averaged with them.

Where little can be known, a network that is tied down and a linear model err differently, and their
mean errs less than either.

Shapes: R rows, F features, L labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from freqai_lstm.model.training import Split


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


def fit_linear(split: Split, share: float, alpha_per_row: float) -> Linear:
    """Fit the rows that a network trains on, by weighted least squares with a penalty.

    :param share: Share in the prediction.
    :param alpha_per_row: Penalty on the squared slopes for each row.
    """
    weights = split.weights[split.ends].double()[:, None]
    weights = weights / weights.mean()
    features, labels = split.features[split.ends].double(), split.labels[split.ends].double()
    means = (weights * features).mean(dim=0), (weights * labels).mean(dim=0)
    features, labels = features - means[0], labels - means[1]
    penalty = alpha_per_row * len(features) * torch.eye(features.shape[1]).to(features)
    weighted = weights * features
    slopes = torch.linalg.solve(weighted.T @ features + penalty, weighted.T @ labels)
    intercepts = means[1] - means[0] @ slopes
    return Linear(share, slopes.float().cpu(), intercepts.float().cpu())
