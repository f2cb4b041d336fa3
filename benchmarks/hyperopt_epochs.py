"""Compare a hyperopt epoch with that of a stock strategy with the same signals.

    python -m benchmarks.hyperopt_epochs [--epochs 20] [--memory-epochs 200]

Both strategies run on the synthetic market in one process, taking turns, epoch by epoch. The stock
strategy does no more than read the signals that this one gave with its default parameters. Then
this one alone runs more epochs over random weights, and the memory that the process holds is
printed.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
import numpy as np
import psutil
import torch
from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.configuration import setup_utils_configuration
from freqtrade.data.history import download_data_main
from freqtrade.enums import RunMode
from freqtrade.optimize.hyperopt import Hyperopt

from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.synthetic import SyntheticMarket
from freqai_lstm.score import WEIGHT_NAMES
from tests.replay_server import ReplayServer

ROOT = Path(__file__).parents[1]
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
TIMERANGE = "20230501-20230520"
SMALL: dict[str, Any] = {
    "exchange": {"pair_whitelist": PAIRS},
    "freqai": {
        "train_period_days": 20,
        "activate_tensorboard": False,
        "feature_parameters": {
            "include_timeframes": ["1h"],
            "include_corr_pairlist": [],
            "indicator_periods_candles": [10],
        },
        "model_training_parameters": {
            "model_kwargs": {"hidden_dim": 8, "num_lstm_layers": 1},
            "trainer_kwargs": {"n_epochs": 2, "progress_bar": False},
        },
    },
}
SIGNALS = [*("enter_long", "enter_short", "enter_tag"), *("exit_long", "exit_short", "exit_tag")]
STOCK = """
import pandas as pd
from freqtrade.strategy import IStrategy, RealParameter

class StockSignals(IStrategy):
    timeframe = "1h"
    can_short = True
    process_only_new_candles = True
    startup_candle_count = 300
    unused = RealParameter(0, 1, default=0.5, space="buy")

    def populate_indicators(self, dataframe, metadata):
        coin = metadata["pair"].split("/")[0]
        signals = pd.read_feather(f"{self.config['user_data_dir']}/{coin}.feather")
        return dataframe.merge(signals.add_prefix("given_").rename(columns={"given_date": "date"}),
                               on="date", how="left")

    def populate_entry_trend(self, dataframe, metadata):
        columns = ["enter_long", "enter_short", "enter_tag"]
        dataframe[columns] = dataframe[[f"given_{name}" for name in columns]]
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        columns = ["exit_long", "exit_short", "exit_tag"]
        dataframe[columns] = dataframe[[f"given_{name}" for name in columns]]
        return dataframe
"""
EXITS = (
    *("minimal_roi", "stoploss", "trailing_stop", "trailing_stop_positive"),
    *("trailing_stop_positive_offset", "trailing_only_offset_is_reached"),
)


def main() -> None:
    """Run both comparisons and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20, metavar="N")
    parser.add_argument("--memory-epochs", type=int, default=200, metavar="N")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder, replay_project(Path(folder)) as arguments:
        ours = prepared(arguments, "ours")
        save_signals(ours, Path(folder))
        stock = prepared(stock_arguments(ours, arguments, Path(folder)), "stock")
        compare(ours, stock, args.epochs)
        watch_memory(ours, args.memory_epochs)


@contextmanager
def replay_project(folder: Path) -> Iterator[dict[str, Any]]:
    """Give freqtrade's arguments for a folder with downloaded candles, while the exchange runs."""
    market = SyntheticMarket(
        0, start_ms=parse_day_ms("20230301"), end_ms=parse_day_ms("20230601"), pairs=PAIRS
    )
    with ReplayServer(market) as server:
        (folder / "small.json").write_text(json.dumps(SMALL))
        (folder / "exchange.json").write_text(json.dumps(exchange_overlay(server.url)))
        (folder / "user_data").mkdir()
        configs = (ROOT / "config-torch.json", folder / "small.json", folder / "exchange.json")
        arguments = {
            "config": [str(path) for path in configs],
            "user_data_dir": str(folder / "user_data"),
            "datadir": str(folder / "data"),
            "strategy_path": str(ROOT / "user_data" / "strategies"),
            "freqaimodel_path": str(ROOT / "user_data" / "freqaimodels"),
            "verbosity": 0,
        }
        (folder / "data").mkdir()
        download = {"timerange": "20230301-20230520", "timeframes": ["1h"], "pairs": PAIRS}
        download_data_main(setup_utils_configuration(arguments | download, RunMode.UTIL_EXCHANGE))
        yield arguments


