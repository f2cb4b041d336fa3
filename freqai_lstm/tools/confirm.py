"""Search parameters with freqtrade hyperopt on the first part of the timerange, judge on the rest.

Backtests the default and the found parameters on both parts. The strategy's own parameter file is
left alone.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import astuple, dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.exceptions import OperationalException
from freqtrade.optimize.hyperopt_tools import HyperoptTools

from freqai_lstm.bridge.internals import own_parameters
from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.tools.candles import split_timerange
from freqai_lstm.tools.command import (
    BOT_OPTIONS,
    add_cache_option,
    add_freqtrade_options,
    bot_arguments,
    freqai_configuration,
    print_table,
)
from freqai_lstm.tools.features import open_store
from freqai_lstm.tools.loading import load_walk_forward, opened_backtesting
from freqai_lstm.tools.pretrain import pool_for, pretrain

_COLUMNS = ("trades", "profit [%]", "Sharpe", "max drawdown [%]")
# Of fewer trades, a few lucky ones decide.
_FEW_TRADES = 30


@dataclass(frozen=True)
class Performance:
    """The result of a backtest, in the words and with the formulas of freqtrade's report."""

    trades: int
    profit_pct: float
    sharpe: float
    max_drawdown_pct: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_freqtrade_options(parser)
    parser.add_argument(
        "--split",
        type=float,
        default=0.67,
        metavar="SHARE",
        help="part of the timerange to search on, moved to the nearest retraining (%(default)s)",
    )
    search = parser.add_argument_group("search", "Passed on to freqtrade hyperopt.")
    search.add_argument("-e", "--epochs", type=int, default=100, metavar="N", help="(%(default)s)")
    search.add_argument(
        "--spaces", nargs="+", default=["buy", "sell"], metavar="SPACE", help="(buy sell)"
    )
    search.add_argument(
        "--hyperopt-loss", default="SharpeHyperOptLossDaily", metavar="NAME", help="(%(default)s)"
    )
    search.add_argument("-j", "--job-workers", type=int, default=1, metavar="N", help="(1)")
    search.add_argument("--random-state", type=int, metavar="N")
    add_cache_option(parser)
    parser.set_defaults(run=run_confirm)


def run_confirm(args: argparse.Namespace) -> int:
    """Search, compare and print a table.

    :raises SettingsError: If the timerange cannot be split, or the strategy is nowhere.
    :raises OperationalException: If freqtrade fails, or finds nothing.
    """
    options = {name: value for name, value in vars(args).items() if name in BOT_OPTIONS}
    config = freqai_configuration(options)
    parts = split_timerange(args.timerange, args.split, config["freqai"]["backtest_period_days"])
    file = strategy_file(config)
    _check_spaces(config, args.spaces)
    _train_ahead(options | {"timerange": args.timerange}, args.job_workers, is_kept=args.cache)
    parameters = search_parameters(config, list(_search_options(args, parts.search)))

    def performances(folder: Path) -> list[Performance]:
        ranges = (parts.search, parts.confirm)
        return [backtest_performance(options, folder, timerange) for timerange in ranges]

    default = performances(file.parent)
    with strategy_with_parameters(file, parameters) as folder:
        found = performances(folder)
    columns = [f"{part}\n{name}" for part in ("Search", "Confirm") for name in _COLUMNS]
    print_table(
        f"SEARCHED ON {parts.search}, CONFIRMED ON {parts.confirm}",
        ["Parameters", *columns],
        [_row("default", default), _row("found", found)],
    )
    print(verdict(default[0], found[0], default[1], found[1]))
    print(f"The found parameters are in {parameters}. The strategy takes them after")
    print(f"  {shlex.join(['cp', str(parameters), str(file.with_suffix('.json'))])}")
    return 0


def _train_ahead(options: Mapping[str, Any], jobs: int, *, is_kept: bool) -> None:
    """Train the models of both parts in parallel; search and backtests find their predictions.

    What fails, or is of another package, is left to freqtrade.
    """
    loaded = load_walk_forward(options)
    if isinstance(loaded.strategy.freqai, LSTMRegressor):
        with (
            pool_for(loaded, jobs, None) as pool,
            open_store(loaded.config, is_kept=is_kept) as store,
        ):
            pretrain(loaded, pool, store)


