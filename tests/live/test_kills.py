"""A bot that is killed or stopped at random moments and started again, many times."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from .rig import PAIRS, Rig
from .seeds import chance

KILLS = int(os.environ.get("KILLS", "20"))
STOPS = 15

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


def models(rig: Rig) -> list[Path]:
    """List the saved models; while a bot runs, it may delete a folder meanwhile."""
    return list(rig.models.glob("sub-train-*/*_model.zip"))


def open_trades(rig: Rig) -> set[tuple[int, float]]:
    trades = rig.trades()
    return {(row.id, row.amount) for row in trades.itertuples() if row.is_open}


def busy_bot(rig: Rig, seconds: float) -> subprocess.Popen[bytes]:
    """Start a bot and give it so many seconds from its first candle on."""
    bot = rig.start_bot()
    count = len(rig.seen())
    rig.wait(lambda: len(rig.seen()) > count, 240)
    time.sleep(seconds)
    return bot


def test_killed_bot_starts_again_and_loses_nothing(tmp_path: Path) -> None:
    rng = chance("kills")
    moments: list[str] = []
    pairs: set[str] = set()
    with Rig(tmp_path, speed=240) as rig:
        # Trained all the time, so that many kills hit a training or a save.
        rig.configure(live_retrain_hours=0.001)
        rig.start_exchange()
        for _ in range(KILLS):
            bot = busy_bot(rig, rng.uniform(0.0, 6.0))
            held = open_trades(rig)
            rig.stop(bot, signal.SIGKILL)
            log = rig.log()
            last = [line for line in log.splitlines() if "Train" in line][-1:]
            moments.append(last[0][-70:] if last else "before any training")

            assert "Fatal exception" not in log
            assert "loading failed" not in log
            assert "cannot be used" not in log
            # Whatever is there is whole.
            for path in models(rig):
                torch.load(path, weights_only=False)
            # Trades only change by the bot's own will: none that was open is lost.
            kept = {number for number, _ in open_trades(rig)}
            closed = set(rig.trades().query("is_open == 0")["id"]) if len(rig.trades()) else set()
            assert {number for number, _ in held} <= kept | closed
            # FreqAI keeps the two newest models of a pair, so no pair has lost its last one.
            before, pairs = pairs, {path.parent.name.split("_")[0] for path in models(rig)}
            assert before <= pairs

        bot = rig.start_bot()
        count = len(rig.seen())
        rig.wait(lambda: len(rig.seen()) >= count + 2 * len(PAIRS), 240)
        assert rig.stop(bot) == 130
        newest = rig.seen().groupby("pair").tail(1)
        assert (newest["do_predict"] == 1).all()
        assert not (rig.models / "incidents.json").exists()
        pd.Series(moments).to_csv(tmp_path / "moments.csv")
        print(f"{KILLS} kills; the last thing said of a training before each:")
        print("\n".join(moments))


def test_bot_ends_at_ctrl_c_whatever_it_does(tmp_path: Path) -> None:
    rng = chance("stops")
    with Rig(tmp_path, speed=240) as rig:
        rig.configure(live_retrain_hours=0.001)
        rig.start_exchange()
        for _ in range(STOPS):
            bot = busy_bot(rig, rng.uniform(0.0, 3.0))
            assert rig.stop(bot) == 130
            assert "Fatal exception" not in rig.log()
