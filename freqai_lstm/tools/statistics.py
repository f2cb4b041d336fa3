"""Statistics of forecasts, with standard errors that respect overlap.

The error of a correlation comes from the influence of each candle on it (the delta method), summed
by Newey and West's estimator: neighbouring candles share most of their forward return, so they are
not independent. Source: Newey and West (1987), with Bartlett weights.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

SIGNIFICANCE = 0.05
"""Share of forecasts without skill that a test takes for skilled, in the long run."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its standard error; both NaN where they are not defined."""

    value: float
    standard_error: float

    def __str__(self) -> str:
        """Return it for a sentence or a table, without the error where that is not defined."""
        error = "" if math.isnan(self.standard_error) else f" ± {self.standard_error:.3f}"
        return "-" if math.isnan(self.value) else f"{self.value:.3f}{error}"

    @property
    def p_value(self) -> float:
        """How likely a figure this far from 0 is, on either side, if the true one is 0."""
        if self.standard_error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * norm.sf(abs(self.value) / self.standard_error))

    @property
    def differs_from_zero(self) -> bool:
        """Whether chance is ruled out at the level of :data:`SIGNIFICANCE`."""
        return self.p_value < SIGNIFICANCE


@dataclass(frozen=True)
class Statistic:
    """A figure, and what each candle contributes to its error.

    :ivar value: The figure.
    :ivar contributions: Candle by candle, by opening time; they sum to 0.
    """

    value: float
    contributions: pd.Series

    def __sub__(self, other: "Statistic") -> "Statistic":
        difference = self.contributions.sub(other.contributions, fill_value=0.0)
        return Statistic(self.value - other.value, difference)

    def estimate(self, overlap_candles: int) -> Estimate:
        """Return the figure with its standard error.

        :param overlap_candles: How many candles ahead the forecasts look.
        """
        if math.isnan(self.value):
            return Estimate(math.nan, math.nan)
        lags = newey_west_lags(len(self.contributions), overlap_candles)
        return Estimate(self.value, newey_west_error(self.contributions, lags))


def mean_statistic(statistics: Sequence[Statistic]) -> Statistic:
    """Return the mean of the statistics that are defined.

    The same candle of several pairs counts as one observation: coins move together.
    """
    defined = [statistic for statistic in statistics if not math.isnan(statistic.value)]
    if not defined:
        return Statistic(math.nan, pd.Series(dtype=float))
    contributions = pd.concat([statistic.contributions for statistic in defined])
    return Statistic(
        float(np.mean([statistic.value for statistic in defined])),
        contributions.groupby(level=0).sum() / len(defined),
    )


def mean(values: pd.Series) -> Statistic:
    """Return the mean, NaN without any value.

    :param values: By opening time, in order; candles with NaN still separate their neighbours.
    """
    value = float(values.mean())
    return Statistic(value, ((values - value) / values.count()).fillna(0.0))


def correlation(left: pd.Series, right: pd.Series) -> Statistic:
    """Return Pearson's correlation, NaN where one of the two is constant.

    Candles where one of the two is NaN are left out, but still separate their neighbours.

    :param left: By opening time, in order.
    """
    return _correlation(left.to_numpy(dtype=float), right.to_numpy(dtype=float), left.index)


def rank_correlation(left: pd.Series, right: pd.Series) -> Statistic:
    """Return Spearman's correlation of the candles where both are defined.

    :param left: By opening time, in order.
    """
    x, y = left.to_numpy(dtype=float), right.to_numpy(dtype=float)
    undefined = np.isnan(x) | np.isnan(y)
    ranks = [
        rankdata(np.where(undefined, math.nan, values), nan_policy="omit") for values in (x, y)
    ]
    return _correlation(ranks[0], ranks[1], left.index)


def rank_correlations(
    left: pd.DataFrame, right: pd.DataFrame, axis: Literal[0, 1], fewest: int = 2
) -> pd.Series:
    """Return Spearman's correlation of each column or row of two frames of the same shape.

    :param axis: 0 for that of each column, 1 for that of each row.
    :param fewest: Where fewer cells are defined in both, it is NaN; also where one is constant.
    """
    defined = left.notna() & right.notna()
    x, y = (frame.where(defined).rank(axis=axis) for frame in (left, right))
    across: Literal[0, 1] = 0 if axis else 1
    x, y = (ranks.sub(ranks.mean(axis=axis), axis=across) for ranks in (x, y))
    scale = ((x**2).sum(axis=axis) * (y**2).sum(axis=axis)) ** 0.5
    usable = (defined.sum(axis=axis) >= fewest) & (scale > 0)
    return (x * y).sum(axis=axis) / scale.where(usable)