def _check_spaces(config: Mapping[str, Any], spaces: Sequence[str]) -> None:
    """Refuse a search of parameters that the strategy does not have.

    :raises SettingsError: If it has none in one of the spaces.
    """
    own = {
        parameter.space for parameter in own_parameters(load_labelling_strategy(config)).values()
    }
    known = {*own, "roi", "stoploss", "trailing", "trades", "all", "default"}
    if unknown := sorted(set(spaces) - known):
        found = f"has parameters in {', '.join(sorted(map(str, own)))}" if own else "has none"
        raise SettingsError(
            f"--spaces: must be spaces that the strategy has parameters in, or of freqtrade's own "
            f"(roi, stoploss, trailing, trades), {config['strategy']} {found}, was "
            f"{', '.join(unknown)}"
        )


def _search_options(args: argparse.Namespace, timerange: str) -> Iterator[str]:
    yield from bot_arguments(args)
    yield from ("--timerange", timerange, "--epochs", str(args.epochs), "--spaces", *args.spaces)
    yield from ("--hyperopt-loss", args.hyperopt_loss, "--job-workers", str(args.job_workers))
    if args.random_state is not None:
        yield from ("--random-state", str(args.random_state))


def _row(name: str, performances: list[Performance]) -> list[Any]:
    figures = [figure for performance in performances for figure in astuple(performance)]
    return [name, *(f"{one:.2f}" if isinstance(one, float) else one for one in figures)]


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


def search_parameters(config: Mapping[str, Any], options: Sequence[str]) -> Path:
    """Run hyperopt, and write its best epoch's parameters into a file.

    Nothing is written into the strategy's folder.

    :param config: freqtrade's configuration, for its strategy and user directory.
    :param options: What follows ``freqtrade hyperopt`` on a command line.
    :return: A parameter file, beside hyperopt's own file of all epochs.
    :raises OperationalException: If hyperopt fails, or no epoch was any good.
    """
    folder = Path(config["user_data_dir"]) / "hyperopt_results"
    before = set(folder.glob("*.fthypt"))
    command = [sys.executable, "-m", "freqtrade", "hyperopt", *options, "--disable-param-export"]
    if exit_code := subprocess.run(command, check=False).returncode:
        raise OperationalException(
            f"freqtrade hyperopt must succeed, had exit code {exit_code}. Its messages are above."
        )
    written = set(folder.glob("*.fthypt")) - before
    only_best = {"hyperopt_list_best": True}
    found = [HyperoptTools.load_filtered_results(file, only_best)[0] for file in written]
    best = [epoch for epochs in found for epoch in epochs]
    if not best:
        raise OperationalException(
            "freqtrade hyperopt must find an epoch with trades, found none. Its messages are above."
        )
    parameter_file = written.pop().with_suffix(".json")
    HyperoptTools.export_params(best[-1], config["strategy"], parameter_file)
    return parameter_file


def verdict(
    default_search: Performance,
    found_search: Performance,
    default_confirm: Performance,
    found_confirm: Performance,
) -> str:
    """Compare the found parameters with the default ones.

    One is better than the other if both its profit and its Sharpe ratio are higher.

    :return: A sentence, and more where nothing was earned or there were few trades to judge by.
    """
    compared = (
        f"profit {found_confirm.profit_pct:.2f} % against {default_confirm.profit_pct:.2f} %, "
        f"Sharpe {found_confirm.sharpe:.2f} against {default_confirm.sharpe:.2f}"
    )
    if not _better(found_search, default_search):
        sentence = (
            "The search found nothing better than the default parameters even on its own range: "
            "search longer, or keep the defaults."
        )
    elif _better(found_confirm, default_confirm):
        sentence = (
            f"What was found held up: on the confirm range it is better than the default "
            f"({compared})."
        )
    else:
        sentence = (
            f"What was found did not hold up: on the confirm range it is no better than the "
            f"default ({compared}), so it is likely overfitted to the search range."
        )
    if found_confirm.profit_pct <= 0:
        sentence += " It does not earn anything there."
    fewest = min(default_confirm.trades, found_confirm.trades)
    if fewest < _FEW_TRADES:
        sentence += (
            f" With {fewest} trades on the confirm range this says little: take a longer timerange "
            f"or more pairs."
        )
    return sentence


def _better(one: Performance, other: Performance) -> bool:
    return one.profit_pct > other.profit_pct and one.sharpe > other.sharpe
