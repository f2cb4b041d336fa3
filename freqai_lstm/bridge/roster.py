"""The pairs of a live bot, which may join and leave while it runs: VolumePairList and the like.

FreqAI knows the pairs of the configuration alone: it neither loads the candles of one that joins
nor trains it, and keeps all that it has of one that left.
"""

import copy
import logging
from collections.abc import Iterable
from typing import Any

import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.freqai.utils import download_all_data_for_training

from freqai_lstm.bridge.drawer import SafeDataDrawer

# Candles without a call after which a pair is gone.
_PATIENCE = 2

logger = logging.getLogger(__name__)


class Roster:
    """Knows of which pairs there are candles, and when each was last analysed.

    :param config: freqtrade's configuration; freqtrade downloads the candles of its whitelist.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.correlated: list[str] = config["freqai"]["feature_parameters"]["include_corr_pairlist"]
        self._with_candles = {*config["exchange"]["pair_whitelist"], *self.correlated}
        self._candle = pd.Timedelta(seconds=timeframe_to_seconds(config["timeframe"]))
        self._last: dict[str, pd.Timestamp] = {}

    def call(self, strategy: Any, pair: str, newest: pd.Timestamp) -> list[str]:
        """Take note of a pair that is analysed.

        :param newest: Opening time of its newest candle.
        :return: All pairs of the bot: those of the whitelist, correlated ones, and this one, which
            freqtrade may have left on no list because a trade of it is open.
        """
        self._last[pair] = newest
        return list(dict.fromkeys([*self.correlated, *strategy.dp.current_whitelist(), pair]))

    def let_in(
        self,
        strategy: Any,
        kitchen: FreqaiDataKitchen,
        drawer: SafeDataDrawer,
        timerange: TimeRange,
    ) -> None:
        """Get the candles of pairs that have joined.

        :param kitchen: Knows all pairs of the bot.
        :param timerange: The candles that a training needs.
        """
        joined = [pair for pair in kitchen.all_pairs if pair not in self._with_candles]
        if joined:
            logger.info(f"{', '.join(joined)}: joined the whitelist, getting candles to train on")
            self.download(strategy, joined)
            self._with_candles.update(joined)
        # Before the first candle of all, FreqAI loads those of all pairs.
        absent = [pair for pair in kitchen.all_pairs if pair not in drawer.historic_data]
        if drawer.historic_data and absent:
            of_these = copy.copy(kitchen)
            of_these.all_pairs = absent
            with drawer.history_lock:
                drawer.load_all_pair_histories(timerange, of_these)

    def let_go(self, pairs: Iterable[str], drawer: SafeDataDrawer) -> None:
        """Forget the candles of pairs that have left; their models stay on disk.

        :param pairs: All pairs of the bot.
        """
        # freqtrade goes on to analyse a pair with an open trade, each candle after the others.
        recent = max(self._last.values()) - _PATIENCE * self._candle
        present = {*pairs, *(pair for pair, last in self._last.items() if last >= recent)}
        for pair in [pair for pair in drawer.historic_data if pair not in present]:
            logger.info(f"{pair}: left the whitelist, let go")
            with drawer.history_lock:
                drawer.historic_data.pop(pair)
            drawer.let_go(pair)
            self._with_candles.discard(pair)
            self._last.pop(pair, None)

    def download(self, strategy: Any, pairs: Iterable[str]) -> None:
        """Download the candles that a training of these pairs needs."""
        # FreqAI raises the configuration's startup_candle_count each time it downloads.
        download_all_data_for_training(strategy.dp, self.config | {"pairs": [*pairs]})


def queue_up(train_queue: Any, pairs: Iterable[str]) -> None:
    """Put pairs that are in no queue behind the one that is being trained.

    :param train_queue: FreqAI's, a deque; its first pair may be in training meanwhile.
    """
    for pair in pairs:
        if pair not in train_queue:
            train_queue.insert(1, pair)
