"""Compares the predictions of finished runs, on the candles that all of them predicted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from freqai_lstm.score import forward_return
from freqai_lstm.tools import statistics
from freqai_lstm.tools.evaluate.plan import SubRun, by_pair_and_horizon
from freqai_lstm.tools.evaluate.yardsticks import InformationRow, Panel
from freqai_lstm.tools.information import PERSISTENCE, is_return
from freqai_lstm.tools.predictions import PairPredictions, Predictions, load_predictions
from freqai_lstm.tools.truths import Truths

BASE_RATES = "base rates"
ALL_PAIRS = "mean"
FIGURES = (
    *("correlation", "window_correlation", "r_squared", "sign_accuracy"),
    *("rank_ic", "return_rank_ic"),
)
CLASS_FIGURES = ("log_loss", "brier", "accuracy")


@dataclass(frozen=True)
class Spread:
    """The mean of a figure over seeds, and its standard deviation; NaN for a single one."""

    mean: float
    std: float


@dataclass(frozen=True)
class Row:
    """How good a model was at a label of a pair, or on the mean over pairs, at one horizon.

    ``gain`` is the mean correlation less that of persistence, or of classes the log loss of the
    base rates less the model's, with the error of the candles; the spread of the other figures is
    that of the seeds.
    """

    horizon: int
    label: str
    pair: str
    model: str
    candles: int
    figures: Mapping[str, Spread]
    gain: statistics.Estimate

    @property
    def is_of_classes(self) -> bool:
        """Whether the label is one of classes."""
        return "log_loss" in self.figures


@dataclass(frozen=True)
class _Scored:
    """The figures of one forecast of one label, and the one that gains are taken of.

    :ivar overlap: How many candles ahead the label looks.
    :ivar sign: -1 where the smaller figure is the better one.
    """

    figures: Mapping[str, float]
    measured: statistics.Statistic
    overlap: int
    sign: int = 1


@dataclass(frozen=True)
class Comparison:
    """What was found of all models.

    ``rows`` are for each horizon, label, pair and model, and of several pairs the mean.
    ``panels`` are the predictions of each label that is a return, all pairs together.
    """

    rows: list[Row] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)

    def information(self) -> list[InformationRow]:
        """Return a row for each horizon, label that is a return, and model."""
        return [row for panel in self.panels for row in panel.rows()]


def compare(
    sub_runs: Sequence[SubRun], truths: Truths | None = None, only: str | None = None
) -> Comparison:
    """Compare all models on the candles that all of them predicted.

    Beside each model with several seeds stands the mean of its predictions over the seeds.

    :param truths: Those of the same strategy and candles, if some are known already.
    :param only: This label alone.
    """
    truths = truths or Truths()
    rows: list[Row] = []
    panels: dict[tuple[int, str], Panel] = {}
    scored: dict[tuple[int, str], dict[str, list[list[_Scored]]]] = {}
    candles: dict[tuple[int, str], int] = {}
    for horizon, pair, runs in by_pair_and_horizon(sub_runs):
        predictions = [load_predictions(run.config, truths, only) for run in runs]
        for label, [first] in predictions[0].items():
            forecasts = _forecasts(label, runs, predictions)
            key = (horizon, label)
            of_pair = {
                model: [_score(first, frame) for frame in seeds]
                for model, seeds in forecasts.items()
            }
            yardstick = next(reversed(forecasts))
            compared = len(forecasts[yardstick][0])
            candles[key] = candles.get(key, 0) + compared
            for model, seeds in of_pair.items():
                rows.append(_row(key, pair, model, compared, [seeds], [of_pair[yardstick]]))
                scored.setdefault(key, {}).setdefault(model, []).append(seeds)
            if key in panels or is_return(first):
                panel = panels.setdefault(key, Panel(horizon, label, first.horizon))
                panel.add(pair, first.candles.index, forecasts)
    for key, models in scored.items():
        yardstick = next(reversed(models))
        # The mean over one pair is that pair.
        for model, pairs in models.items() if len(models[yardstick]) > 1 else ():
            rows.append(_row(key, ALL_PAIRS, model, candles[key], pairs, models[yardstick]))
    order = list(dict.fromkeys(row.label for row in rows))
    rows.sort(key=lambda row: (row.horizon, order.index(row.label)))
    return Comparison(rows, [panels[key] for key in sorted(panels, key=lambda key: key[0])])


def _forecasts(
    label: str, runs: Sequence[SubRun], predictions: Sequence[Predictions]
) -> dict[str, list[pd.DataFrame]]:
    """Return the compared candles with every forecast, seed by seed, the yardstick last."""
    pairs = [each[label][0] for each in predictions]
    first = pairs[0]
    common = first.trusted
    for others in pairs[1:]:
        common &= others.trusted.reindex(common.index, fill_value=False)
    models: dict[str, list[pd.DataFrame]] = {}
    for run, pair in zip(runs, pairs, strict=True):
        models.setdefault(run.candidate, []).append(
            pair.candles[common.reindex(pair.candles.index)]
        )
    forecasts = {}
    for model, seeds in models.items():
        forecasts[model] = seeds
        if len(seeds) > 1:
            forecasts[f"{model}, seeds averaged"] = [_average(first, seeds)]
    known = first.candles[common]
    if first.classes:
        rates = {f"p_{name}": known[f"mean_{name}"] for name in first.classes}
        likeliest = statistics.base_rates(known, first.classes).idxmax(axis=1)
        forecasts[BASE_RATES] = [known.assign(predicted=likeliest, **rates)]
    else:
        present = known[["window", "true", "present"]].rename(columns={"present": "predicted"})
        forecasts[PERSISTENCE] = [present]
    return forecasts


def _score(pair: PairPredictions, compared: pd.DataFrame) -> _Scored:
    """Return the figures of a forecast.

    :param compared: The candles that all predicted.
    """
    index = pair.candles.index
    if pair.classes:
        forecast = statistics.probabilities(compared, pair.classes)
        losses = statistics.log_loss(forecast, compared["true"])
        figures = {
            "log_loss": float(losses.mean()),
            "brier": float(statistics.brier_score(forecast, compared["true"]).mean()),
            "accuracy": float((compared["predicted"] == compared["true"]).mean()),
        }
        return _Scored(figures, statistics.mean(losses.reindex(index)), pair.horizon, sign=-1)
    # What was not compared still separates its neighbours.
    frame = compared.reindex(index)
    predicted, true = frame["predicted"], frame["true"]
    returns = forward_return(pair.closes, max(pair.horizon, 1)).reindex(index)
    predicted_return = frame.get("predicted_return", pd.Series(math.nan, index))
    measured = statistics.correlation(predicted, true)
    figures = {
        "correlation": measured.value,
        "window_correlation": _window_correlation(frame),
        "r_squared": statistics.r_squared(predicted, true),
        "sign_accuracy": statistics.sign_accuracy(predicted, true),
        "rank_ic": statistics.rank_correlation(predicted, returns).value,
        "return_rank_ic": statistics.rank_correlation(predicted_return, returns).value,
    }
    return _Scored(figures, measured, pair.horizon)


def _window_correlation(frame: pd.DataFrame) -> float:
    """Return the mean of the training windows' correlations.

    Scores are large where volatility is: a single wild window can decide the correlation over all.
    """
    windows = frame.dropna(subset=["predicted", "true"]).groupby("window")
    found = [statistics.correlation(rows["predicted"], rows["true"]).value for _, rows in windows]
    defined = [value for value in found if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _average(pair: PairPredictions, seeds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of the seeds averaged candle by candle."""
    names = [f"p_{name}" for name in pair.classes] or ["predicted", "predicted_return"]
    columns = seeds[0].columns.intersection(names)
    averaged = seeds[0].assign(
        **{column: sum(frame[column] for frame in seeds) / len(seeds) for column in columns}
    )
    if pair.classes:
        likeliest = statistics.probabilities(averaged, pair.classes).idxmax(axis=1)
        averaged = averaged.assign(predicted=likeliest)
    return averaged


def _row(
    key: tuple[int, str],
    pair: str,
    model: str,
    candles: int,
    pairs: Sequence[Sequence[_Scored]],
    yardstick: Sequence[Sequence[_Scored]],
) -> Row:
    """Return a row from the figures of each pair and seed: pairs are averaged, seeds spread."""
    horizon, label = key
    figures = {}
    for name in pairs[0][0].figures:
        by_seed = np.array([[scored.figures[name] for scored in seeds] for seeds in pairs]).mean(0)
        std = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else math.nan
        figures[name] = Spread(float(by_seed.mean()), std)
    gains = []
    for seeds, [reference] in zip(pairs, yardstick, strict=True):
        ours = statistics.mean_statistic([scored.measured for scored in seeds])
        theirs = reference.measured
        gains.append(ours - theirs if reference.sign > 0 else theirs - ours)
    overlap = max([horizon, *(reference.overlap for [reference] in yardstick)])
    gain = statistics.mean_statistic(gains).estimate(overlap)
    return Row(horizon, label, pair, model, candles, figures, gain)
