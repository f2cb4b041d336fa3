"""What a walk-forward costs beside its trainings, and what warm starts save of these.

    python -m benchmarks.walk [--jobs 2] [--datadir user_data/data/binance] [--pairs ...]
        [--parts cold cold-jobs warm warm-jobs seeds]

Trains the models of ``config-torch.json`` over the same candles in five ways, one after the other:
as FreqAI does, from scratch and one by one; from scratch in several processes; from the model
before (``continual_learning``), in one process and in several. Several processes must predict the
same as one, to the last bit. Then a walk with another seed: what it takes beside the bare training
and prediction of its networks. Without ``--datadir``, the candles are those of the synthetic
market, of 2024-01-01 to 2024-04-01.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
from freqtrade.configuration import setup_utils_configuration
from freqtrade.data.history import download_data_main
from freqtrade.enums import RunMode

from benchmarks.picture import generations_picture
from freqai_lstm.bridge.kitchen import plan_windows
from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.market import TradingMode
from freqai_lstm.replay.recorded import RecordedMarket
from freqai_lstm.replay.synthetic import SyntheticMarket
from freqai_lstm.tools.command import print_table
from freqai_lstm.tools.features import open_store
from freqai_lstm.tools.loading import WalkForward, load_walk_forward
from freqai_lstm.tools.pool import be_quiet
from freqai_lstm.tools.predictions import load_predictions
from freqai_lstm.tools.pretrain import pool_for, pretrain
from freqai_lstm.tools.statistics import correlation
from freqai_lstm.tools.walk import pack_project, walk
from freqai_lstm.trainer import PyTorchLSTMTrainer
from tests.replay_server import ReplayServer

ROOT = Path(__file__).parents[1]
COINS = ("BTC", "ETH", "LTC", "XRP", "ADA")
PARTS = ("cold", "cold-jobs", "warm", "warm-jobs", "seeds")
HEADERS = (
    "way",
    "seconds",
    "to the first",
    "core seconds",
    "a training [s]",
    "correlation",
    "worst pair, less",
)
SEED_HEADERS = ("pair", "trainings", "walk [s]", "bare [s]", "ratio")


def main() -> None:
    """Walk in all ways and print their times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--timerange", default="20240101-20240401", metavar="YYYYMMDD-YYYYMMDD")
    parser.add_argument("--pairs", nargs="+", default=[f"{coin}/USDT:USDT" for coin in COINS])
    parser.add_argument("--config", action="append", default=[], metavar="PATH")
    parser.add_argument("--datadir", type=Path, metavar="DIR")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--plot", type=Path, metavar="SVG", help="skill, generation by generation")
    args = parser.parse_args()
    be_quiet()
    with TemporaryDirectory() as folder, project(Path(folder), args) as options:
        bench = Bench(Path(folder), options)
        print_table(f"WALKS OVER {args.timerange}", HEADERS, bench.ways(args.jobs, args.parts))
        if args.plot:
            args.plot.write_text(generations_picture(bench.generations), encoding="utf-8")
        if "seeds" in args.parts:
            print_table("A SECOND SEED", SEED_HEADERS, bench.second_seeds(args.pairs[:2]))


class Bench:
    """Walks in one folder, each under an identifier of its own."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self.folder, self.options = folder, options
        self.generations: dict[str, list[float]] = {}

    def ways(self, jobs: int, parts: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Walk in each of the ways that are asked for, and give the rows of the table."""
        known: dict[str, tuple[str, bool, Callable[[WalkForward], object]]] = {
            "cold": ("from scratch, one by one", False, one_by_one),
            "cold-jobs": (f"from scratch, {jobs} jobs", False, partial(in_processes, jobs=jobs)),
            "warm": ("warm, 1 job", True, partial(in_processes, jobs=1)),
            "warm-jobs": (f"warm, {jobs} jobs", True, partial(in_processes, jobs=jobs)),
        }
        first: tuple[float, dict[str, float]] | None = None
        predicted: dict[bool, dict[str, bytes]] = {}
        for name, is_warm, run in (way for part, way in known.items() if part in parts):
            loaded = self.load(name.replace(" ", "-").replace(",", ""), is_warm)
            begin, before = time.perf_counter(), core_seconds()
            run(loaded)
            seconds, cores = time.perf_counter() - begin, core_seconds() - before
            if predicted.setdefault(is_warm, predictions(loaded)) != predictions(loaded):
                raise SystemExit(f"{name}: the predictions differ")
            skill = correlations(loaded)
            kind = "from the model before" if is_warm else "from scratch"
            self.generations[kind] = by_generation(loaded)
            first = first or (seconds, skill)
            trainings = len(predicted[is_warm])
            yield (
                name,
                f"{seconds:.1f}",
                f"{seconds / first[0]:.3f}",
                f"{cores:.1f}",
                f"{cores / trainings:.2f}",
                f"{np.mean([*skill.values()]):.4f}",
                f"{min(skill[pair] - first[1][pair] for pair in skill):+.4f}",
            )

    def second_seeds(self, pairs: list[str]) -> Iterator[tuple[str, ...]]:
        """Walk with one seed, then with another, and give what the second one costs."""
        with open_store({}, is_kept=False) as store:
            for number, pair in enumerate(pairs):
                bare = 0.0
                for seed in (1, 2):
                    loaded = self.load(f"seed-{number}-{seed}", seed=seed)
                    with bare_seconds() as watch:
                        begin = process_time()
                        features = store.features(loaded, pair)
                        project = pack_project(loaded.config, loaded.strategy)
                        windows = plan_windows(loaded.config, pair)
                        if features is not None:
                            walk(project, features, windows, seed)
                        seconds, bare = process_time() - begin, watch[0]
                trainings = str(len(windows))
                yield pair, trainings, f"{seconds:.1f}", f"{bare:.1f}", f"{seconds / bare:.3f}"

    def load(self, identifier: str, is_warm: bool = False, seed: int = 42) -> WalkForward:
        """Load the walk-forward under an identifier of its own."""
        overlay = self.folder / f"{identifier}.json"
        trainer = {"trainer_kwargs": {"seed": seed}}
        freqai = {
            "identifier": identifier,
            "continual_learning": is_warm,
            "activate_tensorboard": False,
            "model_training_parameters": trainer,
        }
        overlay.write_text(json.dumps({"freqai": freqai}))
        return load_walk_forward(self.options | {"config": [*self.options["config"], str(overlay)]})


