"""The trades of a finished backtest, and its equity against buying and holding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.data.btanalysis import (
    get_latest_backtest_filename,
    load_backtest_data,
    load_backtest_stats,
)

from freqai_lstm.exceptions import SkillError
from freqai_lstm.tools.predictions import PairPredictions


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
    :param pairs: The predictions of the backtest.
    :param file: freqtrade's result file; the newest one if omitted, and then only if it belongs
        to this identifier and timerange.
    :raises SkillError: If a given file cannot be read, or is of another identifier or timerange.
    """
    folder = Path(config["user_data_dir"]) / "backtest_results"
    try:
        path = file or folder / get_latest_backtest_filename(folder)
        stats = load_backtest_stats(path)
    except ValueError as error:
        if file is not None:
            raise SkillError(f"--backtest-result {file}: cannot be read: {error}") from error
        return f"Trades and equity are left out: {error}"
    strategy, result = next(iter(stats["strategy"].items()))
    wanted = (config["freqai"]["identifier"], config["timerange"])
    found = (result.get("freqai_identifier"), result.get("timerange"))
    if found != wanted:
        message = (
            f"{path} must be of identifier {wanted[0]!r} and timerange {wanted[1]!r}, "
            f"was of {found[0]!r} and {found[1]!r}"
        )
        if file is not None:
            raise SkillError(message)
        return f"Trades and equity are left out: {message}."
    return _trading_result(load_backtest_data(path, strategy), result, pairs)


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
    return TradingResult(
        trades=trades,
        equity=equity,
        held=held,
        figures={
            "trades": len(trades),
            "profit": float(result["profit_total"]),
            "max_drawdown": float(result["max_drawdown_account"]),
            "sharpe": float(result["sharpe"]),
            "daily_sharpe": daily_sharpe(equity, held.index),
            "exposure": float(exposure),
            "held_profit": float(held.iloc[-1] - 1),
            "held_max_drawdown": float((1 - held / held.cummax()).max()),
            "held_daily_sharpe": daily_sharpe(held, held.index),
        },
    )


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