def _correlation(x: np.ndarray, y: np.ndarray, index: pd.Index) -> Statistic:
    """Return Pearson's correlation of arrays, with the contributions by an index."""
    complete = ~(np.isnan(x) | np.isnan(y))
    x, y = x[complete], y[complete]
    contributions = np.zeros(len(index))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Statistic(math.nan, pd.Series(contributions, index))
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    value = float((x * y).mean())
    contributions[complete] = (x * y - value * (x**2 + y**2) / 2) / len(x)
    return Statistic(value, pd.Series(contributions, index))


def newey_west_lags(candles: int, overlap_candles: int) -> int:
    """Return how many lags the error of a figure counts.

    Twice the overlap, since the weights fall with the lag, and at least the rule of thumb
    ``4 (n / 100)^(2/9)`` for what else is correlated in time.
    """
    rule_of_thumb = int(4 * (candles / 100) ** (2 / 9)) if candles else 0
    return max(0, min(max(2 * overlap_candles, rule_of_thumb), candles - 1))


def newey_west_error(contributions: pd.Series, lags: int) -> float:
    """Return the standard error of the sum of the contributions.

    :param contributions: One a candle, in order; they sum to 0.
    :param lags: Lags to count, with weights that fall to 0 behind the last.
    :return: 0 where all contributions are 0, as of a perfect correlation.
    """
    values = contributions.to_numpy(dtype=float)
    variance = float(values @ values)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(values[lag:] @ values[:-lag])
    return math.sqrt(max(variance, 0.0))


def r_squared(predicted: pd.Series, true: pd.Series) -> float:
    """Return the share of the variance that is explained; below 0, the mean is a better forecast.

    :return: NaN where the true values are constant.
    """
    complete = predicted.notna() & true.notna()
    predicted, true = predicted[complete], true[complete]
    spread = ((true - true.mean()) ** 2).sum()
    return float(1 - ((predicted - true) ** 2).sum() / spread) if spread > 0 else math.nan


def sign_accuracy(predicted: pd.Series, true: pd.Series) -> float:
    """Return how often the sign is right where the true value is not 0; NaN where it always is."""
    moving = true.notna() & (true != 0) & predicted.notna()
    if not moving.any():
        return math.nan
    return float((np.sign(predicted[moving]) == np.sign(true[moving])).mean())


@dataclass(frozen=True)
class CalibrationBin:
    """Candles with similar predictions: how many, and the means of prediction and truth."""

    candles: int
    predicted: float
    true: float
    true_error: float


def calibration(predicted: pd.Series, true: pd.Series, bins: int = 10) -> list[CalibrationBin]:
    """Return bins of equally many candles, from the lowest to the highest predictions.

    :param predicted: By opening time.
    :param bins: Fewer come back where many predictions are the same.
    """
    complete = pd.DataFrame({"predicted": predicted, "true": true}).dropna()
    if complete["predicted"].nunique() < 2:
        return []
    position = pd.qcut(complete["predicted"], bins, labels=False, duplicates="drop")
    parts = complete.groupby(position).agg(
        candles=("true", "size"),
        predicted=("predicted", "mean"),
        true=("true", "mean"),
        true_error=("true", "sem"),
    )
    return [
        CalibrationBin(int(candles), predicted, true, error)
        for candles, predicted, true, error in parts.itertuples(index=False)
    ]


def probabilities(candles: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return the predicted probabilities of classes, a column for each class."""
    return candles[[f"p_{name}" for name in classes]].set_axis(list(classes), axis=1).astype(float)


def base_rates(candles: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return how frequent each class was by then, a column for each class."""
    return candles[[f"mean_{name}" for name in classes]].set_axis(list(classes), axis=1)


def log_loss(forecast: pd.DataFrame, true: pd.Series) -> pd.Series:
    """Return minus the logarithm of the probability of the true class, candle by candle.

    :param forecast: Probabilities, a column for each class; one below 1e-6 counts as that.
    """
    return -np.log(_of_true_class(forecast, true).clip(lower=1e-6))


def brier_score(forecast: pd.DataFrame, true: pd.Series) -> pd.Series:
    """Return the squared error of the probabilities, summed over the classes: 0 to 2.

    Source: Brier (1950).
    """
    return (forecast**2).sum(axis=1) - 2 * _of_true_class(forecast, true) + 1


def _of_true_class(forecast: pd.DataFrame, true: pd.Series) -> pd.Series:
    columns = forecast.columns.get_indexer(pd.Index(true.astype(str)))
    return pd.Series(forecast.to_numpy()[np.arange(len(forecast)), columns], forecast.index)


def plain(value: Any) -> Any:
    """Return what JSON can hold of figures, null for what is not defined."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Estimate):
        figures = {"value": value.value, "standard_error": value.standard_error}
        return plain(figures | {"p_value": value.p_value})
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
