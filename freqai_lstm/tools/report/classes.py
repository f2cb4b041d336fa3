"""The figures of a label of classes: what its probabilities are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import pandas as pd

from freqai_lstm.tools import statistics
from freqai_lstm.tools.predictions import PairPredictions
from freqai_lstm.tools.skill import ClassScores, ClassSkill, class_skill


@dataclass(frozen=True)
class ClassFigures:
    """The figures of a pair.

    ``gain`` is the mean log loss of the base rates less the model's. ``reliability`` has bins of
    similar probabilities for each class, and how often it came true. ``windows`` are the skills of
    the training windows by their stamps.
    """

    pair: str
    candles: int
    skill: ClassSkill
    gain: statistics.Estimate
    reliability: Mapping[str, Sequence[statistics.CalibrationBin]]
    windows: Mapping[int, ClassSkill]


@dataclass(frozen=True)
class OverallClassFigures(ClassScores):
    """Means over all pairs, with errors that count a candle once however many pairs have it."""

    gain: statistics.Estimate


def class_figures(pair: PairPredictions) -> ClassFigures:
    """Return the figures of a pair."""
    compared = pair.candles[pair.trusted]
    forecast = statistics.probabilities(compared, pair.classes)
    windows = {
        stamp: class_skill(pair.within(pair.candles["window"] == stamp)) for stamp in pair.windows
    }
    return ClassFigures(
        pair=pair.pair,
        candles=len(pair.candles),
        skill=class_skill(pair),
        gain=_gain(pair).estimate(pair.horizon),
        reliability={
            name: statistics.calibration(forecast[name], (compared["true"] == name).astype(float))
            for name in pair.classes
        },
        windows=windows,
    )


def overall_class_figures(pairs: Sequence[PairPredictions]) -> OverallClassFigures:
    """Return the means over pairs."""
    skills = pd.DataFrame([vars(class_skill(pair)) for pair in pairs])
    horizon = max(pair.horizon for pair in pairs)
    return OverallClassFigures(
        **{score.name: float(skills[score.name].mean()) for score in fields(ClassScores)},
        gain=statistics.mean_statistic([_gain(pair) for pair in pairs]).estimate(horizon),
    )


def _gain(pair: PairPredictions) -> statistics.Statistic:
    """Return how much log loss the model saves over the base rates."""
    compared, classes = pair.candles[pair.trusted], pair.classes
    ours, theirs = (
        statistics.log_loss(forecast(compared, classes), compared["true"])
        for forecast in (statistics.probabilities, statistics.base_rates)
    )
    return statistics.mean((theirs - ours).reindex(pair.candles.index))
