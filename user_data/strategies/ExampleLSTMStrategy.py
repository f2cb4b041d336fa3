"""Trades on thresholds of the aggregate score that the LSTM predicts."""

from typing import Any

import numpy as np
import pandas as pd
import talib
from freqtrade.strategy import (
    BooleanParameter,
    CategoricalParameter,
    IntParameter,
    RealParameter,
    timeframe_to_seconds,
)
from pandas import DataFrame

from freqai_lstm.bridge.parameters import check_parameter_file, check_trading_keys
from freqai_lstm.bridge.strategy import ReconcilingStrategy
from freqai_lstm.score import (
    DEFAULT_WEIGHTS,
    LABELS,
    RELATIVE_VOLATILITY_WARMUP_CANDLES,
    RETURN_LABEL,
    SCORE_WARMUP_CANDLES,
    WEIGHT_NAMES,
    Composition,
    Signals,
    band_position,
    bollinger_bands,
    configured_components,
    in_ranges,
    log_volume_ratio,
    market_regime,
    neutral_after,
    relative_volatility,
    score_labels,
    spread_columns,
)

SPREADS = spread_columns(LABELS)
COMPONENTS = [f"component_{name}" for name in WEIGHT_NAMES]


class ExampleLSTMStrategy(ReconcilingStrategy):
    """Long above ``threshold_buy``, short below ``threshold_sell``, both of the predicted score.

    The network predicts the nine components of the score. Their weighted sum is taken in the entry
    and exit functions, so hyperopt searches the weights and the thresholds without retraining.
    ``direction`` "fade" turns the sides round: long where the score is low, short where it is high.

    With ``freqai.feature_parameters.return_head`` the network also predicts the forward return, and
    a trade is entered only if that agrees with its side.

    With an ensemble (``model_kwargs.ensemble_size`` above 1) ``score_spread`` says how uncertain
    the score is, and a trade is entered only if the score is beyond ``min_certainty`` times that.

    Every feature is a ratio, a z-score or a bounded oscillator: none of them changes its range when
    the price reaches a new high.
    """

    INTERFACE_VERSION = 3

    timeframe = "1h"
    can_short = True  # in futures mode
    process_only_new_candles = True

    # The slowest recursions, Wilder's averages over 20 candles, forget their start to 2e-7 in 300
    # candles; SMA(100) of the volatility needs 118.
    startup_candle_count = 300

    # About six average hourly ranges of a large coin: beyond it the reading was wrong.
    stoploss = -0.06
    # A signal that has not paid after days is stale: the older the trade, the less it has to earn.
    minimal_roi = {"0": 0.12, "1440": 0.06, "4320": 0.02}
    # Wider than the range of a candle: a tighter trailing stop looks better in a backtest on 1h
    # candles than it is, since nobody knows in which order a candle's high and low came.
    trailing_stop = True
    trailing_stop_positive = 0.03
    trailing_stop_positive_offset = 0.05
    trailing_only_offset_is_reached = True

    w0 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[0], space="buy")
    w1 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[1], space="buy")
    w2 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[2], space="buy")
    w3 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[3], space="buy")
    w4 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[4], space="buy")
    w5 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[5], space="buy")
    w6 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[6], space="buy")
    w7 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[7], space="buy")
    w8 = RealParameter(0, 1, default=DEFAULT_WEIGHTS[8], space="buy")
    threshold_buy = RealParameter(0.1, 3.0, default=0.6, space="buy")
    threshold_sell = RealParameter(-3.0, -0.1, default=-0.6, space="sell")
    direction = CategoricalParameter(["follow", "fade"], default="follow", space="buy")
    # Both have an effect with a return head only. The threshold is in units of ATR.
    require_return = BooleanParameter(default=True, space="buy")
    return_threshold = RealParameter(0, 0.5, default=0.0, space="buy")
    # Has an effect with an ensemble only. In spreads of the score; 0 is off.
    min_certainty = RealParameter(0, 2, default=0.0, space="buy")
    # Of the protections; 0 turns one off.
    cooldown_candles = IntParameter(0, 24, default=1, space="protection")
    max_stops_a_day = IntParameter(0, 10, default=4, space="protection")
    max_weekly_drawdown = RealParameter(0, 0.5, default=0.2, space="protection")

    plot_config = {
        "main_plot": {},
        "subplots": {
            "Score": {"score": {"color": "#1f77b4"}, "present_score": {"color": "#7f7f7f"}},
            "Prediction": {"&-target": {"color": "#ff7f0e"}},
            "Return": {RETURN_LABEL: {"color": "#17becf"}},
            "Regime": {"regime": {"color": "#2ca02c"}, "long_regime": {"color": "#9467bd"}},
            "Do predict": {"do_predict": {"color": "#d62728"}},
        },
    }

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.can_short = self.can_short and config.get("trading_mode") == "futures"

    @property
    def protections(self) -> list[dict[str, Any]]:
        """What keeps the bot from entering for a while after losses.

        A pair rests after each trade; all pairs rest for half a day after too many stop-losses
        within a day, and for a day after too large a loss within a week.
        """
        day = 24 * 3600 // timeframe_to_seconds(self.timeframe)
        found = []
        if self.cooldown_candles.value:
            found.append(
                {"method": "CooldownPeriod", "stop_duration_candles": self.cooldown_candles.value}
            )
        if self.max_stops_a_day.value:
            found.append(
                {
                    "method": "StoplossGuard",
                    "lookback_period_candles": max(day, 1),
                    "trade_limit": self.max_stops_a_day.value,
                    "stop_duration_candles": max(day // 2, 1),
                }
            )
        if self.max_weekly_drawdown.value:
            found.append(
                {
                    "method": "MaxDrawdown",
                    "calculation_mode": "equity",
                    "lookback_period_candles": max(7 * day, 1),
                    "trade_limit": 1,
                    "stop_duration_candles": max(day, 1),
                    "max_allowed_drawdown": self.max_weekly_drawdown.value,
                }
            )
        return found

    def leverage(
        self,
        pair: str,
        current_time: Any,
        current_rate: float,
        proposed_leverage: float,
        max_leverage: float,
        entry_tag: str | None,
        side: str,
        **kwargs: Any,
    ) -> float:
        """Return the configuration's ``leverage``, at most what the exchange allows."""
        return float(min(self.config.get("leverage", 1), max_leverage))

    def custom_stake_amount(
        self,
        pair: str,
        current_time: Any,
        current_rate: float,
        proposed_stake: float,
        min_stake: float | None,
        max_stake: float,
        leverage: float,
        entry_tag: str | None,
        side: str,
        **kwargs: Any,
    ) -> float:
        """Stake less on an uncertain score, if the configuration's ``stake_by_certainty`` is true.

        The share of the usual stake is that of the score in the sum of score and spread. Without an
        ensemble there is no spread, and the stake stays.
        """
        if not (self.config.get("stake_by_certainty", False) and self._has_ensemble()):
            return proposed_stake
        newest = self.dp.get_analyzed_dataframe(pair, self.timeframe)[0].iloc[-1]
        score, spread = abs(newest["score"]), newest["score_spread"]
        share = score / (score + spread)
        return max(proposed_stake * share, min_stake or 0.0) if share > 0 else proposed_stake

    def bot_start(self, **kwargs: Any) -> None:
        """Check what is traded with, enter on the newest candle only, search what has an effect.

        A parameter file with values that cannot be meant is refused, and so are wrong keys of the
        configuration: nothing is traded then.

        While the exchange answers badly, freqtrade goes on with the last candle that it could
        analyse, for two candles and five minutes. Here an entry is given up when the next candle
        has closed, unless ``ignore_buying_expired_candle_after`` says otherwise.
        """
        check_parameter_file(self)
        check_trading_keys(self.config)
        if not self.ignore_buying_expired_candle_after:
            self.ignore_buying_expired_candle_after = timeframe_to_seconds(self.timeframe)
        for parameter in (self.require_return, self.return_threshold):
            parameter.optimize = self._has_return_head()
        self.min_certainty.optimize = self._has_ensemble()

    def feature_engineering_expand_all(
        self, dataframe: DataFrame, period: int, metadata: dict[str, Any], **kwargs: Any
    ) -> DataFrame:
        """Add the features of each period, timeframe and correlated pair."""
        high, low, close = dataframe["high"], dataframe["low"], dataframe["close"]
        average_range = talib.ATR(high, low, close, period)
        upper, middle, lower = bollinger_bands(close, period)
        macd, macd_signal, macd_histogram = talib.MACD(
            close, fastperiod=period, slowperiod=2 * period, signalperiod=9
        )
        dataframe["%-cci-period"] = talib.CCI(high, low, close, period) / 100
        dataframe["%-rsi-period"] = talib.RSI(close, period) / 100
        dataframe["%-momentum-period"] = in_ranges(talib.MOM(close, period), average_range)
        dataframe["%-sma-period"] = in_ranges(close - talib.SMA(close, period), average_range)
        dataframe["%-macd-period"] = in_ranges(macd, average_range)
        dataframe["%-macd_signal-period"] = in_ranges(macd_signal, average_range)
        dataframe["%-macd_histogram-period"] = in_ranges(macd_histogram, average_range)
        dataframe["%-roc-period"] = talib.ROC(close, period) / 100
        dataframe["%-bb_width-period"] = (upper - lower) / middle
        dataframe["%-bb_position-period"] = band_position(close, upper, lower)
        return dataframe

    def feature_engineering_expand_basic(
        self, dataframe: DataFrame, metadata: dict[str, Any], **kwargs: Any
    ) -> DataFrame:
        """Add the features of each timeframe and correlated pair."""
        high, low, close = dataframe["high"], dataframe["low"], dataframe["close"]
        dataframe["%-price_change"] = close.pct_change()
        dataframe["%-volume"] = log_volume_ratio(dataframe["volume"], 50)
        dataframe["%-price"] = in_ranges(
            close - talib.SMA(close, 100), talib.ATR(high, low, close, 14)
        )
        return dataframe

    def feature_engineering_standard(
        self, dataframe: DataFrame, metadata: dict[str, Any], **kwargs: Any
    ) -> DataFrame:
        """Add the features of the base timeframe alone: time, regime and the present score."""
        date = dataframe["date"].dt
        day, hour = 2 * np.pi * date.dayofweek / 7, 2 * np.pi * date.hour / 24
        dataframe["%-day_of_week_sin"] = np.sin(day)
        dataframe["%-day_of_week_cos"] = np.cos(day)
        dataframe["%-hour_of_day_sin"] = np.sin(hour)
        dataframe["%-hour_of_day_cos"] = np.cos(hour)
        regime = market_regime(dataframe)
        dataframe["%-regime"] = regime["regime"]
        dataframe["%-long_regime"] = regime["long_regime"]
        # Where the price stood still the score has no scale: a feature must not lose the candle.
        volatility = np.log(relative_volatility(dataframe))
        dataframe["%-relative_volatility"] = neutral_after(
            volatility, RELATIVE_VOLATILITY_WARMUP_CANDLES
        )
        components = neutral_after(
            self._components(dataframe)[list(WEIGHT_NAMES)], SCORE_WARMUP_CANDLES
        )
        return pd.concat([dataframe, components.add_prefix("%-score_")], axis=1)

    def set_freqai_targets(
        self, dataframe: DataFrame, metadata: dict[str, Any], **kwargs: Any
    ) -> DataFrame:
        """Add the labels: the score's components ``label_period_candles`` ahead, and the return."""
        labels = score_labels(dataframe, self.freqai_info["feature_parameters"])
        return pd.concat([dataframe, labels], axis=1)

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Let FreqAI predict the components, and add what turns them into a score."""
        dataframe = self.freqai.start(dataframe, metadata, self)
        components = self._components(dataframe)
        regime = market_regime(dataframe)
        present = components[list(WEIGHT_NAMES)].add_prefix("component_")
        volatility = components["volatility"]
        relative = relative_volatility(dataframe).rename("relative_volatility")
        return pd.concat([dataframe, volatility, relative, regime, present], axis=1)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Enter long above ``threshold_buy`` and short below ``threshold_sell``.

        With a return head, only where the predicted return agrees; with an ensemble, only where
        the score is certain enough.
        """
        dataframe = self._add_scores(dataframe)
        above, below = self._signals(dataframe)
        if self._has_ensemble() and self.min_certainty.value > 0:
            uncertain = self.min_certainty.value * dataframe["score_spread"]
            certain = dataframe["score"].abs() > uncertain
            above &= certain
            below &= certain
        if self._has_return_head() and self.require_return.value:
            expected = dataframe[RETURN_LABEL]
            above &= expected > self.return_threshold.value
            below &= expected < -self.return_threshold.value
        above_tag, below_tag = self._rules().tags
        dataframe.loc[above, ["enter_long", "enter_tag"]] = (1, above_tag)
        dataframe.loc[below, ["enter_short", "enter_tag"]] = (1, below_tag)
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Leave a position when the score crosses the opposite threshold, whatever the return."""
        above, below = self._signals(dataframe)
        above_tag, below_tag = self._rules().tags
        dataframe.loc[below, ["exit_long", "exit_tag"]] = (1, below_tag)
        dataframe.loc[above, ["exit_short", "exit_tag"]] = (1, above_tag)
        return dataframe

    def _has_return_head(self) -> bool:
        """Say whether the network predicts the forward return as well."""
        return bool(self.config["freqai"]["feature_parameters"].get("return_head", False))

    def _has_ensemble(self) -> bool:
        """Say whether the prediction is the mean of several networks."""
        training = self.config["freqai"].get("model_training_parameters", {})
        return bool(training.get("model_kwargs", {}).get("ensemble_size", 1) > 1)

    def _components(self, dataframe: DataFrame) -> DataFrame:
        """Return the present components, with the label settings of the configuration."""
        return configured_components(dataframe, self.freqai_info["feature_parameters"])

    def _add_scores(self, dataframe: DataFrame) -> DataFrame:
        """Compose ``&-target`` and ``score`` from the predicted components and the weights.

        ``&-target`` is the predicted score in its own units, 1 / price. ``score`` is the same
        without units, which thresholds are compared with. ``present_score`` is the score the candle
        shows. With an ensemble, ``score_spread`` bounds the spread of ``score``.
        """
        weights = [getattr(self, name).value for name in WEIGHT_NAMES]
        composition = Composition(
            weights, dataframe["volatility"], dataframe["relative_volatility"]
        )
        trusted = dataframe["do_predict"] == 1
        predicted = dataframe[LABELS].where(trusted)
        dataframe["&-target"] = composition.target(predicted)
        dataframe["score"] = composition.score(predicted)
        dataframe["present_score"] = composition.score(dataframe[COMPONENTS])
        if self._has_ensemble():
            dataframe["score_spread"] = composition.score(dataframe[SPREADS].where(trusted))
        return dataframe

    def _signals(self, dataframe: DataFrame) -> tuple[Any, Any]:
        """Return where the signal is above ``threshold_buy`` and below ``threshold_sell``."""
        trusted = (dataframe["do_predict"] == 1) & (dataframe["volume"] > 0)
        above, below = self._rules().beyond(dataframe["score"])
        return trusted & above, trusted & below

    def _rules(self) -> Signals:
        """Return the thresholds and the direction as they are now."""
        return Signals(
            self.threshold_buy.value, self.threshold_sell.value, self.direction.value == "fade"
        )
