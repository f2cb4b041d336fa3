"""Compare the predictions that a finished backtest left with what came true of the same candles.

Takes freqtrade's own options: use the ones of the backtest.
"""

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from freqai_lstm.tools.command import add_freqtrade_options, freqai_configuration, print_table
from freqai_lstm.tools.predictions import PairPredictions, Predictions, asked_for, load_predictions
from freqai_lstm.tools.statistics import (
    base_rates,
    brier_score,
    correlation,
    log_loss,
    probabilities,
    r_squared,
    sign_accuracy,
)
from freqai_lstm.tools.truths import SCORE

_COUNTS = ("Pair", "Trainings", "Candles", "Predicted [%]")
_HEADERS = (*_COUNTS, *("Correlation", "Persistence", "R2", "R2 over mean", "Sign accuracy [%]"))
_CLASS_HEADERS = (
    *_COUNTS,
    *("Accuracy [%]", "Base rate [%]", "Log loss", "of base rates", "Brier", "of base rates"),
)


@dataclass(frozen=True)
class Skill:
    """How well one pair's predicted label matches what came true ``horizon`` candles ahead.

    ``correlation`` and ``r_squared`` compare the labels, ``sign_accuracy`` their signs where the
    true label is not 0. ``persistence`` is the correlation that the newest known label alone
    reaches, ``r_squared_over_mean`` the share of the squared error that the model saves over the
    running mean of the known labels. NaN where it is not defined, e.g. for a constant label.
    """

    pair: str
    windows: int
    candles: int
    predicted_share: float
    correlation: float
    persistence: float
    r_squared: float
    r_squared_over_mean: float
    sign_accuracy: float


@dataclass(frozen=True)
class ClassScores:
    """How well predicted classes match what came true, beside the base rates.

    ``accuracy`` is the share of right classes, ``base_rate`` that of always saying the class that
    was the most frequent by then. ``log_loss`` and ``brier`` judge the probabilities, the smaller
    the better; those of the base rates are for how frequent each class was by then.
    """

    accuracy: float
    base_rate: float
    log_loss: float
    base_log_loss: float
    brier: float
    base_brier: float


@dataclass(frozen=True)
class ClassSkill(ClassScores):
    """How well one pair's predicted classes match what came true."""

    pair: str
    windows: int
    candles: int
    predicted_share: float


def pair_skill(pair: PairPredictions) -> Skill:
    """Return the skill of one pair's predictions of a number."""
    compared = pair.candles[pair.trusted]
    predicted, true = compared["predicted"], compared["true"]
    error, mean_error = (
        ((compared[name] - true) ** 2).where(compared["mean"].notna()).sum()
        for name in ("predicted", "mean")
    )
    return Skill(
        pair=pair.pair,
        windows=len(pair.windows),
        candles=len(compared),
        predicted_share=float((pair.candles["do_predict"] == 1).mean()),
        correlation=correlation(predicted, true).value,
        persistence=correlation(compared["present"], true).value,
        r_squared=r_squared(predicted, true),
        r_squared_over_mean=float(1 - error / mean_error) if mean_error > 0 else math.nan,
        sign_accuracy=sign_accuracy(predicted, true),
    )


def class_skill(pair: PairPredictions) -> ClassSkill:
    """Return the skill of one pair's predictions of a class."""
    compared, classes = pair.candles[pair.trusted], pair.classes
    ours, theirs = probabilities(compared, classes), base_rates(compared, classes)
    most_frequent = theirs.idxmax(axis=1)
    return ClassSkill(
        pair=pair.pair,
        windows=len(pair.windows),
        candles=len(compared),
        predicted_share=float((pair.candles["do_predict"] == 1).mean()),
        accuracy=float((compared["predicted"] == compared["true"]).mean()),
        base_rate=float((most_frequent == compared["true"]).mean()),
        log_loss=float(log_loss(ours, compared["true"]).mean()),
        base_log_loss=float(log_loss(theirs, compared["true"]).mean()),
        brier=float(brier_score(ours, compared["true"]).mean()),
        base_brier=float(brier_score(theirs, compared["true"]).mean()),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_freqtrade_options(parser)
    parser.set_defaults(run=run_skill)


def run_skill(args: argparse.Namespace) -> int:
    """Print a table of every pair's skill for each label, and last of the score.

    :raises SkillError: If the backtest left no predictions.
    """
    print_skill(load_predictions(freqai_configuration(vars(args))))
    return 0


def print_skill(predictions: Predictions) -> None:
    """Print a table for each label, those that a trader asks about last."""
    asked = asked_for(predictions)
    for label in sorted(predictions, key=lambda label: (label in asked, label == SCORE)):
        _print_label(label, predictions[label])


def _print_label(label: str, pairs: Iterable[PairPredictions]) -> None:
    pairs = list(pairs)
    horizon = max(pair.horizon for pair in pairs)
    ahead = f"{horizon} candle(s) ahead" if horizon else "of the present candle"
    title = f"SKILL OUT OF SAMPLE: predicted against true {label} {ahead}"
    if pairs[0].classes:
        rows = [_class_row(class_skill(pair)) for pair in pairs]
        print_table(title, _CLASS_HEADERS, rows)
    else:
        print_table(title, _HEADERS, [_row(pair_skill(pair)) for pair in pairs])


def _counts(skill: Skill | ClassSkill) -> list[Any]:
    return [skill.pair, skill.windows, skill.candles, f"{100 * skill.predicted_share:.1f}"]


def _row(skill: Skill) -> list[Any]:
    return [
        *_counts(skill),
        f"{skill.correlation:.3f}",
        f"{skill.persistence:.3f}",
        f"{skill.r_squared:.3f}",
        f"{skill.r_squared_over_mean:.3f}",
        f"{100 * skill.sign_accuracy:.1f}",
    ]


def _class_row(skill: ClassSkill) -> list[Any]:
    return [
        *_counts(skill),
        f"{100 * skill.accuracy:.1f}",
        f"{100 * skill.base_rate:.1f}",
        f"{skill.log_loss:.4f}",
        f"{skill.base_log_loss:.4f}",
        f"{skill.brier:.4f}",
        f"{skill.base_brier:.4f}",
    ]
