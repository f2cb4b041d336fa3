"""Gathers all that a report says of a finished backtest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freqai_lstm.report.figures import (
    OverallFigures,
    PairFigures,
    overall_figures,
    pair_figures,
)
from freqai_lstm.report.predictions import PairPredictions, load_predictions, training_stamps
from freqai_lstm.report.thresholds import Signals, strategy_signals
from freqai_lstm.report.trades import TradingResult, load_trades
from freqai_lstm.report.training import TrainingCurve, training_curves
from freqai_lstm.report.verdicts import (
    Verdict,
    overall_verdicts,
    pair_verdicts,
    tuning_verdicts,
)


@dataclass(frozen=True)
class PairReport:
    """What is known of one pair."""

    predictions: PairPredictions
    figures: PairFigures
    verdicts: Sequence[Verdict]
    curves: Sequence[TrainingCurve]


@dataclass(frozen=True)
class BacktestReport:
    """What is known of a finished backtest.

    ``trading`` is a sentence where the trades are not known.
    """

    identifier: str
    timerange: str
    timeframe: str
    strategy: str | None
    model: str | None
    horizon: int
    weights: Sequence[float]
    signals: Signals | None
    overall: OverallFigures
    verdicts: Sequence[Verdict]
    pairs: Sequence[PairReport]
    missing_pairs: Sequence[str]
    trading: TradingResult | str


def gather_report(config: Mapping[str, Any], result_file: Path | None = None) -> BacktestReport:
    """Return the report of a finished backtest.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :param result_file: freqtrade's result of it; the newest if omitted.
    :raises SkillError: If the backtest left no predictions, or the given result is of another one.
    """
    weights, signals = strategy_signals(config)
    predictions = load_predictions(config, weights)
    horizon = predictions[0].horizon
    figures = [pair_figures(pair, signals) for pair in predictions]
    overall = overall_figures(predictions)
    known = {pair.pair for pair in predictions}
    return BacktestReport(
        identifier=config["freqai"]["identifier"],
        timerange=config["timerange"],
        timeframe=config["timeframe"],
        strategy=config.get("strategy"),
        model=config.get("freqaimodel"),
        horizon=horizon,
        weights=weights,
        signals=signals,
        overall=overall,
        verdicts=[
            *tuning_verdicts(config["freqai"].get("tuned_on"), config["timerange"]),
            *overall_verdicts(overall, figures, horizon),
        ],
        pairs=[
            PairReport(
                predictions=pair,
                figures=of_pair,
                verdicts=pair_verdicts(of_pair, horizon, _expected_windows(config, pair)),
                curves=training_curves(config, pair.pair, pair.windows),
            )
            for pair, of_pair in zip(predictions, figures, strict=True)
        ],
        missing_pairs=[pair for pair in config["exchange"]["pair_whitelist"] if pair not in known],
        trading=load_trades(config, predictions, result_file),
    )


def _expected_windows(config: Mapping[str, Any], pair: PairPredictions) -> int:
    """Return how many training windows of the timerange end where the pair has candles."""
    first, last = (pair.closes.index[position].timestamp() for position in (0, -1))
    return sum(first <= stamp <= last for stamp in training_stamps(config))
