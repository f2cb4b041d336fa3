"""The command line of the confirmed search."""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from freqai_lstm.confirm.performance import (
    Performance,
    backtest_performance,
    strategy_file,
    strategy_with_parameters,
)
from freqai_lstm.confirm.search import search_parameters
from freqai_lstm.confirm.split import split_timerange
from freqai_lstm.confirm.verdict import verdict
from freqai_lstm.freqtrade_options import add_freqtrade_options, freqai_configuration
from freqai_lstm.tables import print_table

# By the names of freqtrade's code; all its commands take them.
_FREQTRADE_OPTIONS = ("config", "pairs", "datadir", "user_data_dir")
_COLUMNS = ("trades", "profit [%]", "Sharpe", "max drawdown [%]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``confirm``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Search parameters with freqtrade hyperopt on the first part of the timerange, then"
        " backtest the default and the found parameters on both parts. The strategy's own"
        " parameter file is left alone."
    )
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
    parser.set_defaults(run=run_confirm)


def run_confirm(args: argparse.Namespace) -> int:
    """Search, compare and print a table.

    :raises SettingsError: If the timerange cannot be split, or the strategy is nowhere.
    :raises OperationalException: If freqtrade fails, or finds nothing.
    """
    options = {name: value for name, value in vars(args).items() if name in _FREQTRADE_OPTIONS}
    config = freqai_configuration(options)
    parts = split_timerange(args.timerange, args.split, config["freqai"]["backtest_period_days"])
    strategy = strategy_file(config)
    parameters = search_parameters(config, list(_search_options(args, parts.search)))

    def performances(folder: Path) -> list[Performance]:
        return [
            backtest_performance(options, folder, timerange)
            for timerange in (parts.search, parts.confirm)
        ]

    default = performances(strategy.parent)
    with strategy_with_parameters(strategy, parameters) as folder:
        found = performances(folder)
    columns = [f"{part}\n{name}" for part in ("Search", "Confirm") for name in _COLUMNS]
    print_table(
        f"SEARCHED ON {parts.search}, CONFIRMED ON {parts.confirm}",
        ["Parameters", *columns],
        [_row("default", default), _row("found", found)],
    )
    print(verdict(default[0], found[0], default[1], found[1]))
    print(f"The found parameters are in {parameters}. The strategy takes them after")
    print(f"  {shlex.join(['cp', str(parameters), str(strategy.with_suffix('.json'))])}")
    return 0


def _search_options(args: argparse.Namespace, timerange: str) -> Iterator[str]:
    for path in args.config:
        yield from ("--config", path)
    if args.pairs:
        yield from ("--pairs", *args.pairs)
    if args.datadir:
        yield from ("--datadir", args.datadir)
    if args.user_data_dir:
        yield from ("--userdir", args.user_data_dir)
    yield from ("--timerange", timerange, "--epochs", str(args.epochs), "--spaces", *args.spaces)
    yield from ("--hyperopt-loss", args.hyperopt_loss, "--job-workers", str(args.job_workers))
    if args.random_state is not None:
        yield from ("--random-state", str(args.random_state))


def _row(name: str, performances: list[Performance]) -> list[Any]:
    row: list[Any] = [name]
    for performance in performances:
        row += [
            performance.trades,
            f"{performance.profit_pct:.2f}",
            f"{performance.sharpe:.2f}",
            f"{performance.max_drawdown_pct:.2f}",
        ]
    return row
