"""FreqAI's data kitchen, extended by the candles before a backtest slice."""

from typing import Any

from freqtrade.configuration import TimeRange
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame


class WindowedDataKitchen(FreqaiDataKitchen):
    """Remembers the candles before the latest slice, so that its first rows have whole windows.

    FreqAI hands ``predict`` the rows of a slice alone; live, the same candles arrive with their
    history. These are the same raw candles, with the same features.

    :param config: freqtrade's configuration.
    :param live: Whether freqtrade trades.
    :param pair: The pair of this kitchen.
    :param history_candles: Candles to remember before a slice.
    """

    def __init__(self, config: dict[str, Any], live: bool, pair: str, history_candles: int) -> None:
        super().__init__(config, live, pair)
        self.history_candles = history_candles
        self.history = DataFrame()

    def slice_dataframe(self, timerange: TimeRange, df: DataFrame) -> DataFrame:
        """Return the candles of a timerange, and remember those just before it."""
        before = df.loc[df["date"] < timerange.startdt]
        history = before.iloc[len(before) - min(self.history_candles, len(before)) :].copy()
        self.history = self.remove_special_chars_from_feature_names(history)
        return super().slice_dataframe(timerange, df)
