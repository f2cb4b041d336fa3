"""The predictions of a finished backtest beside what came true, label by label, pair by pair.

Reads what FreqAI left in the identifier's folder; needs no model and no exchange. The truth is what
the strategy's own ``set_freqai_targets`` says of the stored candles.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.exchange import timeframe_to_seconds

from freqai_lstm import score
from freqai_lstm.bridge.folders import identifier_folder, prediction_file
from freqai_lstm.exceptions import SkillError
from freqai_lstm.settings import SECONDS_PER_DAY
from freqai_lstm.tools.truths import SCORE, Truth, Truths


@dataclass(frozen=True)
class PairPredictions:
    """What a backtest predicted of one label of one pair, and what came true.

    ``candles`` has a row for each candle of the predictions, by opening time:

    * ``window``: the training window that predicted it, by its end in seconds;
    * ``do_predict``;
    * ``predicted``, ``true``: the label, or of classes its name;
    * ``present``: the newest label whose truth was known by then, ``horizon`` candles before;
    * ``mean``: the running mean of the labels known by then, over a training period;
    * ``close``;
    * of classes also ``p_<class>``, the probability, and ``mean_<class>``, how frequent the class
      was among the labels known by then.

    Of the score of :func:`~freqai_lstm.score.target_score`, which is composed of its components:

    * ``to_traded``: factor from it to the score without units that is traded on;
    * ``predicted_return``: the return head's forecast in units of ATR, if there is one.

    ``closes`` are those of all stored candles, to look ahead with. ``horizon`` is how many candles
    the label looks ahead.

    ``errors`` has what an ensemble says of its errors, for the label and each component: columns
    ``error`` (predicted less true) and ``spread``. The score's are those of the sum of its
    components, since its volatility would scale both alike. Empty for a single network.
    """

    pair: str
    horizon: int
    windows: tuple[int, ...]
    candles: pd.DataFrame
    closes: pd.Series
    errors: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    label: str = SCORE
    classes: tuple[str, ...] = ()

    @property
    def trusted(self) -> pd.Series:
        """Which candles were predicted, and have a true and a present label to compare with."""
        labels = self.candles[["predicted", "true", "present"]]
        return (self.candles["do_predict"] == 1) & labels.notna().all(axis="columns")

    def within(self, chosen: pd.Series) -> "PairPredictions":
        """Return the same of some candles alone."""
        return replace(self, candles=self.candles[chosen])


Predictions = Mapping[str, Sequence[PairPredictions]]
"""Those of all pairs, by label. The score comes first, if the labels are its components."""


def load_predictions(
    config: Mapping[str, Any], truths: Truths | None = None, only: str | None = None
) -> Predictions:
    """Return the predictions of every pair of a finished backtest.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :param truths: Those of the same strategy and candles, if some are known already.
    :param only: This label alone.
    :return: By label, an entry for each pair of the whitelist that has predictions, in its order.
    :raises SkillError: If no pair has any prediction for the timerange, or the strategy sets other
        labels than were predicted.
    """
    truths = truths or Truths()
    found: dict[str, list[PairPredictions]] = {}
    for pair in config["exchange"]["pair_whitelist"]:
        if stored := _stored_predictions(config, pair):
            for each in _pair_predictions(config, truths, pair, stored, only):
                found.setdefault(each.label, []).append(each)
    if not found:
        raise SkillError(
            f"{identifier_folder(config) / 'backtesting_predictions'}: must hold predictions for "
            f"the timerange {config['timerange']!r}, had none. Run freqtrade backtesting with it "
            f"first."
        )
    return found


def asked_for(labels: Iterable[str]) -> list[str]:
    """Return the labels that a trader asks about: the score in place of its components."""
    known = list(dict.fromkeys(labels))
    return [label for label in known if SCORE not in known or label not in score.LABELS]


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
    truths: Truths,
    pair: str,
    predictions: Mapping[int, pd.DataFrame],
    only: str | None,
) -> list[PairPredictions]:
    predicted = (
        pd.concat([frame.assign(window=stamp) for stamp, frame in predictions.items()])
        .drop_duplicates("date", keep="last")
        .set_index("date")
    )
    truth = truths.of(config, pair)
    names = [*map(str, truth.labels)]
    if absent := [name for name in names if name not in predicted]:
        raise SkillError(
            f"{pair}: the predictions must have the labels of {config['strategy']}, "
            f"{', '.join(names)}; {', '.join(absent)} was missing"
        )
    closes = truth.history["close"]
    base = predicted[["window", "do_predict"]].assign(close=closes)
    blank = PairPredictions(pair, 0, tuple(predictions), base, closes)
    found = [
        replace(
            blank,
            horizon=truth.horizons[name],
            candles=base.join(
                _compared(config, predicted, truth.labels[name], truth.horizons[name])
            ),
            errors=_errors(predicted, truth.labels[[name]]),
            label=name,
            classes=_classes(predicted, truth.labels[name]),
        )
        for name in names
        if only in (None, name)
    ]
    if {*score.LABELS} <= {*names} and only in (None, SCORE):
        weights = strategy_weights(truths.strategy(config))
        found.insert(0, _score_predictions(config, weights, truth, predicted, blank))
    return found


def _compared(
    config: Mapping[str, Any], predicted: pd.DataFrame, true: pd.Series, horizon: int
) -> pd.DataFrame:
    """Return predictions and truth of a label, and what was known of it at the time."""
    known = true.shift(horizon)
    frame = pd.DataFrame({"predicted": predicted[true.name], "true": true, "present": known})
    frame = frame.reindex(predicted.index)
    period = config["freqai"]["train_period_days"] * SECONDS_PER_DAY
    candles = max(period // timeframe_to_seconds(config["timeframe"]), 1)
    if classes := _classes(predicted, true):
        for name in classes:
            is_it = known.eq(name).astype(float).where(known.notna())
            frame[f"p_{name}"] = predicted[name]
            frame[f"mean_{name}"] = is_it.rolling(candles, min_periods=1).mean()
    else:
        frame["mean"] = known.rolling(candles, min_periods=1).mean()
    return frame


def _classes(predicted: pd.DataFrame, true: pd.Series) -> tuple[str, ...]:
    """Return the classes of a label, none of a number."""
    if pd.api.types.is_numeric_dtype(true):
        return ()
    return tuple(sorted({*map(str, true.dropna().unique())} & {*predicted.columns}))


def _score_predictions(
    config: Mapping[str, Any],
    weights: Sequence[float],
    truth: Truth,
    predicted: pd.DataFrame,
    blank: PairPredictions,
) -> PairPredictions:
    """Compose the score of its components, as the strategy does."""
    history, horizon = truth.history, max(truth.horizons[name] for name in score.LABELS)
    components = score.configured_components(history, config["freqai"]["feature_parameters"])
    composition = score.Composition(
        weights, components["volatility"], score.relative_volatility(history)
    )
    present = composition.target(components[list(score.WEIGHT_NAMES)]).rename(SCORE)
    target = composition.target(predicted[score.LABELS]).rename(SCORE)
    compared = _compared(config, target.to_frame(), present.shift(-horizon), horizon)
    candles = blank.candles.join(compared).assign(to_traded=composition.to_score)
    if score.RETURN_LABEL in truth.labels:
        candles["predicted_return"] = predicted[score.RETURN_LABEL]
    labels = truth.labels.assign(**{SCORE: candles["true"] / components["volatility"]})
    errors = _errors(_with_score(predicted, weights), labels)
    return replace(blank, horizon=horizon, candles=candles, errors=errors)


def _with_score(predicted: pd.DataFrame, weights: Sequence[float]) -> pd.DataFrame:
    """Add the sum of the components and the bound of its spread, where there are spreads."""
    spreads = score.spread_columns(score.LABELS)
    if not {*spreads} <= {*predicted}:
        return predicted
    [score_spread] = score.spread_columns([SCORE])
    return predicted.assign(
        **{
            column: score.compose_score(
                predicted[names].set_axis(score.WEIGHT_NAMES, axis="columns"), weights
            )
            for column, names in ((SCORE, score.LABELS), (score_spread, spreads))
        }
    )


def _errors(predicted: pd.DataFrame, true: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return error and spread of each label that has a spread."""
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


def strategy_weights(strategy: Any) -> tuple[float, ...]:
    """Return the weights of a strategy as it would use them now, the default ones without any."""
    values = _parameters(strategy)
    weights = tuple(float(values.get(name, 0)) for name in score.WEIGHT_NAMES)
    return weights if sum(weights) > 0 else score.DEFAULT_WEIGHTS


def strategy_signals(strategy: Any) -> score.Signals | None:
    """Return the thresholds of a strategy as it would use them now, None where it has none."""
    values = _parameters(strategy)
    if not {"threshold_buy", "threshold_sell"} <= values.keys():
        return None
    fade = values.get("direction") == "fade"
    return score.Signals(values["threshold_buy"], values["threshold_sell"], fade)


def _parameters(strategy: Any) -> dict[str, Any]:
    return {name: parameter.value for name, parameter in strategy.enumerate_parameters()}
