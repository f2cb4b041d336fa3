"""Print the tables of all measurements.

python -m benchmarks.speed [--parts training prediction memory growth backtest] [--rounds 12]
"""

import argparse
from pathlib import Path

import torch

from benchmarks.speed import backtest, memory, prediction, training
from freqai_lstm.tools.command import print_table

PARTS = ("training", "prediction", "memory", "growth", "backtest")


def main() -> None:
    """Measure what is asked for, on the CPU and on CUDA where there is a card."""
    parser = argparse.ArgumentParser(description="Measure training and prediction.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=12, metavar="N", help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads of each")
    parser.add_argument("--datadir", type=Path, metavar="DIR", help="recorded candles to backtest")
    parser.add_argument("--pairs", nargs="+", default=backtest.PAIRS, metavar="PAIR")
    parser.add_argument("--timerange", default=backtest.TIMERANGE)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        options = {"threads": args.threads, "device": device}
        if "training" in args.parts:
            rows = training.training_rows(rounds=args.rounds, **options)
            print_table(f"Training on {device}", training.HEADERS, rows)
        if "prediction" in args.parts:
            rows = prediction.prediction_rows(rounds=args.rounds, **options)
            print_table(f"Prediction on {device}", prediction.HEADERS, rows)
        if "growth" in args.parts:
            rows = training.growth_rows(**options)
            print_table(f"Growth with the candles on {device}", training.GROWTH_HEADERS, rows)
    if "growth" in args.parts:
        rows = backtest.growth_rows()
        print_table("Growth with the pairs, backtested", backtest.GROWTH_HEADERS, rows)
    if "memory" in args.parts:
        print_table("Growth of the peak memory", memory.HEADERS, memory.memory_rows())
    if "backtest" in args.parts:
        rows = backtest.backtest_rows(args.pairs, args.timerange, args.datadir)
        print_table("freqtrade backtesting [s]", backtest.HEADERS, rows)


if __name__ == "__main__":
    main()
