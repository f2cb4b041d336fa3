"""What a forecast of a return is worth once its costs are paid: when to trade on it, how much.

All in round trips: a promise of 2 would pay for the fees, the spread and the slippage of an entry
and an exit twice.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from freqai_lstm.score.indicators import ATR_PERIOD, average_true_range

FUNDING_HOURS = 8


def smoothed(forecast: pd.Series, half_life: float) -> pd.Series:
    """Return the exponential mean of the forecasts so far, which changes its mind less often.

    Uses candles <= t. NaN where there is no forecast; what was forecast before still counts.

    :param forecast: By candle, oldest first, NaN where nothing was predicted.
    :param half_life: After how many candles a forecast counts half; 0 for the newest alone.
    """
    if half_life == 0:
        return forecast
    return forecast.ewm(halflife=half_life).mean().where(forecast.notna())


def range_share(candles: pd.DataFrame) -> pd.Series:
    """Return ATR(14) as a fraction of the close: from changes in ranges to returns.

    :param candles: Open, high, low, close and volume, oldest first.
    """
    return average_true_range(candles, ATR_PERIOD) / candles["close"]


def in_round_trips(
    candles: pd.DataFrame, forecast: pd.Series, costs: float, funding: pd.Series | float = 0.0
) -> pd.Series:
    """Return what a forecast promises to a long position, in costs of a round trip.

    :param candles: Open, high, low, close and volume, oldest first.
    :param forecast: Change of the close in units of ATR(14), index of ``candles``.
    :param costs: Fees, spread and slippage of an entry and an exit, as a fraction, above 0.
    :param funding: What a long position is to pay while it is held, as a fraction.
    :return: Below 0 where a short position gains; shape ``(candles,)``.
    """
    return (forecast * range_share(candles) - funding) / costs


@dataclass(frozen=True)
class Hysteresis:
    """Enters on much and leaves on little, so that a forecast about a threshold does not trade.

    All in round trips.

    :param entry: What a forecast must promise for an entry.
    :param exit: What it must promise for a position to be held, less than ``entry``.
    :param full: What the whole stake is staked on; less on a smaller promise, by its share.
    """

    entry: float
    exit: float
    full: float

    def enters(self, promise: pd.Series) -> pd.Series:
        """Return where to enter a position.

        :param promise: What is promised to it; of a short position that of a long one, negated.
        """
        return promise > self.entry

    def leaves(self, promise: pd.Series) -> pd.Series:
        """Return where to leave it."""
        return promise < min(self.exit, self.entry)

    def share(self, promise: float) -> float:
        """Return the share of the whole stake that a position is to have, 0 to 1."""
        return float(np.clip(promise / self.full, 0, 1))
