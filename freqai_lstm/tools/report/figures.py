"""The figures of a label that is a number: how good each forecast was, and what spreads say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from freqai_lstm.score import Signals, forward_return
from freqai_lstm.tools import statistics
from freqai_lstm.tools.predictions import PairPredictions

RETURN_HORIZONS = (1, 4, 12, 24)
"""Candles ahead at which the score is compared with forward returns."""

FORECASTS = {"model": "predicted", "persistence": "present", "truth": "true"}
"""The forecasts of a label h candles ahead, and the columns they are in.

``persistence`` takes the newest label that is known for the forecast. ``truth`` is the label that
came true: no forecast can be better, and ahead of time nobody has it.
"""

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
    rank_correlation: statistics.Estimate


def pair_spreads(pair: PairPredictions) -> dict[str, SpreadFigures]:
    """Return the figures of the label and of its components; none for a single network."""
    return {
        name: _figures(frames, pair.horizon)
        for name, frames in _frames(pair).items()
        if all(len(frame.dropna()) for frame in frames)
    }


def overall_spreads(pairs: Sequence[PairPredictions]) -> dict[str, SpreadFigures]:
    """Return the mean figures over pairs, of the label and of all labels."""
    figures = {}
    for name in (pairs[0].label, ALL_LABELS):
        frames = [frame for pair in pairs for frame in _frames(pair).get(name, ())]
        if compared := [frame for frame in frames if len(frame.dropna())]:
            figures[name] = _figures(compared, pairs[0].horizon)
    return figures


def coverage(pair: PairPredictions) -> pd.DataFrame:
    """Return the shares of candles whose truth lies within so many spreads of the prediction.

    :return: Columns of the label, ``all labels`` and ``normal``, what a normal error would have; by
        multiple of the spread.
    """
    frames = _frames(pair)
    shares = {
        name: [_within(frames[name], multiple) for multiple in _MULTIPLES]
        for name in (pair.label, ALL_LABELS)
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
    parts = {name: frame for name, frame in compared.items() if name != pair.label} or compared
    single = {name: [frame] for name, frame in compared.items() if name in parts}
    return {pair.label: [compared[pair.label]], ALL_LABELS: list(parts.values())} | single


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
        rank_correlation=statistics.mean_statistic(
            [statistics.rank_correlation(frame["spread"], frame["error"].abs()) for frame in frames]
        ).estimate(overlap_candles),
    )


def _within(frames: Sequence[pd.DataFrame], multiple: float) -> float:
    """Return the mean share over the frames."""
    complete = [frame.dropna() for frame in frames]
    shares = [(frame["error"].abs() <= multiple * frame["spread"]).mean() for frame in complete]
    return float(np.mean(shares))


@dataclass(frozen=True)
class Forecast:
    """How good one forecast was over some candles.

    ``correlation``, ``r_squared``, ``sign_accuracy`` and ``calibration`` compare it with the true
    label h candles ahead. ``rank_ic`` is its rank correlation with forward returns, by candles
    ahead.
    """

    correlation: statistics.Estimate
    r_squared: float
    sign_accuracy: float
    rank_ic: Mapping[int, statistics.Estimate]
    calibration: Sequence[statistics.CalibrationBin]


@dataclass(frozen=True)
class Period:
    """The figures of a pair, over one training window's candles or all.

    ``gain`` is the model's correlation less that of persistence. ``spread_ratio`` is the standard
    deviation of the predictions over that of the truth. ``above`` and ``below`` are the shares of
    predicted candles beyond the strategy's thresholds, ``return_head`` the rank correlation of the
    predicted with forward returns; both may be missing.
    """

    start: pd.Timestamp
    end: pd.Timestamp
    candles: int
    compared: int
    predicted_share: float
    spread_ratio: float
    gain: statistics.Estimate
    above: float | None
    below: float | None
    forecasts: Mapping[str, Forecast]
    return_head: Mapping[int, statistics.Estimate] | None


@dataclass(frozen=True)
class PairFigures:
    """The figures of a pair: over all candles, and for each training window by its stamp.

    ``spreads`` are those of an ensemble: of the label, of its components and their mean.
    """

    pair: str
    whole: Period
    windows: Mapping[int, Period]
    spreads: Mapping[str, SpreadFigures]


@dataclass(frozen=True)
class OverallFigures:
    """Means over all pairs, with errors that count a candle once however many pairs have it.

    ``spreads`` are those of the label and the mean over all labels; empty for single networks.
    """

    correlation: statistics.Estimate
    persistence: statistics.Estimate
    gain: statistics.Estimate
    rank_ic: Mapping[str, Mapping[int, statistics.Estimate]]
    return_head: Mapping[int, statistics.Estimate] | None
    spreads: Mapping[str, SpreadFigures]


def pair_figures(pair: PairPredictions, signals: Signals | None) -> PairFigures:
    """Return the figures of a pair."""
    windows = {
        stamp: _period(pair, signals, pair.candles["window"] == stamp) for stamp in pair.windows
    }
    whole = _period(pair, signals, pd.Series(True, pair.candles.index))
    return PairFigures(pair.pair, whole, windows, pair_spreads(pair))


def overall_figures(pairs: Sequence[PairPredictions]) -> OverallFigures:
    """Return the means over pairs."""
    horizon = pairs[0].horizon
    scores = [pair.candles.where(pair.trusted) for pair in pairs]
    model = [statistics.correlation(frame["predicted"], frame["true"]) for frame in scores]
    persistence = [statistics.correlation(frame["present"], frame["true"]) for frame in scores]
    gains = [ours - theirs for ours, theirs in zip(model, persistence, strict=True)]
    with_return_head = all("predicted_return" in frame for frame in scores)
    return OverallFigures(
        correlation=statistics.mean_statistic(model).estimate(horizon),
        persistence=statistics.mean_statistic(persistence).estimate(horizon),
        gain=statistics.mean_statistic(gains).estimate(horizon),
        rank_ic={name: _mean_rank_ic(pairs, column) for name, column in FORECASTS.items()},
        return_head=_mean_rank_ic(pairs, "predicted_return") if with_return_head else None,
        spreads=overall_spreads(pairs),
    )


def _period(pair: PairPredictions, signals: Signals | None, chosen: pd.Series) -> Period:
    candles = pair.candles[chosen]
    frame = candles.where(pair.trusted[chosen])
    correlations = {
        name: statistics.correlation(frame[column], frame["true"])
        for name, column in FORECASTS.items()
    }
    above = below = None
    if signals and "to_traded" in frame:
        above, below = signals.crossings(frame["predicted"] * frame["to_traded"])
    spread = float(frame["true"].std())
    return Period(
        start=candles.index[0],
        end=candles.index[-1],
        candles=len(candles),
        compared=int(pair.trusted[chosen].sum()),
        predicted_share=float((candles["do_predict"] == 1).mean()),
        spread_ratio=float(frame["predicted"].std()) / spread if spread > 0 else float("nan"),
        gain=(correlations["model"] - correlations["persistence"]).estimate(pair.horizon),
        above=above,
        below=below,
        forecasts={
            name: Forecast(
                correlation=correlations[name].estimate(pair.horizon),
                r_squared=statistics.r_squared(frame[column], frame["true"]),
                sign_accuracy=statistics.sign_accuracy(frame[column], frame["true"]),
                rank_ic=_rank_ics(pair, frame[column]),
                calibration=statistics.calibration(frame[column] / spread, frame["true"] / spread),
            )
            for name, column in FORECASTS.items()
        },
        return_head=(
            _rank_ics(pair, frame["predicted_return"]) if "predicted_return" in frame else None
        ),
    )


def _rank_ics(pair: PairPredictions, forecast: pd.Series) -> dict[int, statistics.Estimate]:
    return {ahead: _rank_ic(pair, forecast, ahead).estimate(ahead) for ahead in RETURN_HORIZONS}


def _rank_ic(pair: PairPredictions, forecast: pd.Series, ahead: int) -> statistics.Statistic:
    """Return the rank correlation with the returns of the candles to come."""
    returns = forward_return(pair.closes, ahead).reindex(forecast.index)
    return statistics.rank_correlation(forecast, returns)


def _mean_rank_ic(pairs: Sequence[PairPredictions], column: str) -> dict[int, statistics.Estimate]:
    return {
        ahead: statistics.mean_statistic(
            [_rank_ic(pair, pair.candles[column].where(pair.trusted), ahead) for pair in pairs]
        ).estimate(ahead)
        for ahead in RETURN_HORIZONS
    }
