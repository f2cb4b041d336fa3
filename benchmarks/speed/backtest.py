"""A whole ``freqtrade backtesting``, with this package and with stock FreqAI's loops."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.speed.stopwatch import FREQTRADE, PARTS
from benchmarks.speed.timing import timed
from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.market import Market
from freqai_lstm.replay.recorded import RecordedMarket
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

ROOT = Path(__file__).parents[2]
PAIRS = [f"{coin}/USDT:USDT" for coin in ("BTC", "ETH", "LTC", "ADA", "XRP")]
TIMERANGE = "20240301-20240401"
DOWNLOAD_DAYS = "20231001-20240402"

Row = tuple[str, ...]
MANY_PAIRS = [*PAIRS, *(f"{coin}/USDT:USDT" for coin in ("BNB", "SOL", "DOT"))]
HEADERS = ("with", *PARTS, "all", "training + prediction, to stock's", "to all of stock's")
GROWTH_HEADERS = ("pairs", *(f"{name} [s]" for name in PARTS if name != FREQTRADE), "a pair, to 1")


def backtest_rows(
    pairs: Sequence[str], timerange: str, datadir: Path | None, rounds: int = 1
) -> Iterator[Row]:
    """Backtest with both, in turns, and split the time; the least of each part counts.

    :param pairs: Pairs to trade.
    :param timerange: Range to backtest.
    :param datadir: A data directory of freqtrade with recorded candles; without one the candles are
        those of the replay market.
    :param rounds: Backtests of each.
    :return: Rows of the table.
    """
    found: dict[str, list[dict[str, float]]] = {"this package": [], "stock loops": []}
    with _project(pairs, datadir) as (folder, candles):
        for number in range(rounds):
            for who, runs in found.items():
                runs.append(_backtest(folder, candles, timerange, who, f"bench-{number}"))
    best = {
        who: {part: min(run[part] for run in runs) for part in PARTS} for who, runs in found.items()
    }
    stock = best["stock loops"]
    for who, seconds in best.items():
        part = seconds["training"] + seconds["prediction"]
        yield (
            who,
            *(f"{seconds[name]:.1f}" for name in PARTS),
            f"{sum(seconds.values()):.1f}",
            f"{part / (stock['training'] + stock['prediction']):.2f}",
            f"{part / sum(stock.values()):.2f}",
        )


def growth_rows() -> Iterator[Row]:
    """Backtest one pair, two, four and eight of the replay market, for two epochs a model.

    :return: Rows of the table.
    """
    first = 0.0
    with _project(MANY_PAIRS, None) as (folder, candles):
        epochs = {"freqai": {"model_training_parameters": {"trainer_kwargs": {"n_epochs": 2}}}}
        _write(folder / "epochs.json", epochs)
        for count in (1, 2, 4, 8):
            _write(folder / "pairs.json", {"exchange": {"pair_whitelist": MANY_PAIRS[:count]}})
            seconds = _backtest(
                *(folder, candles, "20240301-20240308", "this package", f"pairs-{count}"),
                overlay=folder / "epochs.json",
            )
            own = [seconds[name] for name in PARTS if name != FREQTRADE]
            first = first or sum(own)
            yield str(count), *(f"{part:.1f}" for part in own), f"{sum(own) / count / first:.2f}"


@contextmanager
def _project(pairs: Sequence[str], datadir: Path | None) -> Iterator[tuple[Path, Path]]:
    """Give a folder with configurations, and the candles, while an exchange replays them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        market: Market = (
            RecordedMarket(datadir, pairs=pairs)
            if datadir
            else SyntheticMarket(
                0,
                start_ms=parse_day_ms("20230901"),
                end_ms=parse_day_ms("20240403"),
                pairs=list(pairs),
            )
        )
        with ReplayServer(market) as server:
            _write(folder / "exchange.json", exchange_overlay(server.url))
            _write(folder / "pairs.json", {"exchange": {"pair_whitelist": list(pairs)}})
            if datadir is None:
                _download(folder, folder / "data", pairs)
            yield folder, datadir or folder / "data"


def _backtest(
    folder: Path,
    candles: Path,
    timerange: str,
    who: str,
    identifier: str,
    overlay: Path | None = None,
) -> dict[str, float]:
    configs = [ROOT / "config-torch.json", folder / "pairs.json", folder / "exchange.json"]
    models = ROOT / "user_data" / "freqaimodels"
    arguments = ["--freqaimodel", "PyTorchLSTMRegressor"]
    if who == "stock loops":
        models = ROOT / "benchmarks" / "speed" / "freqaimodels"
        arguments = ["--freqaimodel", "StockLoopLSTMRegressor"]
        configs[0] = _stock_config(folder)
    user_data = folder / who.replace(" ", "-")
    user_data.mkdir(exist_ok=True)
    _write(folder / "run.json", {"freqai": {"identifier": identifier}})
    arguments += ["--strategy-path", str(ROOT / "user_data" / "strategies")]
    arguments += ["--freqaimodel-path", str(models), "--userdir", str(user_data)]
    arguments += ["--datadir", str(candles), "--timerange", timerange, "--cache", "none"]
    for config in (*configs, folder / "run.json", *filter(None, [overlay])):
        arguments += ["--config", str(config)]
    seconds = folder / "seconds.json"
    wall = timed(
        lambda: _run("benchmarks.speed.stopwatch", str(seconds), "backtesting", *arguments)
    )
    loaded: dict[str, float] = json.loads(seconds.read_text(encoding="utf-8"))
    # What came before the stopwatch, too: starting Python, and the imports.
    loaded[FREQTRADE] += wall - sum(loaded.values())
    return loaded


def _stock_config(folder: Path) -> Path:
    """Write the example's configuration in the words of stock FreqAI's trainer."""
    config = json.loads((ROOT / "config-torch.json").read_text(encoding="utf-8"))
    model = config["freqai"]["model_training_parameters"]
    config["freqai"]["conv_width"] = model["model_kwargs"]["window_size"]
    model["trainer_kwargs"].pop("lr_schedule")
    _write(folder / "stock.json", config)
    return folder / "stock.json"


def _download(folder: Path, candles: Path, pairs: Sequence[str]) -> None:
    candles.mkdir()
    (folder / "download").mkdir()
    configs = (ROOT / "config-torch.json", folder / "pairs.json", folder / "exchange.json")
    arguments = [part for path in configs for part in ("--config", str(path))]
    arguments += ["--userdir", str(folder / "download"), "--datadir", str(candles)]
    arguments += ["--timerange", DOWNLOAD_DAYS, "--timeframes", "1h", "2h", "4h"]
    _run("freqtrade", "download-data", *arguments, "--pairs", *pairs)


def _run(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