def prepared(arguments: dict[str, Any], name: str) -> Any:
    """Return hyperopt's optimizer after the first pass, ready for epochs."""
    search = {
        "timerange": TIMERANGE,
        "epochs": 1,
        "spaces": ["buy"],
        "hyperopt_loss": "SharpeHyperOptLossDaily",
        "hyperopt_min_trades": 1,
    }
    hyperopt = Hyperopt(setup_optimize_configuration(arguments | search, RunMode.HYPEROPT))
    optimizer = hyperopt.hyperopter
    # Two of them share a process here.
    optimizer.data_pickle_file = optimizer.data_pickle_file.with_name(f"{name}.pkl")
    optimizer.prepare_hyperopt()
    return optimizer


def save_signals(ours: Any, folder: Path) -> None:
    """Save the signals of the default parameters, for the stock strategy to read."""
    for pair, frame in joblib.load(ours.data_pickle_file).items():
        signals = ours.backtesting.strategy.ft_advise_signals(frame, {"pair": pair})
        coin = pair.split("/")[0]
        signals[["date", *SIGNALS]].to_feather(folder / "user_data" / f"{coin}.feather")


def stock_arguments(ours: Any, arguments: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the arguments of the stock strategy, which leaves its trades as this one does."""
    (folder / "stock").mkdir()
    (folder / "stock" / "StockSignals.py").write_text(STOCK)
    strategy = ours.backtesting.strategy
    overlay = {name: getattr(strategy, name) for name in EXITS} | {"freqai": {"enabled": False}}
    (folder / "stock.json").write_text(json.dumps(overlay))
    own = {"strategy": "StockSignals", "strategy_path": str(folder / "stock")}
    return arguments | own | {"config": [*arguments["config"], str(folder / "stock.json")]}


def compare(ours: Any, stock: Any, epochs: int) -> None:
    """Time epochs of both in turns, after one of each to warm up."""
    default = {name: getattr(ours.backtesting.strategy, name).value for name in WEIGHT_NAMES}
    for name in ("threshold_buy", "direction"):
        default[name] = getattr(ours.backtesting.strategy, name).value
    seconds: dict[str, list[float]] = {"ours": [], "stock": []}
    trades: dict[str, int] = {}
    for _ in range(epochs + 1):
        for name, optimizer, parameters in (
            ("ours", ours, default),
            ("stock", stock, {"unused": 0.5}),
        ):
            begin = time.perf_counter()
            epoch = optimizer.generate_optimizer(dict(parameters))
            seconds[name].append(time.perf_counter() - begin)
            trades[name] = epoch["results_metrics"]["total_trades"]
    if trades["ours"] != trades["stock"]:
        raise SystemExit(f"The signals differ: {trades}")
    medians = {name: statistics.median(timed[1:]) for name, timed in seconds.items()}
    print(f"{epochs} epochs each, {len(PAIRS)} pairs, {TIMERANGE}, {trades['ours']} trades")
    print(f"this strategy   {medians['ours']:.3f} s an epoch (median)")
    print(f"stock strategy  {medians['stock']:.3f} s an epoch (median)")
    print(f"ratio           {medians['ours'] / medians['stock']:.2f}")


def watch_memory(ours: Any, epochs: int) -> None:
    """Run epochs over random weights, and print the resident memory along the way."""
    random = np.random.default_rng(0)
    process = psutil.Process()
    for number in range(epochs + 1):
        if number % max(epochs // 10, 1) == 0:
            print(f"{number:4d} epochs  {process.memory_info().rss / 2**20:.0f} MiB", flush=True)
        weights = dict(zip(WEIGHT_NAMES, random.random(len(WEIGHT_NAMES)).tolist(), strict=True))
        ours.generate_optimizer(weights | {"threshold_buy": 0.6, "direction": "follow"})


if __name__ == "__main__":
    main()
