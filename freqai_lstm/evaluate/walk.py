"""Walks FreqAI forward over one pair, as freqtrade's backtesting does before it simulates trades.

Needs candles on disk, and no exchange.
"""

import json
import logging
import multiprocessing
import os
import random
import threading
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import torch
from freqtrade.configuration import TimeRange
from freqtrade.data.history import load_pair_history
from freqtrade.enums import RunMode
from freqtrade.exchange import timeframe_to_seconds

from freqai_lstm.evaluate.plan import SubRun
from freqai_lstm.exceptions import SkillError
from freqai_lstm.files import replacing
from freqai_lstm.folders import identifier_folder, prediction_file
from freqai_lstm.offline import load_offline_strategy
from freqai_lstm.report.predictions import training_stamps
from freqai_lstm.settings import SECONDS_PER_DAY

logger = logging.getLogger(__name__)

_FINISHED = "evaluated.json"


def finished(sub_run: SubRun) -> dict[str, float] | None:
    """Return what is known of a run that was finished before: its trainings and core seconds."""
    file = identifier_folder(sub_run.config) / _FINISHED
    if not file.is_file():
        return None
    known: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return known


def walk_forward(sub_run: SubRun) -> dict[str, float]:
    """Train and predict every window of a run that has no predictions yet, and keep them.

    :return: The number of trainings, and the seconds of a core for all of the run.
    :raises SkillError: If a training failed; FreqAI goes on with zeros, a comparison must not.
    """
    started = process_time()
    _seed_everything(sub_run.seed)
    config = dict(sub_run.config, runmode=RunMode.BACKTEST)
    # FreqAI makes this folder's children alone.
    (Path(config["user_data_dir"]) / "models").mkdir(parents=True, exist_ok=True)
    strategy = load_offline_strategy(config)
    config["startup_candle_count"] = strategy.startup_candle_count
    strategy.populate_indicators(_history(config, sub_run.pair), {"pair": sub_run.pair})
    _check(sub_run)
    known = {
        "trainings": len(training_stamps(config)),
        "core_seconds": process_time() - started,
    }
    with replacing(identifier_folder(config) / _FINISHED) as temporary:
        temporary.write_text(json.dumps(known), encoding="utf-8")
    return known


def prepare_worker(log: str) -> None:
    """Make a process ready to walk: a log of its own, one thread, and no longer than its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(
        filename=log,
        level=logging.INFO,
        format="%(asctime)s - %(process)d - %(name)s - %(levelname)s - %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """Wait for the parent to end, even if it is killed: nobody would take what this works on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _history(config: dict[str, Any], pair: str) -> pd.DataFrame:
    """Return the candles of the timerange, and those that train and warm up before it."""
    timerange = TimeRange.parse_timerange(config["timerange"])
    warm_up = config["startup_candle_count"] * timeframe_to_seconds(config["timeframe"])
    timerange.subtract_start(config["freqai"]["train_period_days"] * SECONDS_PER_DAY + warm_up)
    history: pd.DataFrame = load_pair_history(
        pair=pair,
        timeframe=config["timeframe"],
        datadir=config["datadir"],
        timerange=timerange,
        data_format=config["dataformat_ohlcv"],
        candle_type=config["candle_type_def"],
    )
    return history


def _check(sub_run: SubRun) -> None:
    """Refuse a run with a window that was not trained, so that the next one tries it again."""
    for stamp in training_stamps(sub_run.config):
        file = prediction_file(identifier_folder(sub_run.config), sub_run.pair, stamp)
        if file.is_file() and (pd.read_feather(file)["do_predict"] == 1).any():
            continue
        file.unlink(missing_ok=True)
        raise SkillError(
            f"{sub_run.identifier}: every training window must have predictions, the one that ends "
            f"{pd.Timestamp(stamp, unit='s')} has none. The log says why its training failed."
        )


def _seed_everything(seed: int) -> None:
    """Seed the generators that stock models draw their weights and noise from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
