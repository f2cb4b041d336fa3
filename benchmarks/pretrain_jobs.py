"""Compare pretraining in worker processes with FreqAI's own walk-forward, one model after another.

    python -m benchmarks.pretrain_jobs [--jobs 2] [--rounds 1] [--datadir user_data/data/binance]

Both train the models of ``config-torch.json`` over the same candles, taking turns, each time under
a new identifier; the times include the start of the worker processes. The predictions of both must
be equal to the last bit. Without ``--datadir``, the candles are those of the synthetic market.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from freqtrade.configuration import setup_utils_configuration
from freqtrade.data.history import download_data_main
from freqtrade.enums import RunMode

from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.recorded import RecordedMarket
from freqai_lstm.replay.synthetic import SyntheticMarket
from freqai_lstm.tools.pretrain import pool_for, pretrain
from freqai_lstm.tools.walk import WalkForward, load_walk_forward
from tests.replay_server import ReplayServer

ROOT = Path(__file__).parents[1]
COINS = ("BTC", "ETH", "LTC", "XRP", "ADA")


def main() -> None:
    """Run both in turns and print their times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, default=1, metavar="N")
    parser.add_argument("--timerange", default="20240301-20240401", metavar="YYYYMMDD-YYYYMMDD")
    parser.add_argument("--pairs", nargs="+", default=[f"{coin}/USDT:USDT" for coin in COINS])
    parser.add_argument("--datadir", type=Path, metavar="DIR")
    args = parser.parse_args()
    with TemporaryDirectory() as folder, project(Path(folder), args) as options:
        for number in range(args.rounds):
            sequential = walk_forward(options, Path(folder), f"sequential-{number}")
            begin = time.perf_counter()
            sequential.strategy.advise_all_indicators(sequential.candles)
            one_by_one = time.perf_counter() - begin

            parallel = walk_forward(options, Path(folder), f"parallel-{number}")
            begin = time.perf_counter()
            with pool_for(parallel, args.jobs, None) as pool:
                account = pretrain(parallel, pool)
            in_parallel = time.perf_counter() - begin
            if account.failures or predictions(parallel) != predictions(sequential):
                raise SystemExit(f"The predictions differ: {account.failures}")
            print(
                f"{account.trained} models of {len(args.pairs)} pairs, equal predictions: "
                f"{one_by_one:.1f} s one by one, {in_parallel:.1f} s with {args.jobs} jobs, "
                f"ratio {one_by_one / in_parallel:.2f}",
                flush=True,
            )


@contextmanager
def project(folder: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Give freqtrade's options for a user directory with candles, while the exchange runs."""
    market: Any
    if args.datadir:
        market = RecordedMarket(args.datadir)
    else:
        market = SyntheticMarket(
            0,
            start_ms=parse_day_ms("20231001"),
            end_ms=parse_day_ms(args.timerange.split("-")[1]),
            pairs=args.pairs,
        )
    with ReplayServer(market) as server:
        (folder / "exchange.json").write_text(json.dumps(exchange_overlay(server.url)))
        (folder / "user_data").mkdir()
        options = {
            "config": [str(ROOT / "config-torch.json"), str(folder / "exchange.json")],
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
                "timerange": f"20231001-{args.timerange.split('-')[1]}",
                "timeframes": ["1h", "2h", "4h"],
            }
            download_data_main(setup_utils_configuration(options | candles, RunMode.UTIL_EXCHANGE))
        yield options | {"timerange": args.timerange}


def walk_forward(options: dict[str, Any], folder: Path, identifier: str) -> WalkForward:
    """Load the walk-forward under an identifier of its own."""
    overlay = folder / f"{identifier}.json"
    overlay.write_text(json.dumps({"freqai": {"identifier": identifier}}))
    return load_walk_forward(options | {"config": [*options["config"], str(overlay)]})


def predictions(walk: WalkForward) -> dict[str, bytes]:
    """Return the predictions' files by name."""
    folder = walk.strategy.freqai.full_path / "backtesting_predictions"
    return {file.name: file.read_bytes() for file in folder.iterdir()}


if __name__ == "__main__":
    main()
