"""What a forecast of a return knows: its rank correlation with what came true.

Over time, pair by pair, and candle by candle over the pairs. The second tells forecasts apart
sooner: the market as a whole, whose moves are most of the noise, moves no pair's rank.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from freqai_lstm.score import forward_return
from freqai_lstm.tools import statistics
from freqai_lstm.tools.predictions import PairPredictions
from freqai_lstm.tools.statistics import Estimate, Statistic

YARDSTICKS = RIDGE, PERSISTENCE = ("ridge", "persistence")
"""Names of the forecasts that a model has to beat before it is called skilled."""

_FEWEST_PAIRS = 3
# Some candles of a month say nothing of it: a timerange ends with the first of the next.
_PART_OF_A_MONTH = 0.25
# Returns over other prices reach 0.87, the score of as many candles ahead 0.36.
_GOES_WITH_RETURNS = 0.75


def is_return(pair: PairPredictions) -> bool:
    """Say whether a label is a return: by its name, or since its truth ranks like one."""
    if pair.classes or not pair.horizon:
        return False
    if "return" in pair.label:
        return True
    returns = forward_return(pair.closes, pair.horizon).reindex(pair.candles.index)
    return statistics.rank_correlation(pair.candles["true"], returns).value >= _GOES_WITH_RETURNS


@dataclass(frozen=True)
class Figures:
    """Rank ICs of a forecast, or their difference from those of another one.

    ``time_series`` is over all candles and ``monthly`` the mean over ``months`` calendar months,
    both averaged over pairs first. ``cross_sectional`` is the mean over ``candles`` with at least
    three pairs.
    """

    time_series: Estimate
    monthly: Estimate
    cross_sectional: Estimate
    months: int
    candles: int

    @property
    def decisive(self) -> Estimate:
        """The cross-sectional one, or with fewer than three pairs that of all candles."""
        return self.cross_sectional if self.candles else self.time_series

    @property
    def is_more_than_chance(self) -> bool:
        """Whether it is above 0 beyond chance."""
        return self.decisive.value > 0 and self.decisive.differs_from_zero


@dataclass(frozen=True)
class Information:
    """The rank correlations of a forecast with the truth; a difference is one as well.

    :ivar horizon: How many candles ahead the label looks.
    :ivar over_time: That of each pair's candles, mean over pairs.
    :ivar months: The same within each calendar month, such as "2024-01".
    :ivar over_pairs: That over the pairs, by opening time; NaN where it is not defined.
    """

    horizon: int
    over_time: Statistic
    months: pd.Series
    over_pairs: pd.Series

    def __sub__(self, other: "Information") -> "Information":
        """Return the difference on the months and candles that both have."""
        return replace(
            self,
            over_time=self.over_time - other.over_time,
            months=self.months - other.months,
            over_pairs=self.over_pairs - other.over_pairs,
        )

    @property
    def figures(self) -> Figures:
        """The figures with their errors: those of months as if each told something of its own."""
        months = self.months.dropna()
        return Figures(
            time_series=self.over_time.estimate(self.horizon),
            monthly=Estimate(
                float(months.mean()), float(months.std()) / max(len(months), 1) ** 0.5
            ),
            cross_sectional=statistics.mean(self.over_pairs).estimate(self.horizon),
            months=len(months),
            candles=int(self.over_pairs.count()),
        )


def information(predicted: pd.DataFrame, true: pd.DataFrame, horizon: int) -> Information:
    """Return what a forecast knows.

    A cell counts where both are defined. The same candle and month of several pairs is one
    observation: coins move together.

    :param predicted: By opening time in order, a column for each pair.
    :param true: What came true, of the same shape.
    :param horizon: How many candles ahead the label looks.
    """
    of_pairs = [statistics.rank_correlation(predicted[pair], true[pair]) for pair in true]
    return Information(
        horizon,
        statistics.mean_statistic(of_pairs),
        _months(predicted, true),
        statistics.rank_correlations(predicted, true, axis=1, fewest=_FEWEST_PAIRS),
    )


def _months(predicted: pd.DataFrame, true: pd.DataFrame) -> pd.Series:
    """Return the mean over pairs of the rank correlations within each calendar month."""
    month = pd.DatetimeIndex(true.index).tz_localize(None).to_period("M")
    candles = (predicted.notna() & true.notna()).groupby(month).sum()
    found = {
        each: statistics.rank_correlations(predicted.loc[part.index], part, axis=0)
        for each, part in true.groupby(month)
    }
    of_pairs = pd.DataFrame.from_dict(found, orient="index")
    fullest = int(candles.to_numpy().max())
    months = of_pairs.where(candles >= _PART_OF_A_MONTH * fullest).mean(axis=1).dropna()
    return months.set_axis(months.index.astype(str))


def mean_information(seeds: Sequence[Information]) -> Information:
    """Return the mean over forecasts of the same candles."""
    return Information(
        seeds[0].horizon,
        statistics.mean_statistic([each.over_time for each in seeds]),
        pd.concat([each.months for each in seeds], axis=1).mean(axis=1),
        pd.concat([each.over_pairs for each in seeds], axis=1).mean(axis=1),
    )


@dataclass(frozen=True)
class Judgement:
    """What a forecast knows, and how much more than its yardsticks.

    :ivar less: Its differences from them, on the same candles and months, by name.
    :ivar is_skilled: Whether chance explains neither what it knows nor what it knows more than each
        of them. None of a yardstick, and where one of them is missing.
    """

    figures: Figures
    less: Mapping[str, Figures]
    is_skilled: bool | None


def judge(found: Mapping[str, Information]) -> dict[str, Judgement]:
    """Judge forecasts of the same candles, by name, beside those that are yardsticks."""
    yardsticks = {name: found[name] for name in YARDSTICKS if name in found}
    judged = {}
    for name, known in found.items():
        figures = known.figures
        less = {each: (known - yardsticks[each]).figures for each in yardsticks if each != name}
        is_skilled = None
        if name not in YARDSTICKS and len(less) == len(YARDSTICKS):
            is_skilled = all(each.is_more_than_chance for each in (figures, *less.values()))
        judged[name] = Judgement(figures, less, is_skilled)
    return judged
