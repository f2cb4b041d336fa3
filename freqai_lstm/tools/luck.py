"""How much of a result is luck: the best of many trials looks better than it is.

Sources: Lo (2002) and Mertens (2002) for the error of a Sharpe ratio; Bailey and López de Prado
(2014), The Deflated Sharpe Ratio; Bailey, Borwein, López de Prado and Zhu (2015), The Probability
of Backtest Overfitting.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import kurtosis, norm, skew

from freqai_lstm.tools.statistics import Estimate

# Combinations of blocks times trials that are looked at in one go, which bounds the memory.
_AT_ONCE = 2_000_000
# Of a mean in units of all returns' size, or of a Sharpe ratio.
_DIGITS = 12
# As sure as a test at the level of 5 %.
_SURE = 0.95


@dataclass(frozen=True)
class Luck:
    """How far the best of many trials is to be trusted.

    :ivar trials: How many were made.
    :ivar deflated_sharpe_ratio: As of :func:`deflated_sharpe_ratio`.
    :ivar overfitting: As of :func:`probability_of_backtest_overfitting`.
    """

    trials: int
    deflated_sharpe_ratio: float
    overfitting: float

    def sentences(self, trial: str, period: str) -> list[str]:
        """Say what the figures mean, a line each.

        :param trial: The word for a trial.
        :param period: The word for a period.
        """
        deflated, overfitting = self.deflated_sharpe_ratio, self.overfitting
        if math.isnan(deflated):
            first = f"not defined, the best {trial} is the same on every {period}."
        else:
            judged = "" if deflated >= _SURE else f", so luck may explain it (below {_SURE:.0%})"
            first = (
                f"{deflated:.2f}: that the best of {self.trials} {trial}s is better than the best "
                f"of so many without any skill has a probability of {deflated:.0%}{judged}."
            )
        if math.isnan(overfitting):
            second = f"not defined, it needs 2 {trial}s and 4 {period}s."
        else:
            second = (
                f"{overfitting:.2f}: the {trial} that is best on one half of the {period}s is "
                f"below the median on the other half {overfitting:.0%} of the time; at 50% the "
                f"choice is worth nothing."
            )
        return [f"Deflated Sharpe ratio {first}", f"Probability of backtest overfitting {second}"]


def count_luck(
    returns: npt.ArrayLike, chosen: int, *, given_up: int = 0, by_mean: bool = False
) -> Luck:
    """Return how far the best of many trials is to be trusted.

    :param returns: Shape ``(periods, trials)``, in order of time.
    :param chosen: Position of the best trial.
    :param given_up: Trials made besides, whose returns are not known.
    :param by_mean: Whether the best is the one with the highest mean, in place of the Sharpe ratio.
    """
    matrix = np.asarray(returns, float)
    ratios = [*(sharpe_ratio(column).value for column in matrix.T), *[math.nan] * given_up]
    return Luck(
        trials=len(ratios),
        deflated_sharpe_ratio=deflated_sharpe_ratio(matrix[:, chosen], ratios),
        overfitting=probability_of_backtest_overfitting(matrix, by_mean=by_mean),
    )


def sharpe_ratio(returns: npt.ArrayLike) -> Estimate:
    """Return the mean over the standard deviation, with the error that skew and fat tails give.

    :param returns: One a period, shape ``(periods,)``, independent of each other.
    :return: Of a period; times the root of the periods of a year for that of a year. NaN for fewer
        than 2 periods, or without any variation.
    """
    values = np.asarray(returns, float)
    if len(values) < 2 or np.ptp(values) == 0:
        return Estimate(math.nan, math.nan)
    ratio = float(values.mean() / values.std(ddof=1))
    error = sharpe_error(ratio, len(values), float(skew(values)), float(kurtosis(values)) + 3)
    return Estimate(ratio, error)


def sharpe_error(ratio: float, periods: int, skewness: float, kurtosis: float) -> float:
    """Return the standard error of a Sharpe ratio.

    :param ratio: Of a period.
    :param kurtosis: 3 for a normal distribution.
    """
    variance = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return math.sqrt(max(variance, 0.0) / (periods - 1))


def expected_maximum(ratios: Sequence[float]) -> float:
    """Return the Sharpe ratio that the best of so many trials has by luck, if none has any skill.

    :param ratios: One a trial. One that is not known is NaN; it counts as a trial all the same.
    :return: 0 for a single trial.
    """
    trials, known = len(ratios), np.asarray(ratios, float)
    known = known[np.isfinite(known)]
    if trials < 2 or len(known) < 2:
        return 0.0
    first, second = norm.ppf([1 - 1 / trials, 1 - 1 / (trials * math.e)])
    return float(known.std(ddof=1) * ((1 - np.euler_gamma) * first + np.euler_gamma * second))


def deflated_sharpe_ratio(returns: npt.ArrayLike, ratios: Sequence[float]) -> float:
    """Return the probability that the chosen trial's true Sharpe ratio is above that of luck.

    Trials that resemble each other count as if they were independent, so it is rather too low.

    :param returns: Those of the chosen trial, shape ``(periods,)``.
    :param ratios: The Sharpe ratio of each trial, of a period, as of :func:`expected_maximum`. With
        the chosen trial's alone it is the probability that its true Sharpe ratio is above 0.
    :return: NaN where the chosen trial has no Sharpe ratio.
    """
    return probability_above(sharpe_ratio(returns), expected_maximum(ratios))


def probability_above(estimate: Estimate, hurdle: float) -> float:
    """Return how likely the true value of a figure is to be above a hurdle.

    :return: NaN where the figure is not defined.
    """
    if math.isnan(estimate.value):
        return math.nan
    if estimate.standard_error == 0:
        return float(estimate.value > hurdle)
    return float(norm.cdf((estimate.value - hurdle) / estimate.standard_error))


def probability_of_backtest_overfitting(
    returns: npt.ArrayLike, blocks: int = 16, *, by_mean: bool = False
) -> float:
    """Return how often the best trial of one half of the periods is below the median of the other.

    The periods are cut into blocks; each choice of half of them is compared with the other half
    (combinatorially symmetric cross-validation). It is about 0.5 where the trials differ by luck
    alone, and 0 where one is better than the others all the time.

    :param returns: Shape ``(periods, trials)``, in order of time.
    :param blocks: Made even, and no more than there are periods.
    :param by_mean: Whether the best is the one with the highest mean, in place of the Sharpe ratio.
    :return: NaN for fewer than 2 trials or 4 periods.
    """
    matrix = np.asarray(returns, float)
    periods, trials = matrix.shape
    blocks = min(blocks, periods) // 2 * 2
    if trials < 2 or blocks < 4:
        return math.nan
    scale = np.sqrt(np.mean(matrix**2)) or 1.0
    parts = np.array_split(matrix / scale, blocks)
    sums = np.array([[np.full(trials, len(part)), part.sum(0), (part**2).sum(0)] for part in parts])
    choices = np.array([*combinations(range(blocks), blocks // 2)])
    chosen = np.zeros((len(choices), blocks))
    np.put_along_axis(chosen, choices, 1.0, axis=1)
    below = 0.0
    for some in np.array_split(chosen, math.ceil(len(chosen) * trials / _AT_ONCE)):
        inside, outside = (_performance(half, sums, by_mean) for half in (some, 1 - some))
        best = np.take_along_axis(outside, inside.argmax(1)[:, np.newaxis], axis=1)
        # Above the median there are as many as below it.
        rank = np.sum(outside < best, axis=1) - np.sum(outside > best, axis=1)
        below += np.sum(rank < 0) + np.sum(rank == 0) / 2
    return float(below / len(chosen))


def _performance(chosen: np.ndarray, sums: np.ndarray, by_mean: bool) -> np.ndarray:
    """Return mean or Sharpe ratio over chosen blocks, 0 without any variation.

    Products of matrices round otherwise from column to column; trials that are the same must tie.

    :param chosen: 1 for the blocks of a choice, 0 for the others, shape ``(choices, blocks)``.
    :param sums: Number, sum and sum of squares, shape ``(blocks, 3, trials)``.
    :return: Shape ``(choices, trials)``.
    """
    number, total, squares = (chosen @ sums[:, position] for position in range(3))
    mean = total / number
    if by_mean:
        return np.asarray(np.round(mean, _DIGITS))
    variance = squares / number - mean**2
    # Rounding leaves a little of a variance that is none.
    varies = variance > 1e-12 * squares / number
    return np.asarray(np.round(mean / np.sqrt(np.where(varies, variance, math.inf)), _DIGITS))
