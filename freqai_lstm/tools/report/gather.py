"""Gathers all that a report says of a finished backtest: trades, forecasts, trainings."""

import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from freqtrade.configuration import TimeRange

from freqai_lstm.bridge.folders import identifier_folder, model_file
from freqai_lstm.model.training import TrainingHistory
from freqai_lstm.score import Signals
from freqai_lstm.tools.predictions import (
    PairPredictions,
    Predictions,
    asked_for,
    load_predictions,
    strategy_signals,
    strategy_weights,
    training_stamps,
)
from freqai_lstm.tools.report import verdicts
from freqai_lstm.tools.report.classes import (
    ClassFigures,
    OverallClassFigures,
    class_figures,
    overall_class_figures,
)
from freqai_lstm.tools.report.figures import (
    OverallFigures,
    PairFigures,
    overall_figures,
    pair_figures,
)
from freqai_lstm.tools.report.money import TradingResult, load_trades
from freqai_lstm.tools.report.returns import ReturnFigures, return_figures, return_verdict
from freqai_lstm.tools.report.verdicts import Verdict
from freqai_lstm.tools.skill import Skill, pair_skill
from freqai_lstm.tools.truths import SCORE, Truths

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingCurve:
    """The losses of one training, epoch by epoch: mean squared errors of scaled labels, or of
    classes cross-entropies.
    """

    window: int
    train_loss: list[float]
    test_loss: list[float]

    @property
    def epochs(self) -> int:
        """How many epochs it ran."""
        return len(self.train_loss)

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest test loss, counted from 1; of the training loss without."""
        losses = self.test_loss or self.train_loss
        return losses.index(min(losses)) + 1 if losses else 0


@dataclass(frozen=True)
class PairReport:
    """What is known of one label of one pair."""

    predictions: PairPredictions
    figures: PairFigures | ClassFigures
    verdicts: Sequence[Verdict]


@dataclass(frozen=True)
class LabelReport:
    """What is known of a label that a trader asks about.

    ``returns`` is what is known of a return, None of another label.
    """

    label: str
    horizon: int
    classes: Sequence[str]
    overall: OverallFigures | OverallClassFigures
    returns: ReturnFigures | None
    verdicts: Sequence[Verdict]
    pairs: Sequence[PairReport]


@dataclass(frozen=True)
class BacktestReport:
    """What is known of a finished backtest.

    ``components`` are the skills of the labels that a score is composed of. ``trading`` is a
    sentence where the trades are not known. ``weights`` are those of the score, ``signals`` the
    thresholds on it, None where the strategy has none.
    """

    identifier: str
    timerange: str
    timeframe: str
    strategy: str
    model: str | None
    weights: Sequence[float] | None
    signals: Signals | None
    verdicts: Sequence[Verdict]
    trading: TradingResult | str
    labels: Sequence[LabelReport]
    components: Mapping[str, Sequence[Skill]]
    curves: Mapping[str, Sequence[TrainingCurve]]
    missing_pairs: Sequence[str]


def gather_report(
    config: Mapping[str, Any], result_file: Path | None = None, ridge: str | None = None
) -> BacktestReport:
    """Return the report of a finished backtest.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :param result_file: freqtrade's result of it; the newest that matches if omitted.
    :param ridge: The ``identifier`` of the same backtest with ridge regression, if there is one.
    :raises SkillError: If the backtest left no predictions, or the given result is of another one.
    """
    truths = Truths()
    predictions = load_predictions(config, truths)
    linear: Predictions = {}
    if ridge is not None:
        linear = load_predictions(
            dict(config, freqai=config["freqai"] | {"identifier": ridge}), truths
        )
    strategy = truths.strategy(config)
    asked = asked_for(predictions)
    signals = strategy_signals(strategy) if SCORE in predictions else None
    pairs = {pair.pair: pair for pair in predictions[asked[0]]}
    trading = load_trades(
        config, {name: _traded(config, pair) for name, pair in pairs.items()}, result_file
    )
    expected = {name: _expected_windows(config, pair) for name, pair in pairs.items()}
    return BacktestReport(
        identifier=config["freqai"]["identifier"],
        timerange=config["timerange"],
        timeframe=config["timeframe"],
        strategy=config["strategy"],
        model=config.get("freqaimodel"),
        weights=strategy_weights(strategy) if SCORE in predictions else None,
        signals=signals,
        verdicts=[
            *verdicts.tuning_verdicts(config["freqai"].get("tuned_on"), config["timerange"]),
            *(verdicts.money_verdicts(trading) if isinstance(trading, TradingResult) else ()),
        ],
        trading=trading,
        labels=[
            _label_report(label, predictions[label], linear.get(label, ()), signals, expected)
            for label in asked
        ],
        components={
            label: [pair_skill(pair) for pair in of_label]
            for label, of_label in predictions.items()
            if label not in asked
        },
        curves={name: training_curves(config, name, pair.windows) for name, pair in pairs.items()},
        missing_pairs=[pair for pair in config["exchange"]["pair_whitelist"] if pair not in pairs],
    )


def _label_report(
    label: str,
    pairs: Sequence[PairPredictions],
    ridge: Sequence[PairPredictions],
    signals: Signals | None,
    expected_windows: Mapping[str, int],
) -> LabelReport:
    horizon, classes = max(pair.horizon for pair in pairs), pairs[0].classes
    overall: OverallFigures | OverallClassFigures
    figures: Sequence[PairFigures | ClassFigures]
    returns = return_figures(pairs, ridge)
    if classes:
        overall, figures = overall_class_figures(pairs), [*map(class_figures, pairs)]
        judged = verdicts.class_verdicts(overall, label, len(pairs))
    else:
        numbers = [pair_figures(pair, signals) for pair in pairs]
        overall, figures = overall_figures(pairs), numbers
        judged = verdicts.overall_verdicts(overall, numbers, label, horizon)
        if returns:
            judged.append(return_verdict(returns.judged, label))
    return LabelReport(
        label,
        horizon,
        classes,
        overall,
        returns,
        judged,
        [
            PairReport(
                pair,
                of_pair,
                verdicts.pair_verdicts(of_pair, label, horizon, expected_windows[pair.pair]),
            )
            for pair, of_pair in zip(pairs, figures, strict=True)
        ],
    )


def _traded(config: Mapping[str, Any], pair: PairPredictions) -> pd.Series:
    """Return the closes of the timerange; the candle at its end is predicted, and not traded."""
    stop = TimeRange.parse_timerange(config["timerange"]).stopdt
    closes = pair.candles["close"]
    return closes[closes.index < stop] if stop else closes


def _expected_windows(config: Mapping[str, Any], pair: PairPredictions) -> int:
    """Return how many training windows of the timerange end where the pair has candles."""
    first, last = (pair.closes.index[position].timestamp() for position in (0, -1))
    return sum(first <= stamp <= last for stamp in training_stamps(config))


def training_curves(
    config: Mapping[str, Any], pair: str, windows: tuple[int, ...]
) -> list[TrainingCurve]:
    """Return the curves of the models that were kept and are of this package, oldest first.

    A backtest keeps them unless ``freqai.save_backtest_models`` is false.
    """
    unreadable = (pickle.UnpicklingError, AttributeError, ImportError, RuntimeError, EOFError)
    curves = []
    for window in windows:
        file = model_file(identifier_folder(config), pair, window)
        if not file.is_file():
            continue
        try:
            # As FreqAI loads it; the network's weights are of no use here.
            checkpoint = torch.load(file, map_location="cpu", weights_only=False)
        except unreadable as error:
            logger.warning(f"{file}: its training curve is left out, cannot be read: {error}")
            continue
        history = getattr(checkpoint.get("pytrainer"), "history", None)
        if isinstance(history, TrainingHistory):
            curves.append(TrainingCurve(window, [*history.train_loss], [*history.test_loss]))
    return curves
