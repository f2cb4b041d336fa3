"""Models trained ahead, in parallel, are the ones that a backtest would have trained."""

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from freqai_lstm.pretrain.cli import make_workers
from freqai_lstm.pretrain.features import WalkForward
from freqai_lstm.pretrain.run import pretrain
from tests.conftest import PAIRS
from tests.integration.conftest import Backtest


def walk(config):
    backtest = Backtest(config)
    return WalkForward(config, backtest.strategy, {p: backtest.candles(p) for p in PAIRS})


def test_it(config: dict[str, Any]) -> None:
    config["timerange"]="20240210-20240218"
    config["freqai"]["activate_tensorboard"]=True
    one = copy.deepcopy(config)
    one["freqai"]["identifier"] = "sequential"
    import time
    t=time.time()
    b = Backtest(one)
    first = {p: b.run(p) for p in PAIRS}
    print("seq", time.time()-t); t=time.time()
    w = walk(copy.deepcopy(config))
    with make_workers(w, 2, None) as workers:
        account = pretrain(w, workers)
    print("par", time.time()-t, account)
    b = Backtest(config)
    second = {p: b.run(p) for p in PAIRS}
    for p in PAIRS:
        pd.testing.assert_frame_equal(first[p], second[p], check_exact=True)
    m = config["user_data_dir"]/"models"
    import subprocess
    print(subprocess.run(["find", str(m), "-type","f"],capture_output=True,text=True).stdout)
    for i in ("sequential", "torch-lstm"):
        print((m/i/"pair_dictionary.json").read_text())
    print(next((m/"torch-lstm").glob("sub-train-BTC*/*metadata.json")).read_text()[:300])
    for f in (m/"sequential").glob("sub-train*/*"):
        o = m/"torch-lstm"/f.parent.name/f.name
        if f.is_file(): print(f.name, o.read_bytes()==f.read_bytes(), f.stat().st_size, o.stat().st_size)
    for f in (m/"sequential").glob("backtesting_predictions/*"):
        o = m/"torch-lstm"/f.parent.name/f.name
        print(f.name, o.read_bytes()==f.read_bytes())
