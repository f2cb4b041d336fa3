"""Compare the predictions that a finished backtest left with the true score of the same candles.

Takes freqtrade's own options: use the ones of the backtest.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from freqai_lstm.tools.command import add_freqtrade_options, freqai_configuration, print_table
from freqai_lstm.tools.predictions import PairPredictions, load_predictions
from freqai_lstm.tools.statistics import correlation, r_squared, sign_accuracy

_HEADERS = (
    *("Pair", "Trainings", "Candles", "Predicted [%]"),
    *("Correlation", "R2", "Sign accuracy [%]", "Persistence"),
)


@dataclass(frozen=True)
class Skill:
    """How well one pair's predicted score matches the true score ``horizon`` candles ahead.

    ``correlation`` and ``r_squared`` compare the scores, ``sign_accuracy`` their signs where the
    true score is not 0, ``persistence`` is the correlation that the present score alone reaches.
    NaN where it is not defined, e.g. for a constant score.
    """

    pair: str
    windows: int
    candles: int
    predicted_share: float
    correlation: float
    r_squared: float
    sign_accuracy: float
    persistence: float


def pair_skill(pair: PairPredictions) -> Skill:
    """Return the skill of one pair's predictions."""
    compared = pair.candles[pair.trusted]
    predicted, true = compared["predicted"], compared["true"]
    return Skill(
        pair=pair.pair,
        windows=len(pair.windows),
        candles=len(compared),
        predicted_share=float((pair.candles["do_predict"] == 1).mean()),
        correlation=correlation(predicted, true).value,
        r_squared=r_squared(predicted, true),
        sign_accuracy=sign_accuracy(predicted, true),
        persistence=correlation(compared["present"], true).value,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_freqtrade_options(parser)
    parser.set_defaults(run=run_skill)


def run_skill(args: argparse.Namespace) -> int:
    """Print a table of every pair's skill.

    :raises SkillError: If the backtest left no predictions.
    """
    config = freqai_configuration(vars(args))
    horizon = config["freqai"]["feature_parameters"].get("label_period_candles", 0)
    print_skill([pair_skill(pair) for pair in load_predictions(config)], horizon)
    return 0


def print_skill(skills: Sequence[Skill], horizon: int) -> None:
    """Print a table of skills.

    :param horizon: How many candles ahead the score was predicted.
    """
    ahead = f"{horizon} candle(s) ahead" if horizon else "of the present candle"
    print_table(
        f"SKILL OUT OF SAMPLE: predicted against true score {ahead}",
        _HEADERS,
        [_row(skill) for skill in skills],
    )


def _row(skill: Skill) -> list[Any]:
    return [
        skill.pair,
        skill.windows,
        skill.candles,
        f"{100 * skill.predicted_share:.1f}",
        f"{skill.correlation:.3f}",
        f"{skill.r_squared:.3f}",
        f"{100 * skill.sign_accuracy:.1f}",
        f"{skill.persistence:.3f}",
    ]
