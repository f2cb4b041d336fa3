"""How well the predictions of a finished backtest match the true score, out of sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from freqai_lstm.report.predictions import PairPredictions, load_predictions
from freqai_lstm.report.statistics import correlation, r_squared, sign_accuracy


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


def backtest_skill(config: Mapping[str, Any]) -> list[Skill]:
    """Return the skill of every pair of a finished backtest.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :return: One entry for each pair of the whitelist that has predictions, in its order.
    :raises SkillError: If no pair has any prediction for the timerange.
    """
    return [pair_skill(pair) for pair in load_predictions(config)]


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
