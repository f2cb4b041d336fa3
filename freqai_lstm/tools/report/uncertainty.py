"""What the spreads of an ensemble are worth: compared with its errors, out of sample."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from freqai_lstm.tools.predictions import SCORE, PairPredictions
from freqai_lstm.tools.statistics import Estimate, mean_statistic, rank_correlation

ALL_LABELS = "all labels"
"""Stands for the mean over all labels."""

_MULTIPLES = [0.25 * step for step in range(1, 13)]


@dataclass(frozen=True)
class SpreadFigures:
    """How the errors of some predictions compare with their spreads.

    ``within_one`` and ``within_two`` are the shares of candles whose truth lies within so many
    spreads of the prediction. ``error_ratio`` is the root mean square of the errors over that of
    the spreads. ``rank_correlation`` is that of the spread with the size of the error.
    """

    within_one: float
    within_two: float
    error_ratio: float
    rank_correlation: Estimate


def pair_spreads(pair: PairPredictions) -> dict[str, SpreadFigures]:
    """Return the figures of the score, of all labels and of each; none for a single network."""
    return {
        name: _figures(frames, pair.horizon)
        for name, frames in _frames(pair).items()
        if all(len(frame.dropna()) for frame in frames)
    }


def overall_spreads(pairs: Sequence[PairPredictions]) -> dict[str, SpreadFigures]:
    """Return the mean figures over pairs, of the score and of all labels."""
    figures = {}
    for name in (SCORE, ALL_LABELS):
        frames = [frame for pair in pairs for frame in _frames(pair).get(name, ())]
        if compared := [frame for frame in frames if len(frame.dropna())]:
            figures[name] = _figures(compared, pairs[0].horizon)
    return figures


def coverage(pair: PairPredictions) -> pd.DataFrame:
    """Return the shares of candles whose truth lies within so many spreads of the prediction.

    :return: Columns ``score``, ``all labels`` and ``normal``, what a normal error would have; by
        multiple of the spread.
    """
    frames = _frames(pair)
    shares = {
        name: [_within(frames[name], multiple) for multiple in _MULTIPLES]
        for name in (SCORE, ALL_LABELS)
    }
    return pd.DataFrame(shares, _MULTIPLES).assign(normal=list(map(normal_share, _MULTIPLES)))


def normal_share(multiple: float) -> float:
    """Return the share of a normal distribution within so many standard deviations."""
    return float(1 - 2 * norm.sf(multiple))


def _frames(pair: PairPredictions) -> dict[str, list[pd.DataFrame]]:
    """Return the errors and spreads of the compared candles that each row of figures is made of."""
    if not pair.errors:
        return {}
    compared = {name: frame.where(pair.trusted) for name, frame in pair.errors.items()}
    labels = {name: frame for name, frame in compared.items() if name != SCORE}
    single = {name: [frame] for name, frame in labels.items()}
    return {SCORE: [compared[SCORE]], ALL_LABELS: list(labels.values())} | single


def _figures(frames: Sequence[pd.DataFrame], overlap_candles: int) -> SpreadFigures:
    squares = [
        (frame["error"] ** 2).mean() / (frame["spread"] ** 2).mean()
        if (frame["spread"] > 0).any()
        else math.nan
        for frame in frames
    ]
    return SpreadFigures(
        within_one=_within(frames, 1),
        within_two=_within(frames, 2),
        error_ratio=math.sqrt(float(np.mean(squares))),
        rank_correlation=mean_statistic(
            [rank_correlation(frame["spread"], frame["error"].abs()) for frame in frames]
        ).estimate(overlap_candles),
    )


def _within(frames: Sequence[pd.DataFrame], multiple: float) -> float:
    """Return the mean share over the frames."""
    complete = [frame.dropna() for frame in frames]
    shares = [(frame["error"].abs() <= multiple * frame["spread"]).mean() for frame in complete]
    return float(np.mean(shares))
