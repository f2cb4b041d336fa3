"""Search parameters with freqtrade hyperopt on the first part of the timerange, judge on the rest.

Backtests the default and the found parameters on both parts. With --folds the rest is judged part
by part, each after a search on all that comes before it. The strategy's own parameter file is left
alone.
"""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from freqtrade.exchange import timeframe_to_seconds

from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.tools.candles import SplitTimerange, split_timerange
from freqai_lstm.tools.command import (
    BOT_OPTIONS,
    add_cache_option,
    add_freqtrade_options,
    bot_arguments,
    freqai_configuration,
    positive,
    print_table,
)
from freqai_lstm.tools.confirm.backtests import (
    Performance,
    backtest_performance,
    strategy_file,
    strategy_with_parameters,
)
from freqai_lstm.tools.confirm.folds import HEADERS, NOTE, Fold, chance_sentence, fold_rows
from freqai_lstm.tools.confirm.search import check_spaces, search_parameters
from freqai_lstm.tools.confirm.verdict import verdict
from freqai_lstm.tools.features import open_store
from freqai_lstm.tools.loading import load_walk_forward
from freqai_lstm.tools.pretrain import pool_for, pretrain

_COLUMNS = ("trades", "profit [%]", "Sharpe", "max drawdown [%]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_freqtrade_options(parser)
    parser.add_argument(
        "--split",
        type=float,
        default=0.67,
        metavar="SHARE",
        help="part of the timerange to search on, moved to the nearest retraining (%(default)s)",
    )
    parser.add_argument(
        "--folds",
        type=positive,
        default=1,
        metavar="N",
        help="confirm on the rest in so many parts, each after a search on all before (1)",
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
    """Search, compare and print a table for each fold, and one for all of several.

    :raises SettingsError: If the timerange cannot be split, or the strategy is nowhere.
    :raises OperationalException: If freqtrade fails, or finds nothing.
    """
    options = {name: value for name, value in vars(args).items() if name in BOT_OPTIONS}
    config = freqai_configuration(options)
    candles = config["freqai"]["feature_parameters"].get("label_period_candles", 0)
    splits = split_timerange(
        args.timerange,
        args.split,
        config["freqai"]["backtest_period_days"],
        folds=args.folds,
        gap_seconds=candles * timeframe_to_seconds(config["timeframe"]),
    )
    file = strategy_file(config)
    check_spaces(config, args.spaces)
    _train_ahead(options | {"timerange": args.timerange}, args.job_workers, is_kept=args.cache)
    folds = [_confirm(args, config, options, file, parts) for parts in splits]
    if len(folds) > 1:
        print_table(f"WALKED FORWARD OVER {args.timerange}", HEADERS, fold_rows(folds))
        print(NOTE)
        print(chance_sentence(folds))
    parameters = folds[-1].parameters
    print(f"The found parameters are in {parameters}. The strategy takes them after")
    print(f"  {shlex.join(['cp', str(parameters), str(file.with_suffix('.json'))])}")
    return 0


def _confirm(
    args: argparse.Namespace,
    config: Mapping[str, Any],
    options: Mapping[str, Any],
    file: Path,
    parts: SplitTimerange,
) -> Fold:
    """Search on one part, judge on the other, and tell what came of it."""
    found = search_parameters(config, list(_search_options(args, parts.search)))

    def performances(folder: Path) -> list[Performance]:
        ranges = (parts.search, parts.confirm)
        return [backtest_performance(options, folder, timerange) for timerange in ranges]

    default = performances(file.parent)
    with strategy_with_parameters(file, found.parameters) as folder:
        confirmed = performances(folder)
    columns = [f"{part}\n{name}" for part in ("Search", "Confirm") for name in _COLUMNS]
    print_table(
        f"SEARCHED ON {parts.search}, CONFIRMED ON {parts.confirm}",
        ["Parameters", *columns],
        [_row("default", default), _row("found", confirmed)],
    )
    print(verdict(default[0], confirmed[0], default[1], confirmed[1]))
    print(*found.luck.sentences("epoch", "day"), sep="\n")
    return Fold(parts, found.parameters, found.luck, default[1], confirmed[1])


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


def _search_options(args: argparse.Namespace, timerange: str) -> Iterator[str]:
    yield from bot_arguments(args)
    yield from ("--timerange", timerange, "--epochs", str(args.epochs), "--spaces", *args.spaces)
    yield from ("--hyperopt-loss", args.hyperopt_loss, "--job-workers", str(args.job_workers))
    if args.random_state is not None:
        yield from ("--random-state", str(args.random_state))


def _row(name: str, performances: list[Performance]) -> list[Any]:
    cells = [name]
    for each in performances:
        figures = (each.profit_pct, each.sharpe, each.max_drawdown_pct)
        cells += [str(each.trades), *(f"{figure:.2f}" for figure in figures)]
    return cells
