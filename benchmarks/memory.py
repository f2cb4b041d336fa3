"""Peak memory and time of a walk-forward, with more candles, pairs and trials.

    python -m benchmarks.memory [--datadir user_data/data/binance] [--pairs ...] [--timerange ...]

Each walk runs in a process of its own with one worker, as ``freqai-lstm pretrain --jobs 1`` does.
A trial is another seed, which finds the features of the one before. Its networks train for one
epoch, and are made from scratch: neither costs memory, and all trainings take the same time. That
is counted in seconds of a core, the starts of both processes included. The memory is the largest
that each process had in use, mapped files included; the two may have had it at different times, so
that their sum is an upper bound.
"""

import argparse
import json
import multiprocessing
import re
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory

from freqtrade.configuration import TimeRange

from benchmarks.walk import COINS, Bench, project
from freqai_lstm.tools.cluster import open_pool
from freqai_lstm.tools.command import print_table
from freqai_lstm.tools.features import open_store
from freqai_lstm.tools.pool import be_quiet
from freqai_lstm.tools.pretrain import pretrain

DAY = 24 * 3_600
STATUS = Path("/proc/self/status")
HEADERS = (
    *("pairs", "days", "trials", "trainings", "core seconds", "a training [s]"),
    *("main process [MiB]", "worker [MiB]", "both [MiB]"),
)


def main() -> None:
    """Walk over ever more, and print what it takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timerange", default="20240101-20240401", metavar="YYYYMMDD-YYYYMMDD")
    parser.add_argument("--pairs", nargs="+", default=[f"{coin}/USDT:USDT" for coin in COINS])
    parser.add_argument("--period", type=int, default=15, metavar="DAYS", help="(%(default)s)")
    parser.add_argument("--config", action="append", default=[], metavar="PATH")
    parser.add_argument("--datadir", type=Path, metavar="DIR")
    args = parser.parse_args()
    print_table(f"WALKS WITHIN {args.timerange}", HEADERS, rows(args))


def rows(args: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """Walk with more candles, then more trials, then more pairs, each in a process of its own."""
    whole, count = TimeRange.parse_timerange(args.timerange), len(args.pairs)
    # Two pairs at least: the features of all have those of the correlated ones.
    sizes = ((0.25, 1, 2), (0.5, 1, 2), (1, 1, 2), (1, 3, 2), (1, 1, count))
    for share, trials, pairs in sizes:
        part = copy(args)
        part.pairs = args.pairs[:pairs]
        days = round((whole.stopts - whole.startts) / DAY * share)
        part.timerange = TimeRange(
            "date", "date", whole.stopts - days * DAY, whole.stopts
        ).timerange_str
        spawning = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawning) as processes:
            trainings, seconds, ours, theirs = processes.submit(measure, part, trials).result()
        yield (
            *(str(number) for number in (pairs, days, trials, trainings)),
            *(f"{seconds:.1f}", f"{seconds / trainings:.2f}"),
            *(f"{size / 2**20:,.0f}" for size in (ours, theirs, ours + theirs)),
        )


def measure(args: argparse.Namespace, trials: int) -> tuple[int, float, int, int]:
    """Walk with one seed after the other.

    :return: The number of trainings, the seconds of a core that this process and its worker take
        for all, and the peak memory of each, in bytes.
    """
    be_quiet()
    with TemporaryDirectory() as name:
        folder = Path(name)
        overlay, trainer = folder / "overlay.json", {"trainer_kwargs": {"n_epochs": 1}}
        section = {"backtest_period_days": args.period, "model_training_parameters": trainer}
        overlay.write_text(json.dumps({"freqai": section}))
        args.config = [*args.config, str(overlay)]
        begin, trainings = time.process_time(), 0
        with (
            project(folder, args) as options,
            open_store({}, is_kept=False) as store,
            open_pool(1, None) as pool,
        ):
            bench = Bench(folder, options)
            for seed in range(trials):
                account = pretrain(bench.load(f"seed-{seed}", seed=seed), pool, store)
                if account.failures:
                    raise SystemExit(str(account.failures))
                trainings += account.trained
            worker = peak_memory(pool.submit(STATUS.read_text).result())
            seconds = time.process_time() - begin + pool.submit(time.process_time).result()
    return trainings, seconds, peak_memory(STATUS.read_text()), worker


def peak_memory(status: str) -> int:
    """Return the most bytes that a process has had in use, as Linux says of it."""
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


if __name__ == "__main__":
    main()
