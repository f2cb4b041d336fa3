"""Keeps account of what a backtest could not predict, and why: FreqAI goes on with zeros."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas import DataFrame

from freqai_lstm.exceptions import PredictionError

MIN_SHARE = 0.1
"""Share of predicted candles below which a backtest says nothing."""

_NAMED = 3


@dataclass
class Account:
    """What became of the candles of a backtest.

    :ivar candles: Candles to predict, by pair.
    :ivar predicted: Those with ``do_predict`` 1, by pair.
    :ivar failures: The error of each training that failed, by pair.
    :ivar reasons: Candles that were not predicted, by reason.
    """

    candles: dict[str, int] = field(default_factory=dict)
    predicted: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def begin(self, pair: str) -> None:
        """Forget what is known of a pair: it is analysed again."""
        self.failures.pop(pair, None)

    def note_failure(self, pair: str, error: str) -> None:
        """Take note of a training that failed."""
        self.failures.setdefault(pair, []).append(error)

    def note_unpredicted(
        self, frame: DataFrame, names: Iterable[str], unusable: Mapping[str, npt.NDArray[np.bool_]]
    ) -> None:
        """Take note of the rows of a slice that could not be predicted.

        :param frame: Candles and features.
        :param names: The features.
        :param unusable: Rows that were left out for another reason than NaN, by reason.
        """
        for name, count in incomplete_columns(frame, names).items():
            self.reasons[f"{name} is NaN"] += count
        for reason, rows in unusable.items():
            self.reasons[reason] += int(rows.sum())

    def end(self, pair: str, do_predict: pd.Series) -> None:
        """Take note of a pair's candles."""
        self.candles[pair] = len(do_predict)
        self.predicted[pair] = int((do_predict == 1).sum())

    @property
    def is_poor(self) -> bool:
        """Whether under a tenth of the candles so far was predicted."""
        return sum(self.predicted.values()) < MIN_SHARE * sum(self.candles.values())

    def check(self, pairs: Iterable[str]) -> None:
        """Refuse a backtest with too few predictions, once all pairs are through.

        :param pairs: Those that there are candles of.
        :raises PredictionError: If under a tenth of the candles was predicted; it names the cause.
        """
        if not self.is_poor or not set(pairs) <= set(self.candles):
            return
        candles, predicted = sum(self.candles.values()), sum(self.predicted.values())
        raise PredictionError(
            f"A backtest must predict at least {MIN_SHARE:.0%} of the candles, {predicted} of "
            f"{candles} were predicted: {self._cause()}"
        )

    def _cause(self) -> str:
        errors = [error for found in self.failures.values() for error in found]
        if errors:
            (error, count) = Counter(errors).most_common(1)[0]
            others = (
                f" ({len(errors) - count} more failed otherwise)" if count < len(errors) else ""
            )
            return f"{count} training(s) failed with {error}{others}"
        named = [f"{name} on {count}" for name, count in self.reasons.most_common(_NAMED) if count]
        return ", ".join(named) or "do_predict is not 1 in the predictions that were saved before"


def complete_rows(frame: DataFrame, names: Iterable[str]) -> int:
    """Return how many rows have neither NaN nor infinity in any of these columns."""
    columns = frame[list(names)]
    finite = np.isfinite(columns.select_dtypes("number").to_numpy()).all(axis=1)
    return int((columns.notna().to_numpy().all(axis=1) & finite).sum())


def incomplete_columns(frame: DataFrame, names: Iterable[str]) -> Mapping[str, int]:
    """Return the columns with the most rows of NaN or infinity, and how many these are."""
    columns = frame[[name for name in names if name in frame]].select_dtypes("number")
    counts = (~np.isfinite(columns)).sum().nlargest(_NAMED)
    return {str(name): int(count) for name, count in counts.items() if count}


def incomplete_text(frame: DataFrame, names: Iterable[str]) -> str:
    """Return the same as a clause: ``%-a is NaN on 3 of 9 candles``; empty without any."""
    found = incomplete_columns(frame, names).items()
    return ", ".join(f"{name} is NaN on {count} of {len(frame)} candles" for name, count in found)
