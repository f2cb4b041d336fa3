"""The columns that say how uncertain each label's prediction is, beside the predictions."""

from collections.abc import Iterable, Sequence

import numpy as np


def spread_columns(labels: Iterable[str]) -> list[str]:
    """Return the column of each label's spread.

    FreqAI keeps ``_mean`` and ``_std`` for statistics of each predicted column, these included.
    """
    return [f"{label}_spread" for label in labels]


def mean_and_spread(members: np.ndarray, calibration: Sequence[float] | None) -> np.ndarray:
    """Return what an ensemble predicts.

    Rows do not influence each other.

    :param members: What each network predicts, shape ``(networks, rows, labels)``.
    :param calibration: Factor on each label's standard deviation over the networks; None for a
        single network, which has no spread.
    :return: The mean of each label, then its spread, shape ``(rows, 2 * labels)``; without spreads
        ``(rows, labels)``.
    """
    mean: np.ndarray = members.mean(axis=0)
    if calibration is None:
        return mean
    return np.hstack([mean, members.std(axis=0, ddof=1) * calibration])
