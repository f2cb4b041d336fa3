"""What came true: the labels that the strategy sets of stored candles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from freqai_lstm import score
from freqai_lstm.bridge.kitchen import true_labels
from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.candles import stored_candles

SCORE = "score"
"""Stands for the composed score among the labels."""

_CUTS = 12
_CUT_CANDLES = 2_000


@dataclass(frozen=True)
class Truth:
    """The labels of a pair's stored candles, by opening time, and how far ahead each looks."""

    history: pd.DataFrame
    labels: pd.DataFrame
    horizons: Mapping[str, int]


class Truths:
    """What came true, computed once for each ``label_period_candles`` and pair."""

    def __init__(self) -> None:
        self._strategies: dict[int, Any] = {}
        self._found: dict[tuple[int, str], Truth] = {}

    def strategy(self, config: Mapping[str, Any]) -> Any:
        """Return the configured strategy."""
        ahead = config["freqai"]["feature_parameters"].get("label_period_candles", 0)
        if ahead not in self._strategies:
            self._strategies[ahead] = load_labelling_strategy(config)
        return self._strategies[ahead]

    def of(self, config: Mapping[str, Any], pair: str) -> Truth:
        """Return the labels of a pair."""
        ahead = config["freqai"]["feature_parameters"].get("label_period_candles", 0)
        if (ahead, pair) not in self._found:
            strategy, candles = self.strategy(config), stored_candles(config, pair)
            history = candles.set_index("date")
            labels = true_labels(strategy, candles, pair).set_axis(history.index)
            horizons = _horizons(strategy, candles, labels, pair)
            self._found[ahead, pair] = Truth(history, labels, horizons)
        return self._found[ahead, pair]


def sample_labels(strategy: Any, config: Mapping[str, Any]) -> list[str]:
    """Return the labels that a strategy sets, and the score, if they are its components.

    :raises SettingsError: If there are no candles to set them on, or it sets none.
    """
    pair = config["exchange"]["pair_whitelist"][0] if config["exchange"]["pair_whitelist"] else ""
    candles = stored_candles(config, pair) if pair else pd.DataFrame()
    if candles.empty:
        raise SettingsError(
            f"{config['datadir']}: must hold {config['timeframe']} candles of the first pair of "
            f"the whitelist, {pair!r}, had none; freqtrade download-data gets them"
        )
    labels = list(true_labels(strategy, candles.tail(_CUT_CANDLES).reset_index(drop=True), pair))
    if not labels:
        raise SettingsError(
            f"{type(strategy).__name__}: set_freqai_targets must set a label that begins with &, "
            f"set none"
        )
    return [*([SCORE] if {*score.LABELS} <= {*labels} else ()), *map(str, labels)]


def _horizons(
    strategy: Any, candles: pd.DataFrame, true: pd.DataFrame, pair: str
) -> dict[str, int]:
    """Return how many candles ahead each label looks: how many of the newest change with time.

    Labels that are comparisons know no NaN, so it takes several cuts to see it.
    """
    recent = candles.tail(_CUT_CANDLES).reset_index(drop=True)
    whole = true_labels(strategy, recent, pair)
    horizons = dict.fromkeys(map(str, true), 0)
    for cut in range(len(recent) // 2, len(recent), max(len(recent) // (2 * _CUTS), 1)):
        known = true_labels(strategy, recent.iloc[:cut].copy(), pair)
        for name in horizons:
            before, after = known[name], whole[name].iloc[:cut]
            changed = (before != after) & ~(before.isna() & after.isna())
            if changed.any():
                horizons[name] = max(horizons[name], cut - int(changed.to_numpy().argmax()))
    return horizons
