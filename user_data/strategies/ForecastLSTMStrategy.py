"""Trades on a predicted return, as far as it pays the costs of trading."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from ExampleLSTMStrategy import ExampleLSTMStrategy
from freqtrade.persistence import Trade
from freqtrade.strategy import (
    IntParameter,
    RealParameter,
    timeframe_to_minutes,
    timeframe_to_prev_date,
)
from pandas import DataFrame

from freqai_lstm.bridge.funding import funding_pairs, known_funding_rate
from freqai_lstm.bridge.universe import candles_of_others, universe
from freqai_lstm.score import (
    FUNDING_HOURS,
    RELATIVE_RETURN_LABEL,
    RETURN_LABEL,
    Hysteresis,
    forward_return_in_ranges,
    in_round_trips,
    past_ranks,
    places,
    relative_return_in_ranges,
    smoothed,
)


class ForecastLSTMStrategy(ExampleLSTMStrategy):
    """Holds what is expected to rise, and sells short what is expected to fall, after costs.

    The network predicts one label, with the features of :class:`ExampleLSTMStrategy`: the return
    of the next ``label_period_candles`` in units of ATR, or with
    ``freqai.feature_parameters.relative_to`` what it is worth against these pairs.

    The forecast is smoothed, for each trade costs. What it promises is counted in costs of a round
    trip, funding included: a position is entered above ``entry_margin`` of them and held until less
    than ``exit_margin`` are left.

    The stake is the larger the more is promised, up to the usual stake at ``full_margin``. With a
    relative label it follows the place that the pair's forecast has among those of the others, from
    the whole usual stake for the best, long, and for the worst, short, to none in the middle: so
    longs and shorts make a book that hardly depends on what the market does, and a wild pair gets
    no more than a calm one. A position is adjusted once it is off by ``rebalance_share`` of the
    usual stake.
    """

    # The smoothing forgets its start to 2e-4 in 600 candles, with its default half-life.
    startup_candle_count = 600

    position_adjustment_enable = True
    trailing_stop = False
    # The forecast decides when to leave. A position held for weeks is often a quarter off, and its
    # book is not: the stop loss is for what no forecast ever saw.
    stoploss = -0.6
    minimal_roi: dict[str, float] = {}

    round_trip_costs = 0.0015
    """Fees of an entry and an exit with limit orders, and half a spread and slippage for each."""

    half_life = IntParameter(0, 96, default=48, space="buy")
    entry_margin = RealParameter(0.0, 5.0, default=1.0, space="buy")
    full_margin = RealParameter(1.0, 20.0, default=10.0, space="buy")
    rebalance_share = RealParameter(0.05, 1.0, default=0.2, space="buy")
    exit_margin = RealParameter(-1.0, 2.0, default=-0.5, space="sell")

    plot_config = {
        "main_plot": {},
        "subplots": {
            "Forecast [ATR]": {"forecast": {"color": "#ff7f0e"}},
            "Promise [round trips]": {"promise": {"color": "#1f77b4"}},
            "Do predict": {"do_predict": {"color": "#d62728"}},
        },
    }

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        # What was made of the forecasts of each pair, by the candle's opening time.
        self._analyzed: dict[str, DataFrame] = {}
        # Of all pairs among each other, on the candle that opened then.
        self._places: tuple[datetime | None, pd.Series] = (None, pd.Series(dtype=float))

    def bot_start(self, **kwargs: Any) -> None:
        """Check what is traded with, and search what has an effect."""
        super().bot_start(**kwargs)
        for name, parameter in self.enumerate_parameters():
            if parameter.space in ("buy", "sell") and name in vars(ExampleLSTMStrategy):
                # Those of the score, which is not predicted.
                parameter.optimize = False
        self.full_margin.optimize = not self._is_relative()

    def informative_pairs(self) -> list[tuple[str, str, str]]:
        """Ask for the funding rates of the pairs, in futures mode."""
        return funding_pairs(self)

    def feature_engineering_standard(
        self, dataframe: DataFrame, metadata: dict[str, Any], **kwargs: Any
    ) -> DataFrame:
        """Add to the features of the base timeframe what the pair has done against the others."""
        dataframe = super().feature_engineering_standard(dataframe, metadata, **kwargs)
        if not universe(self):
            return dataframe
        ranks = past_ranks(dataframe, candles_of_others(self, metadata["pair"]))
        return pd.concat([dataframe, ranks.add_prefix("%-")], axis=1)

    def set_freqai_targets(
        self, dataframe: DataFrame, metadata: dict[str, Any], **kwargs: Any
    ) -> DataFrame:
        """Add the label: the return ``label_period_candles`` ahead."""
        ahead = self._horizon()
        if self._label() == RETURN_LABEL:
            dataframe[RETURN_LABEL] = forward_return_in_ranges(dataframe, ahead)
        else:
            others = candles_of_others(self, metadata["pair"])
            dataframe[RELATIVE_RETURN_LABEL] = relative_return_in_ranges(dataframe, ahead, others)
        return dataframe

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Let FreqAI predict the return, and add what holding a position would cost."""
        dataframe = self.freqai.start(dataframe, metadata, self)
        fundings = self._horizon() * timeframe_to_minutes(self.timeframe) / 60 / FUNDING_HOURS
        rate = known_funding_rate(self, metadata["pair"], dataframe["date"])
        dataframe["funding"] = fundings * rate
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Enter where a return is promised that pays its costs by a margin."""
        predicted = dataframe[self._label()].where(dataframe["do_predict"] == 1)
        dataframe["forecast"] = smoothed(predicted, self.half_life.value)
        dataframe["promise"] = in_round_trips(
            dataframe, dataframe["forecast"], self.round_trip_costs, dataframe["funding"]
        )
        made = dataframe[["forecast", "promise"]]
        self._analyzed[metadata["pair"]] = made.set_axis(pd.DatetimeIndex(dataframe["date"]))
        return self._signal(dataframe, "enter", self._hysteresis().enters, "promised")

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Leave where no more than the exit margin is promised."""
        return self._signal(dataframe, "exit", self._hysteresis().leaves, "no longer promised")

    def custom_stake_amount(
        self,
        pair: str,
        current_time: datetime,
        current_rate: float,
        proposed_stake: float,
        min_stake: float | None,
        max_stake: float,
        leverage: float,
        entry_tag: str | None,
        side: str,
        **kwargs: Any,
    ) -> float:
        """Stake the share of the usual stake that the promise is worth."""
        share = self._share(pair, current_time, is_short=side == "short")
        # Without a share there is no position; freqtrade would raise a stake that is too small.
        return (
            min(max(self._usual_stake() * share, min_stake or 0.0), max_stake) if share > 0 else 0.0
        )

    def adjust_trade_position(
        self,
        trade: Trade,
        current_time: datetime,
        current_rate: float,
        current_profit: float,
        min_stake: float | None,
        max_stake: float,
        current_entry_rate: float,
        current_exit_rate: float,
        current_entry_profit: float,
        current_exit_profit: float,
        **kwargs: Any,
    ) -> float | None:
        """Let a position follow the promise, once it is off by more than ``rebalance_share``."""
        usual = self._usual_stake()
        present = trade.amount * current_rate / trade.leverage
        missing = usual * self._share(trade.pair, current_time, trade.is_short) - present
        is_off = abs(missing) >= self.rebalance_share.value * usual
        if trade.has_open_orders or not is_off:
            # NaN is not off either: a position waits for the next forecast.
            return None
        reduces = missing < 0
        if reduces:
            # The rest must stay tradable; an exit is the signal's.
            sellable = present - 1.1 * (min_stake or 0.0)
            stake = min(-missing, sellable) * trade.stake_amount / present
        else:
            stake = min(missing, max_stake)
        side = trade.exit_side if reduces else trade.entry_side
        is_enough = stake >= (min_stake or 0.0)
        if is_enough and self.note_order(trade.pair, side, current_rate, reduces=reduces):
            return -stake if reduces else stake
        return None

    def _label(self) -> str:
        return RELATIVE_RETURN_LABEL if self._is_relative() else RETURN_LABEL

    def _is_relative(self) -> bool:
        return bool(self.freqai_info["feature_parameters"].get("relative_to"))

    def _horizon(self) -> int:
        return int(self.freqai_info["feature_parameters"]["label_period_candles"])

    def _hysteresis(self) -> Hysteresis:
        """Return the margins as they are now."""
        return Hysteresis(self.entry_margin.value, self.exit_margin.value, self.full_margin.value)

    def _signal(
        self, dataframe: DataFrame, action: str, applies: Callable[[pd.Series], pd.Series], tag: str
    ) -> DataFrame:
        """Signal an action on either side, where it applies to what that side is promised."""
        tradable, long = dataframe["volume"] > 0, dataframe["promise"]
        for side, promise in (("long", long), ("short", -long)):
            columns = [f"{action}_{side}", f"{action}_tag"]
            dataframe.loc[tradable & applies(promise), columns] = (1, tag)
        return dataframe

    def _usual_stake(self) -> float:
        """Return the stake of a position at its fullest."""
        if self.config["stake_amount"] != "unlimited":
            return float(self.config["stake_amount"])
        slots = min(self.config["max_open_trades"], len(self.dp.current_whitelist()))
        return self.wallets.get_total_stake_amount() / slots

    def _share(self, pair: str, now: datetime, is_short: bool) -> float:
        """Return the share of the usual stake that a position is to have, NaN if unforeseen."""
        side = -1.0 if is_short else 1.0
        forming = timeframe_to_prev_date(self.timeframe, now)
        candle = timedelta(minutes=timeframe_to_minutes(self.timeframe))
        if not self._is_relative():
            promise = side * self._analyzed_at("promise", forming - candle, pair)
            return self._hysteresis().share(promise)
        # Live, pairs are analysed one after another, and one may be late: all know the candle
        # before the newest.
        before = forming - 2 * candle
        if self._places[0] != before:
            pairs = self.dp.current_whitelist()
            forecasts = {each: self._analyzed_at("forecast", before, each) for each in pairs}
            self._places = before, places(pd.Series(forecasts, dtype=float))
        place = side * self._places[1].get(pair, math.nan)
        return float(np.clip(place, 0, 1))

    def _analyzed_at(self, column: str, date: datetime, pair: str) -> float:
        analyzed = self._analyzed.get(pair)
        return math.nan if analyzed is None else float(analyzed[column].get(date, math.nan))
