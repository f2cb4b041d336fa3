"""Backtests of a strategy with parameters that lie elsewhere, and what came of them."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.optimize.hyperopt_tools import HyperoptTools

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.loading import opened_backtesting


@dataclass(frozen=True)
class Performance:
    """The result of a backtest, in the words and with the formulas of freqtrade's report.

    :ivar returns: What the trades of each day made, as of :func:`daily_returns`.
    """

    trades: int
    profit_pct: float
    sharpe: float
    max_drawdown_pct: float
    returns: pd.Series = field(
        default_factory=lambda: pd.Series(dtype=float), compare=False, repr=False
    )


def backtest_performance(
    options: Mapping[str, Any], strategy_path: Path, timerange: str
) -> Performance:
    """Run a backtest as ``freqtrade backtesting`` does, without its report.

    :param strategy_path: Folder to take the strategy and its parameter file from.
    :raises OperationalException: If the backtest fails.
    """
    own = {"strategy_path": str(strategy_path), "timerange": timerange}
    unsaved = {"backtest_cache": "none", "export": "none"}
    config = setup_optimize_configuration({**options, **own, **unsaved}, RunMode.BACKTEST)
    with opened_backtesting(config) as backtesting, redirect_stdout(StringIO()):
        backtesting.start()
    stats = backtesting.results["strategy"][config["strategy"]]
    return Performance(
        trades=stats["total_trades"],
        profit_pct=100 * float(stats["profit_total"]),
        sharpe=float(stats["sharpe"]),
        max_drawdown_pct=100 * float(stats["max_drawdown_account"]),
        returns=daily_returns(stats),
    )


def daily_returns(stats: Mapping[str, Any]) -> pd.Series:
    """Return what the trades made that were closed on each day, as parts of the starting balance.

    freqtrade keeps no more of an epoch of hyperopt: what open trades gain and lose is not in it.

    :param stats: Of a backtest, or the ``results_metrics`` of an epoch.
    :return: By day, also those without a trade.
    """
    first, last = (
        pd.Timestamp(stats[f"backtest_{end}_ts"], unit="ms", tz="UTC").normalize()
        for end in ("start", "end")
    )
    # Without a trade there is no such list at all.
    profits = {pd.Timestamp(day, tz="UTC"): profit for day, profit in stats.get("daily_profit", ())}
    days = pd.Series(profits, dtype=float).reindex(pd.date_range(first, last), fill_value=0.0)
    return days / stats["starting_balance"]


def strategy_file(config: Mapping[str, Any]) -> Path:
    """Return the file of the configured strategy.

    :raises SettingsError: If the configuration names no strategy, or one that is nowhere.
    """
    name = config.get("strategy")
    if not name:
        raise SettingsError("strategy: must name the strategy's class, was missing")
    file: Path | None = HyperoptTools.get_strategy_filename(dict(config), name)
    if file is None:
        raise SettingsError(f"strategy: must be a class in the strategies folder, was {name!r}")
    return file


@contextmanager
def strategy_with_parameters(file: Path, parameters: Path) -> Iterator[Path]:
    """Give a temporary folder with a copy of the strategy that has these parameters.

    freqtrade reads a strategy's parameters from the file of its name beside it, and from nowhere
    else. What the strategy imports from its own folder is copied as well.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        for module in file.parent.glob("*.py"):
            shutil.copy(module, folder)
        shutil.copy(parameters, folder / file.with_suffix(".json").name)
        yield folder
