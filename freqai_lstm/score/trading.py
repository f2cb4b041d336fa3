"""From candles to labels, and from predicted labels to signals: for the strategy and the report.

Labels are the components some candles ahead. What the network predicts of them becomes a score by
weights and volatility, and the score becomes signals by thresholds and a direction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from freqai_lstm.score.components import (
    STRONG_TREND_BOOST,
    STRONG_TREND_THRESHOLD,
    WEIGHT_NAMES,
    compose_score,
    score_components,
)
from freqai_lstm.score.returns import RETURN_LABEL, forward_return_in_ranges

LABELS = [f"&-score_{name}" for name in WEIGHT_NAMES]
"""The labels of the components, in the order of their weights."""


def configured_components(candles: pd.DataFrame, parameters: Mapping[str, Any]) -> pd.DataFrame:
    """Return the components and the volatility with the settings of a configuration.

    :param candles: Open, high, low, close and volume, oldest first.
    :param parameters: ``freqai.feature_parameters``.
    :return: See :func:`~freqai_lstm.score.score_components`.
    """
    return score_components(
        candles,
        strong_trend_threshold=parameters.get("strong_trend_threshold", STRONG_TREND_THRESHOLD),
        strong_trend_boost=parameters.get("strong_trend_boost", STRONG_TREND_BOOST),
    )


def score_labels(candles: pd.DataFrame, parameters: Mapping[str, Any]) -> pd.DataFrame:
    """Return the labels: components ``label_period_candles`` ahead, and the return, if asked for.

    They look ahead, as labels must: NaN for the last ``label_period_candles`` candles.

    :param candles: Open, high, low, close and volume, oldest first.
    :param parameters: ``freqai.feature_parameters``.
    :return: Columns :data:`LABELS`, and with ``return_head`` ``&-return``; index of ``candles``.
    """
    horizon = parameters.get("label_period_candles", 0)
    components = configured_components(candles, parameters)[list(WEIGHT_NAMES)]
    labels = components.shift(-horizon).set_axis(LABELS, axis="columns")
    if parameters.get("return_head", False):
        labels[RETURN_LABEL] = forward_return_in_ranges(candles, horizon)
    return labels


def spread_columns(labels: Iterable[str]) -> list[str]:
    """Return the column of each label's spread, which says how uncertain its prediction is.

    FreqAI keeps ``_mean`` and ``_std`` for statistics of each predicted column, these included.
    """
    return [f"{label}_spread" for label in labels]


def mean_and_spread(members: np.ndarray, calibration: Sequence[float] | None) -> np.ndarray:
    """Return what an ensemble predicts.

    Rows do not influence each other.

    :param members: What each network predicts, shape ``(networks, rows, labels)``.
    :param calibration: Factor on each label's standard deviation over the networks; None for a
        single network, which has no spread.
    :return: The mean of each label, then its spread, shape ``(rows, 2 * labels)``; without spreads
        ``(rows, labels)``.
    """
    mean: np.ndarray = members.mean(axis=0)
    if calibration is None:
        return mean
    return np.hstack([mean, members.std(axis=0, ddof=1) * calibration])


@dataclass(frozen=True)
class Composition:
    """What turns components into a score.

    :param volatility: Volatility adjustment V * V2, in 1 / price.
    :param relative_volatility: The same relative to its own level, dimensionless.
    """

    weights: Sequence[float]
    volatility: pd.Series
    relative_volatility: pd.Series

    def target(self, components: pd.DataFrame) -> pd.Series:
        """Return the score in its own units, 1 / price.

        :param components: The nine components in their order, by any names.
        """
        return self._composed(components) * self.volatility

    def score(self, components: pd.DataFrame) -> pd.Series:
        """Return the score without units, so that one threshold serves every coin.

        The weights count by their share, the volatility relative to its own level. Of components'
        spreads, this is at most the spread of the score: all of them may err to the same side.
        """
        return self._composed(components) * self._scale

    @property
    def to_score(self) -> pd.Series:
        """Factor from the score in its own units to the one without."""
        return self._scale / self.volatility

    @property
    def _scale(self) -> Any:
        total = sum(self.weights)
        # All weights at zero name no score at all.
        return self.relative_volatility / total if total > 0 else np.nan

    def _composed(self, components: pd.DataFrame) -> pd.Series:
        return compose_score(components.set_axis(WEIGHT_NAMES, axis="columns"), self.weights)


@dataclass(frozen=True)
class Signals:
    """Where a strategy goes long and short.

    :param buy: It goes long where the signal is above, or short if it fades; at least 0 counts.
    :param sell: It goes short where the signal is below, or long if it fades; at most 0 counts.
    :param fade: Whether the signal is the score with its sign turned.
    """

    buy: float
    sell: float
    fade: bool

    def beyond(self, score: pd.Series) -> tuple[pd.Series, pd.Series]:
        """Return where the signal is above ``buy`` and where it is below ``sell``."""
        signal = -score if self.fade else score
        return signal > max(self.buy, 0), signal < min(self.sell, 0)

    @property
    def tags(self) -> tuple[str, str]:
        """What the score was where the signal is above and below its threshold."""
        tags = ("score_above", "score_below")
        return tags[::-1] if self.fade else tags

    @property
    def score_thresholds(self) -> tuple[float, float]:
        """The upper and the lower threshold of the score itself."""
        buy, sell = max(self.buy, 0.0), min(self.sell, 0.0)
        return (-sell, -buy) if self.fade else (buy, sell)

    def crossings(self, score: pd.Series) -> tuple[float, float]:
        """Return the shares of candles with a score above the upper and below the lower threshold.

        :param score: Without units; rows with NaN do not count.
        """
        score = score.dropna()
        upper, lower = self.score_thresholds
        return float((score > upper).mean()), float((score < lower).mean())