def one_by_one(loaded: WalkForward) -> None:
    """Walk as ``freqtrade backtesting`` does."""
    loaded.strategy.advise_all_indicators(loaded.candles)


def in_processes(loaded: WalkForward, jobs: int) -> None:
    """Walk as ``freqai-lstm pretrain`` does, features and starts of processes included."""
    with pool_for(loaded, jobs, None) as pool, open_store(loaded.config, is_kept=False) as store:
        if failures := pretrain(loaded, pool, store).failures:
            raise SystemExit(str(failures))


def core_seconds() -> float:
    """Return the seconds of a core that this process and those that it has ended took."""
    return sum(os.times()[:4])


@contextmanager
def bare_seconds() -> Iterator[list[float]]:
    """Count the seconds of a core that trainings and predictions of networks take."""
    seconds = [0.0]
    methods = {name: getattr(PyTorchLSTMTrainer, name) for name in ("fit", "predict_members")}

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            begin = process_time()
            result = method(*arguments)
            seconds[0] += process_time() - begin
            return result

        return run

    for name, method in methods.items():
        setattr(PyTorchLSTMTrainer, name, watched(method))
    try:
        yield seconds
    finally:
        for name, method in methods.items():
            setattr(PyTorchLSTMTrainer, name, method)


def by_generation(loaded: WalkForward) -> list[float]:
    """Return the mean correlation over the pairs within each training window, oldest first."""
    found: dict[int, list[float]] = {}
    for each in next(iter(load_predictions(loaded.config).values())):
        for window, rows in each.candles[each.trusted].groupby("window"):
            measured = correlation(rows["predicted"], rows["true"]).value
            found.setdefault(int(window), []).append(measured)
    return [float(np.nanmean(values)) for _, values in sorted(found.items())]


def correlations(loaded: WalkForward) -> dict[str, float]:
    """Return the correlation of the first label, or the score, with the truth, pair by pair."""
    pairs = next(iter(load_predictions(loaded.config).values()))
    return {
        each.pair: correlation(
            each.candles["predicted"][each.trusted], each.candles["true"][each.trusted]
        ).value
        for each in pairs
    }


@contextmanager
def project(folder: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Give freqtrade's options for a user directory with candles, while the exchange runs."""
    market: Any
    trading_mode: TradingMode = "futures" if ":" in args.pairs[0] else "spot"
    if args.datadir:
        market = RecordedMarket(args.datadir, trading_mode=trading_mode)
    else:
        market = SyntheticMarket(
            0,
            start_ms=parse_day_ms("20230801"),
            end_ms=parse_day_ms(args.timerange.split("-")[1]),
            pairs=args.pairs,
            trading_mode=trading_mode,
        )
    with ReplayServer(market) as server:
        (folder / "exchange.json").write_text(
            json.dumps(exchange_overlay(server.url, trading_mode))
        )
        (folder / "user_data").mkdir()
        options = {
            "config": [
                str(ROOT / "config-torch.json"),
                *args.config,
                str(folder / "exchange.json"),
            ],
            "user_data_dir": str(folder / "user_data"),
            "datadir": str(args.datadir or folder / "data"),
            "strategy_path": str(ROOT / "user_data" / "strategies"),
            "freqaimodel_path": str(ROOT / "user_data" / "freqaimodels"),
            "pairs": args.pairs,
            "verbosity": 0,
        }
        if not args.datadir:
            (folder / "data").mkdir()
            candles = {
                "timerange": f"20230801-{args.timerange.split('-')[1]}",
                "timeframes": ["1h", "2h", "4h"],
            }
            download_data_main(setup_utils_configuration(options | candles, RunMode.UTIL_EXCHANGE))
        yield options | {"timerange": args.timerange}


def predictions(loaded: WalkForward) -> dict[str, bytes]:
    """Return the predictions' files by name."""
    folder = loaded.strategy.freqai.full_path / "backtesting_predictions"
    return {file.name: file.read_bytes() for file in folder.iterdir()}


if __name__ == "__main__":
    main()
