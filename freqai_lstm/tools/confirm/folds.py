"""What several searches and their confirmations say together."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from freqai_lstm.tools.candles import SplitTimerange
from freqai_lstm.tools.confirm.backtests import Performance
from freqai_lstm.tools.luck import Luck, probability_above, sharpe_ratio

HEADERS = ("Confirmed on", "Trades", "Profit [%]", "Sharpe", "Deflated Sharpe", "Overfitting")
NOTE = """\
Trades, profit and Sharpe ratio (of a year, from what closed each day, ± standard error): on the
confirm ranges, which no search has seen; the last rows join them. Deflated Sharpe ratio and
probability of backtest overfitting: of the search before, and their means."""
# Markets of coins never close.
_DAYS_PER_YEAR = 365


@dataclass(frozen=True)
class Fold:
    """A search and its confirmation.

    :ivar parameters: The file of the found ones.
    :ivar luck: Of the search.
    :ivar default: The default parameters on the confirm range.
    :ivar found: The found ones there.
    """

    parts: SplitTimerange
    parameters: Path
    luck: Luck
    default: Performance
    found: Performance


def fold_rows(folds: Sequence[Fold]) -> Iterator[list[str]]:
    """Give the cells of :data:`HEADERS` for each fold, the whole, and the default parameters."""
    for fold in folds:
        yield _row(fold.parts.confirm, [fold.found], [fold.luck])
    yield _row("all", [fold.found for fold in folds], [fold.luck for fold in folds])
    yield _row("all, default parameters", [fold.default for fold in folds], [])


def chance_sentence(folds: Sequence[Fold]) -> str:
    """Say how likely the true Sharpe ratio over all confirm ranges is to be above 0."""
    chance = probability_above(sharpe_ratio(_joined([fold.found for fold in folds])), 0.0)
    if math.isnan(chance):
        return "The found parameters made the same on each day of the confirm ranges."
    return (
        f"The true Sharpe ratio of the found parameters over all confirm ranges is above 0 with a "
        f"probability of {chance:.0%}."
    )


def _row(name: str, performances: Sequence[Performance], lucks: Sequence[Luck]) -> list[str]:
    growth = math.prod(1 + each.profit_pct / 100 for each in performances)
    ratio, year = sharpe_ratio(_joined(performances)), math.sqrt(_DAYS_PER_YEAR)
    return [
        name,
        str(sum(each.trades for each in performances)),
        f"{100 * (growth - 1):.2f}",
        "-"
        if math.isnan(ratio.value)
        else f"{year * ratio.value:.2f} ± {year * ratio.standard_error:.2f}",
        _mean([luck.deflated_sharpe_ratio for luck in lucks]),
        _mean([luck.overfitting for luck in lucks]),
    ]


def _joined(performances: Sequence[Performance]) -> pd.Series:
    """Return the returns of all days; where one range ends and the next begins, they share one."""
    return pd.concat([each.returns for each in performances]).groupby(level=0).sum()


def _mean(probabilities: Sequence[float]) -> str:
    """Return the mean of those that are defined."""
    defined = [each for each in probabilities if not math.isnan(each)]
    return f"{sum(defined) / len(defined):.2f}" if defined else "-"
