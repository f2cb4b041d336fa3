"""The predictions of a finished backtest beside the true score, candle by candle.

Reads what FreqAI left in the identifier's folder; needs no model and no exchange.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.resolvers import StrategyResolver

from freqai_lstm import score
from freqai_lstm.bridge.folders import identifier_folder, prediction_file
from freqai_lstm.bridge.internals import load_parameters
from freqai_lstm.exceptions import SkillError
from freqai_lstm.settings import SECONDS_PER_DAY
from freqai_lstm.tools.candles import stored_candles

SCORE = "score"
"""Stands for the composed score among the labels."""


@dataclass(frozen=True)
class PairPredictions:
    """What a backtest predicted of one pair, and what came true.

    ``candles`` has a row for each candle of the predictions, by opening time:

    * ``window``: the training window that predicted it, by its end in seconds;
    * ``do_predict``;
    * ``predicted``, ``true``, ``present``: the score of :func:`~freqai_lstm.score.target_score`
      as predicted, as it was ``horizon`` candles ahead, and of the candle itself;
    * ``to_traded``: factor from these to the score without units that is traded on;
    * ``predicted_return``: the return head's forecast in units of ATR, if there is one;
    * ``close``.

    ``closes`` are those of all stored candles, to look ahead with.

    ``errors`` has what an ensemble says of its errors, by label and for the ``score``: columns
    ``error`` (predicted less true) and ``spread``. The score's are those of the sum of its
    components, since its volatility would scale both alike. Empty for a single network.
    """

    pair: str
    horizon: int
    windows: tuple[int, ...]
    candles: pd.DataFrame
    closes: pd.Series
    errors: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def trusted(self) -> pd.Series:
        """Which candles were predicted, and have a true and a present score to compare with."""
        scores = self.candles[["predicted", "true", "present"]]
        return (self.candles["do_predict"] == 1) & scores.notna().all(axis="columns")


def load_predictions(
    config: Mapping[str, Any], weights: Sequence[float] = score.DEFAULT_WEIGHTS
) -> list[PairPredictions]:
    """Return the predictions of every pair of a finished backtest.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :return: One entry for each pair of the whitelist that has predictions, in its order.
    :raises SkillError: If no pair has any prediction for the timerange.
    """
    found = [
        _pair_predictions(config, pair, predictions, weights)
        for pair in config["exchange"]["pair_whitelist"]
        if (predictions := _stored_predictions(config, pair))
    ]
    if not found:
        raise SkillError(
            f"{identifier_folder(config) / 'backtesting_predictions'}: must hold predictions for "
            f"the timerange {config['timerange']!r}, had none. Run freqtrade backtesting with it "
            f"first."
        )
    return found


def training_stamps(config: Mapping[str, Any]) -> range:
    """Return the ends of the training windows, as FreqAI names its files, in seconds."""
    timerange = TimeRange.parse_timerange(config["timerange"])
    stop = timerange.stopts or int(datetime.now(tz=UTC).timestamp())
    period = int(config["freqai"]["backtest_period_days"] * SECONDS_PER_DAY)
    return range(timerange.startts, stop, period)


def _stored_predictions(config: Mapping[str, Any], pair: str) -> dict[int, pd.DataFrame]:
    """Return the predictions of each training window of the timerange, oldest first."""
    folder = identifier_folder(config)
    files = {stamp: prediction_file(folder, pair, stamp) for stamp in training_stamps(config)}
    return {stamp: pd.read_feather(file) for stamp, file in files.items() if file.is_file()}


def _pair_predictions(
    config: Mapping[str, Any],
    pair: str,
    predictions: Mapping[int, pd.DataFrame],
    weights: Sequence[float],
) -> PairPredictions:
    parameters = config["freqai"]["feature_parameters"]
    horizon = parameters.get("label_period_candles", 0)
    predicted = (
        pd.concat([frame.assign(window=stamp) for stamp, frame in predictions.items()])
        .drop_duplicates("date", keep="last")
        .set_index("date")
    )
    history = stored_candles(config, pair).set_index("date")
    components = score.configured_components(history, parameters)
    composition = score.Composition(
        weights, components["volatility"], score.relative_volatility(history)
    )
    present = composition.target(components[list(score.WEIGHT_NAMES)])
    candles = pd.DataFrame(
        {
            "window": predicted["window"],
            "do_predict": predicted["do_predict"],
            "predicted": composition.target(predicted[score.LABELS]),
            "true": present.shift(-horizon),
            "present": present,
            "to_traded": composition.to_score,
            "close": history["close"],
        },
        index=predicted.index,
    )
    if score.RETURN_LABEL in predicted:
        candles["predicted_return"] = predicted[score.RETURN_LABEL]
    true = score.score_labels(
        history, {**parameters, "return_head": score.RETURN_LABEL in predicted}
    )
    true[SCORE] = candles["true"] / components["volatility"]
    errors = _errors(predicted, true, weights)
    return PairPredictions(pair, horizon, tuple(predictions), candles, history["close"], errors)


def _errors(
    predicted: pd.DataFrame, true: pd.DataFrame, weights: Sequence[float]
) -> dict[str, pd.DataFrame]:
    """Return error and spread of each label and of the score, if there are spreads."""
    if not {*score.spread_columns(score.LABELS)} <= {*predicted}:
        return {}
    [score_spread] = score.spread_columns([SCORE])
    predicted = predicted.assign(
        **{
            column: score.compose_score(
                predicted[names].set_axis(score.WEIGHT_NAMES, axis="columns"), weights
            )
            for column, names in (
                (SCORE, score.LABELS),
                (score_spread, score.spread_columns(score.LABELS)),
            )
        }
    )
    names = [
        name for name in map(str, true) if {name, *score.spread_columns([name])} <= {*predicted}
    ]
    return {
        name: pd.DataFrame(
            {"error": predicted[name] - true[name], "spread": predicted[spread]},
            index=predicted.index,
        )
        for name, spread in zip(names, score.spread_columns(names), strict=True)
    }


def strategy_signals(config: Mapping[str, Any]) -> tuple[tuple[float, ...], score.Signals | None]:
    """Return the weights and the thresholds of the configured strategy, as it would use them now.

    :return: The default weights where the strategy has none; no thresholds where it has none.
    """
    if not config.get("strategy"):
        return score.DEFAULT_WEIGHTS, None
    strategy = StrategyResolver.load_strategy(dict(config))
    load_parameters(strategy)
    values = {name: parameter.value for name, parameter in strategy.enumerate_parameters()}
    weights = tuple(float(values.get(name, 0)) for name in score.WEIGHT_NAMES)
    signals = None
    if {"threshold_buy", "threshold_sell"} <= values.keys():
        fade = values.get("direction") == "fade"
        signals = score.Signals(values["threshold_buy"], values["threshold_sell"], fade)
    return (weights if sum(weights) > 0 else score.DEFAULT_WEIGHTS), signals
