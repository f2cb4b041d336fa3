"""Compares the predictions of finished runs, on the candles that all of them predicted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from freqai_lstm.score import forward_return
from freqai_lstm.tools import statistics
from freqai_lstm.tools.evaluate.plan import SubRun, by_pair_and_horizon
from freqai_lstm.tools.predictions import PairPredictions, load_predictions

PERSISTENCE = "persistence"
ALL_PAIRS = "mean"
FIGURES = (
    *("correlation", "window_correlation", "r_squared", "sign_accuracy"),
    *("rank_ic", "return_rank_ic"),
)


@dataclass(frozen=True)
class Spread:
    """The mean of a figure over seeds, and its standard deviation; NaN for a single one."""

    mean: float
    std: float


@dataclass(frozen=True)
class Row:
    """How good a model was on a pair, or on the mean over pairs, at one horizon.

    ``gain`` is the mean correlation less that of persistence, with the error of the candles; the
    spread of the other figures is that of the seeds.
    """

    horizon: int
    pair: str
    model: str
    candles: int
    figures: Mapping[str, Spread]
    gain: statistics.Estimate


@dataclass(frozen=True)
class _Scored:
    """The figures of one forecast of one pair, and its correlation to average."""

    figures: Mapping[str, float]
    correlation: statistics.Statistic


def compare(sub_runs: Sequence[SubRun]) -> list[Row]:
    """Return a row for each horizon, pair and model, and of several pairs the mean.

    Beside each model with several seeds stands the mean of its predictions over the seeds.
    """
    rows: list[Row] = []
    scored: dict[int, dict[str, list[list[_Scored]]]] = {}
    candles: dict[int, int] = {}
    for horizon, pair, runs in by_pair_and_horizon(sub_runs):
        forecasts, compared = _score_pair(runs)
        persistence = forecasts[PERSISTENCE]
        candles[horizon] = candles.get(horizon, 0) + compared
        for model, seeds in forecasts.items():
            rows.append(_row(horizon, pair, model, compared, [seeds], [persistence]))
            scored.setdefault(horizon, {}).setdefault(model, []).append(seeds)
    for horizon, models in scored.items():
        # The mean over one pair is that pair.
        for model, pairs in models.items() if len(models[PERSISTENCE]) > 1 else ():
            rows.append(
                _row(horizon, ALL_PAIRS, model, candles[horizon], pairs, models[PERSISTENCE])
            )
    return sorted(rows, key=lambda row: row.horizon)


def _score_pair(runs: Sequence[SubRun]) -> tuple[dict[str, list[_Scored]], int]:
    """Return the figures of every forecast of a pair, seed by seed, and the candles compared."""
    predictions = [load_predictions(run.config)[0] for run in runs]
    common = predictions[0].trusted
    for others in predictions[1:]:
        common &= others.trusted.reindex(common.index, fill_value=False)
    models: dict[str, list[pd.DataFrame]] = {}
    for run, pair in zip(runs, predictions, strict=True):
        models.setdefault(run.candidate, []).append(pair.candles.where(common))
    first = predictions[0]
    forecasts = {}
    for model, seeds in models.items():
        forecasts[model] = [_score(first, frame) for frame in seeds]
        if len(seeds) > 1:
            forecasts[f"{model}, seeds averaged"] = [_score(first, _average(seeds))]
    present = first.candles.where(common)[["window", "true", "present"]]
    forecasts[PERSISTENCE] = [_score(first, present.rename(columns={"present": "predicted"}))]
    return forecasts, int(common.sum())


def _score(pair: PairPredictions, frame: pd.DataFrame) -> _Scored:
    predicted, true = frame["predicted"], frame["true"]
    ahead = max(pair.horizon, 1)
    returns = forward_return(pair.closes, ahead).reindex(frame.index)
    predicted_return = frame.get("predicted_return", pd.Series(math.nan, frame.index))
    measured = statistics.correlation(predicted, true)
    figures = {
        "correlation": measured.value,
        "window_correlation": _window_correlation(frame),
        "r_squared": statistics.r_squared(predicted, true),
        "sign_accuracy": statistics.sign_accuracy(predicted, true),
        "rank_ic": statistics.rank_correlation(predicted, returns).value,
        "return_rank_ic": statistics.rank_correlation(predicted_return, returns).value,
    }
    return _Scored(figures, measured)


def _window_correlation(frame: pd.DataFrame) -> float:
    """Return the mean of the training windows' correlations.

    Scores are large where volatility is: a single wild window can decide the correlation over all.
    """
    windows = frame.dropna(subset=["predicted", "true"]).groupby("window")
    found = [statistics.correlation(rows["predicted"], rows["true"]).value for _, rows in windows]
    defined = [value for value in found if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _average(seeds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of the seeds averaged candle by candle."""
    columns = seeds[0].columns.intersection(["predicted", "predicted_return"])
    return seeds[0].assign(
        **{column: sum(frame[column] for frame in seeds) / len(seeds) for column in columns}
    )


def _row(
    horizon: int,
    pair: str,
    model: str,
    candles: int,
    pairs: Sequence[Sequence[_Scored]],
    persistence: Sequence[Sequence[_Scored]],
) -> Row:
    """Return a row from the figures of each pair and seed: pairs are averaged, seeds spread."""
    figures = {}
    for name in FIGURES:
        by_seed = np.array([[scored.figures[name] for scored in seeds] for seeds in pairs]).mean(0)
        std = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else math.nan
        figures[name] = Spread(float(by_seed.mean()), std)
    gains = [
        statistics.mean_statistic([scored.correlation for scored in seeds])
        - reference[0].correlation
        for seeds, reference in zip(pairs, persistence, strict=True)
    ]
    return Row(
        horizon, pair, model, candles, figures, statistics.mean_statistic(gains).estimate(horizon)
    )
