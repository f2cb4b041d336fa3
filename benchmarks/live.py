"""What a retraining of a live bot costs, from scratch and from the model before.

    python -m benchmarks.live [--rounds 3] [--datadir user_data/data/binance] [--pairs ...]

Trains each pair as the training thread of a bot does, with the models of ``config-torch.json``: the
features of all its candles, scaling, training, and writing to disk. Every round is four hours after
the one before, and trains once from scratch and once from the model before. Without ``--datadir``,
the candles are those of the synthetic market.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from freqtrade.configuration import TimeRange

from benchmarks.walk import COINS, Bench, project
from freqai_lstm.bridge.kitchen import WindowedDataKitchen
from freqai_lstm.tools.command import print_table
from freqai_lstm.tools.loading import WalkForward
from freqai_lstm.tools.pool import be_quiet

HOUR = 3_600
ROUND = 4 * HOUR
HEADERS = ("pair", "retrainings", "from scratch [s]", "from the model before [s]", "ratio")


def main() -> None:
    """Retrain pairs in both ways and print their times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument("--timerange", default="20240301-20240401", metavar="YYYYMMDD-YYYYMMDD")
    parser.add_argument("--pairs", nargs="+", default=[f"{coin}/USDT:USDT" for coin in COINS])
    parser.add_argument("--config", action="append", default=[], metavar="PATH")
    parser.add_argument("--datadir", type=Path, metavar="DIR")
    args = parser.parse_args()
    be_quiet()
    with TemporaryDirectory() as folder, project(Path(folder), args) as options:
        bench = Bench(Path(folder), options)
        print_table("A LIVE RETRAINING", HEADERS, rows(bench, args.pairs, args.rounds))


def rows(bench: Bench, pairs: list[str], rounds: int) -> Iterator[tuple[str, ...]]:
    """Retrain pair after pair, in turns from scratch and from the model before."""
    bots = [Bot(bench.load(f"live-{is_warm}", is_warm)) for is_warm in (False, True)]
    for pair in pairs:
        # The first training of a pair is from scratch in any case.
        seconds = [[bot.train(pair, number) for bot in bots] for number in range(1 + rounds)][1:]
        cold, warm = np.median(seconds, axis=0)
        yield pair, str(rounds), f"{cold:.2f}", f"{warm:.2f}", f"{warm / cold:.3f}"


class Bot:
    """The regressor of a bot, whose clock is at the beginning of the timerange.

    :param loaded: What a walk-forward needs: strategy, regressor and candles.
    """

    def __init__(self, loaded: WalkForward) -> None:
        self.loaded = loaded
        self.regressor: Any = loaded.strategy.freqai
        self.regressor.live = True
        self.regressor.dd.purge_old_models = lambda: None

    def train(self, pair: str, number: int) -> float:
        """Train a pair in a round, and return the seconds that it takes."""
        config = self.loaded.config
        begin = TimeRange.parse_timerange(config["timerange"]).startts
        now = begin + number * ROUND
        days = config["freqai"]["train_period_days"]
        training = TimeRange("date", "date", now - days * 24 * HOUR, now)
        startup = 2 * config["startup_candle_count"] * 4 * HOUR
        loading = TimeRange("date", "date", training.startts - startup, now)
        kitchen = WindowedDataKitchen(config, True, pair, history_candles=0)
        self.regressor.dd.load_all_pair_histories(loading, kitchen)
        self.regressor.dd.get_pair_dict_info(pair)
        kitchen.set_paths(pair, now)
        self.regressor.dd.current_candle = datetime.fromtimestamp(now, tz=UTC)
        before = time.perf_counter()
        self.regressor.extract_data_and_train_model(
            training, pair, self.loaded.strategy, kitchen, loading
        )
        seconds = time.perf_counter() - before
        if self.regressor.dd.pair_dict[pair]["trained_timestamp"] != now:
            raise SystemExit(f"{pair}: was not trained; see the log")
        return seconds


if __name__ == "__main__":
    main()
