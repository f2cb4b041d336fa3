"""Gathers all that a report says of a finished backtest: forecasts, trades, trainings."""

import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from freqtrade.data import btanalysis

from freqai_lstm.bridge.folders import identifier_folder, model_file
from freqai_lstm.exceptions import SkillError
from freqai_lstm.model.training import TrainingHistory
from freqai_lstm.score import Signals
from freqai_lstm.tools.predictions import (
    PairPredictions,
    load_predictions,
    strategy_signals,
    training_stamps,
)
from freqai_lstm.tools.report.figures import (
    OverallFigures,
    PairFigures,
    overall_figures,
    pair_figures,
)
from freqai_lstm.tools.report.verdicts import (
    Verdict,
    overall_verdicts,
    pair_verdicts,
    tuning_verdicts,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TradingResult:
    """What a backtest traded; fractions, in freqtrade's words.

    ``equity`` is the account after each closed trade, ``held`` the same money spread evenly over
    the pairs at the first candle; both start at 1. ``exposure`` is the share of pair-candles in a
    trade.
    """

    trades: pd.DataFrame
    equity: pd.Series
    held: pd.Series
    figures: Mapping[str, float]


def load_trades(
    config: Mapping[str, Any], pairs: Sequence[PairPredictions], file: Path | None = None
) -> TradingResult | str:
    """Return what the backtest traded, or a sentence on why that is not known.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :param file: freqtrade's result file; the newest one if omitted, and then only if it belongs
        to this identifier and timerange.
    :raises SkillError: If a given file cannot be read, or is of another identifier or timerange.
    """
    folder = Path(config["user_data_dir"]) / "backtest_results"
    try:
        path = file or folder / btanalysis.get_latest_backtest_filename(folder)
        stats = btanalysis.load_backtest_stats(path)
    except ValueError as error:
        if file is not None:
            raise SkillError(f"--backtest-result {file}: cannot be read: {error}") from error
        return f"Trades and equity are left out: {error}"
    strategy, result = next(iter(stats["strategy"].items()))
    wanted = (config["freqai"]["identifier"], config["timerange"])
    found = (result.get("freqai_identifier"), result.get("timerange"))
    if found != wanted:
        problem = (
            f"{path} must be of identifier {wanted[0]!r} and timerange {wanted[1]!r}, "
            f"was of {found[0]!r} and {found[1]!r}"
        )
        if file is not None:
            raise SkillError(problem)
        return f"Trades and equity are left out: {problem}."
    return _trading_result(btanalysis.load_backtest_data(path, strategy), result, pairs)


def _trading_result(
    trades: pd.DataFrame, result: Mapping[str, Any], pairs: Sequence[PairPredictions]
) -> TradingResult:
    closes = pd.DataFrame({pair.pair: pair.candles["close"] for pair in pairs}).ffill()
    held = (closes / closes.bfill().iloc[0]).mean(axis="columns")
    start = pd.Series([1.0], index=closes.index[:1])
    if len(trades):
        profit = trades.groupby("close_date")["profit_abs"].sum().cumsum()
        equity = pd.concat([start, 1 + profit / result["starting_balance"]])
        held_for = pd.Timedelta((trades["close_date"] - trades["open_date"]).sum())
        exposure = held_for / ((closes.index[-1] - closes.index[0]) * len(pairs))
    else:
        equity, exposure = start, 0.0
    figures = {
        "trades": len(trades),
        "profit": float(result["profit_total"]),
        "max_drawdown": float(result["max_drawdown_account"]),
        "sharpe": float(result["sharpe"]),
        "daily_sharpe": daily_sharpe(equity, held.index),
        "exposure": float(exposure),
        "held_profit": float(held.iloc[-1] - 1),
        "held_max_drawdown": float((1 - held / held.cummax()).max()),
        "held_daily_sharpe": daily_sharpe(held, held.index),
    }
    return TradingResult(trades, equity, held, figures)


def daily_sharpe(equity: pd.Series, candles: pd.Index) -> float:
    """Return mean over standard deviation of the days' returns, for a year; NaN without trades.

    :param equity: The account, by time.
    :param candles: Opening times of all candles, since an idle day counts as well.
    """
    days = pd.DatetimeIndex(candles).floor("D").unique()
    closed_on = pd.DatetimeIndex(equity.index).floor("D")
    closing = equity.groupby(closed_on).last().reindex(days).ffill()
    returns = closing.pct_change().dropna()
    deviation = returns.std()
    return float(returns.mean() / deviation * 365**0.5) if deviation > 0 else float("nan")


@dataclass(frozen=True)
class TrainingCurve:
    """The losses of one training, epoch by epoch; mean squared errors of scaled labels."""

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
