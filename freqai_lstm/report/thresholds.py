"""What the strategy does with a score: its weights, thresholds and direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from freqtrade.resolvers import StrategyResolver

from freqai_lstm.score import DEFAULT_WEIGHTS, WEIGHT_NAMES


@dataclass(frozen=True)
class Signals:
    """Where a strategy goes long and short.

    :ivar buy: It goes long where the signal is above, or short if it fades.
    :ivar sell: It goes short where the signal is below, or long if it fades.
    :ivar fade: Whether the signal is the score with its sign turned.
    """

    buy: float
    sell: float
    fade: bool

    def score_thresholds(self) -> tuple[float, float]:
        """Return the upper and the lower threshold of the score itself."""
        return (-self.sell, -self.buy) if self.fade else (self.buy, self.sell)

    def crossings(self, candles: pd.DataFrame) -> tuple[float, float]:
        """Return the shares of candles with a score above the upper and below the lower threshold.

        :param candles: Columns ``predicted`` and ``to_traded``; rows with NaN do not count.
        """
        score = (candles["predicted"] * candles["to_traded"]).dropna()
        upper, lower = self.score_thresholds()
        return float((score > upper).mean()), float((score < lower).mean())


def strategy_signals(config: Mapping[str, Any]) -> tuple[tuple[float, ...], Signals | None]:
    """Return the weights and the thresholds of the configured strategy, as it would use them now.

    :param config: freqtrade's configuration.
    :return: The default weights where the strategy has none; no thresholds where it has none.
    """
    if not config.get("strategy"):
        return DEFAULT_WEIGHTS, None
    strategy = StrategyResolver.load_strategy(dict(config))
    strategy.ft_load_hyper_params()
    values = {name: parameter.value for name, parameter in strategy.enumerate_parameters()}
    weights = tuple(float(values.get(name, 0)) for name in WEIGHT_NAMES)
    if not {"threshold_buy", "threshold_sell"} <= values.keys():
        signals = None
    else:
        signals = Signals(
            max(values["threshold_buy"], 0.0),
            min(values["threshold_sell"], 0.0),
            values.get("direction") == "fade",
        )
    return (weights if sum(weights) > 0 else DEFAULT_WEIGHTS), signals
