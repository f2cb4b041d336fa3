"""The score of a trial on each training window, and what it says of the search's luck."""

import math
from collections.abc import Sequence

import pandas as pd
from optuna.trial import FrozenTrial

from freqai_lstm.score import forward_return
from freqai_lstm.tools import statistics
from freqai_lstm.tools.evaluate.plan import SubRun
from freqai_lstm.tools.luck import Luck, count_luck
from freqai_lstm.tools.predictions import PairPredictions, load_predictions
from freqai_lstm.tools.truths import Truths

WINDOWS = "windows"
"""The attribute of a trial that keeps its scores."""


def window_scores(
    runs: Sequence[SubRun], truths: Truths, label: str, objective: str
) -> dict[str, float | None]:
    """Return the mean over pairs and seeds of the objective on each window, higher being better.

    :param objective: Of :data:`~freqai_lstm.tools.tune.plan.OBJECTIVES`.
    :return: By the window's end in seconds, as text for JSON; None where it is not defined.
    """
    scores = [
        scores_of_pair(load_predictions(run.config, truths, label)[label][0], objective)
        for run in runs
    ]
    mean = pd.concat(scores, axis=1).mean(axis=1)
    return {str(window): None if math.isnan(score) else score for window, score in mean.items()}


def scores_of_pair(pair: PairPredictions, objective: str) -> pd.Series:
    """Return the objective of one pair and seed, by window's end; NaN where it is not defined."""
    trusted = pair.within(pair.trusted)
    returns = forward_return(pair.closes, max(pair.horizon, 1))

    def score(candles: pd.DataFrame) -> float:
        if objective == "log-loss":
            forecast = statistics.probabilities(candles, pair.classes)
            return -float(statistics.log_loss(forecast, candles["true"]).mean())
        if objective == "return-rank-ic":
            truth = returns.reindex(candles.index)
            return statistics.rank_correlation(candles["predicted_return"], truth).value
        return statistics.correlation(candles["predicted"], candles["true"]).value

    windows = trusted.candles.groupby("window")
    return pd.Series({window: score(candles) for window, candles in windows}, dtype=float)


def search_luck(trials: Sequence[FrozenTrial], given_up: int) -> Luck | None:
    """Return how far the best trial is to be trusted, by the windows that all trials scored on.

    :param trials: Those that were finished, the best one first.
    :param given_up: How many were made besides.
    :return: None if the best one was made by a version that kept no scores of windows.
    """
    kept = [trial.user_attrs[WINDOWS] for trial in trials if WINDOWS in trial.user_attrs]
    if WINDOWS not in trials[0].user_attrs:
        return None
    scores = pd.DataFrame(kept, dtype=float).T.sort_index(key=lambda ends: ends.astype(int))
    unknown = len(trials) - len(kept) + given_up
    return count_luck(scores.dropna(), 0, given_up=unknown, by_mean=True)
