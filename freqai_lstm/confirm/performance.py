"""What a strategy earned in one of freqtrade's backtests."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.optimize.hyperopt_tools import HyperoptTools

from freqai_lstm.exceptions import SettingsError


@dataclass(frozen=True)
class Performance:
    """The result of a backtest, in the words and with the formulas of freqtrade's report."""

    trades: int
    profit_pct: float
    sharpe: float
    max_drawdown_pct: float


def backtest_performance(
    options: Mapping[str, Any], strategy_path: Path, timerange: str
) -> Performance:
    """Run a backtest as ``freqtrade backtesting`` does, without its report.

    :param options: freqtrade's command line options by their names in its code.
    :param strategy_path: Folder to take the strategy and its parameter file from.
    :param timerange: What to test on.
    :raises OperationalException: If the backtest fails.
    """
    own = {"strategy_path": str(strategy_path), "timerange": timerange}
    unsaved = {"backtest_cache": "none", "export": "none"}
    config = setup_optimize_configuration({**options, **own, **unsaved}, RunMode.BACKTEST)
    backtesting = Backtesting(config)
    try:
        with redirect_stdout(StringIO()):
            backtesting.start()
    finally:
        backtesting.exchange.close()
    stats = backtesting.results["strategy"][config["strategy"]]
    return Performance(
        trades=stats["total_trades"],
        profit_pct=100 * stats["profit_total"],
        sharpe=stats["sharpe"],
        max_drawdown_pct=100 * stats["max_drawdown_account"],
    )


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
def strategy_with_parameters(strategy: Path, parameters: Path) -> Iterator[Path]:
    """Give a temporary folder with a copy of the strategy that has these parameters.

    freqtrade reads a strategy's parameters from the file of its name beside it, and from nowhere
    else. What the strategy imports from its own folder is copied as well.

    :param strategy: The strategy's file.
    :param parameters: A parameter file.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        for module in strategy.parent.glob("*.py"):
            shutil.copy(module, folder)
        shutil.copy(parameters, folder / strategy.with_suffix(".json").name)
        yield folder
