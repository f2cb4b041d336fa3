"""A bot over thousands of candles: memory, files and threads stay, and no candle is missed.

With ``SOAK_FOLDER`` it runs in parts of ``SOAK_MINUTES``: the bot is stopped, and the same command
goes on where it was.
"""

import os
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from .rig import PAIRS, Rig

CANDLES = int(os.environ.get("SOAK_CANDLES", "2000"))
# Three retrainings, each time that the bot starts.
WARM_UP = min(CANDLES // 5, 400)
MINUTES = float(os.environ.get("SOAK_MINUTES", "inf"))

pytestmark = [pytest.mark.long, pytest.mark.timeout(14_400)]


def report(samples: list[dict[str, float]], seen: pd.DataFrame) -> None:
    """Print what was measured."""
    table = pd.DataFrame(samples)
    print(table.iloc[:: max(1, len(table) // 12)].to_string(index=False))
    for pair, seconds in seen.groupby("pair")["seconds"]:
        p50, p95 = 1000 * seconds.quantile([0.5, 0.95])
        print(f"{pair}: a candle takes {p50:.0f} ms, p95 {p95:.0f} ms")


def predicted(seen: pd.DataFrame) -> int:
    """Count the candles that are predicted for every pair."""
    counts = seen[seen["do_predict"] == 1].groupby("pair").size()
    return int(counts.reindex(PAIRS, fill_value=0).min())


def test_soak(tmp_path: Path) -> None:
    folder = Path(os.environ.get("SOAK_FOLDER", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    samples: list[dict[str, float]] = []
    until = time.monotonic() + 60 * MINUTES
    with Rig(folder, speed=600) as rig:
        rig.configure(live_retrain_hours=2, expiration_hours=6)
        rig.start_exchange()
        bot = rig.start_bot()
        process = psutil.Process(bot.pid)
        # The pairs get their first models one after another.
        before = predicted(rig.seen())
        rig.wait(lambda: predicted(rig.seen()) > before, 300)
        before, first = predicted(rig.seen()), rig.clock.time()

        def sampled() -> bool:
            candle = before + int(rig.clock.time() - first) // 60
            if not samples or candle >= samples[-1]["candle"] + 20:
                samples.append(
                    {
                        "candle": candle,
                        "rss_mib": process.memory_info().rss / 2**20,
                        "files": process.num_fds(),
                        "threads": process.num_threads(),
                    }
                )
            return candle > CANDLES or time.monotonic() > until

        rig.wait(sampled, 4 * 3600)
        complaints, seen, trades = rig.complaints(), rig.seen(), rig.trades()
        report(samples, seen)
        assert rig.stop(bot) == 130

    count = predicted(seen)
    print(f"{count} of {CANDLES} candles, {rig.bots} starts, {len(trades)} trades")
    table = pd.DataFrame(samples)
    warm = table[table["candle"] >= table["candle"].iloc[0] + WARM_UP]
    assert len(warm) > 1, f"a part must last longer than the {WARM_UP} candles of its warm-up"
    quarter = max(1, len(warm) // 4)
    early, late = warm.head(quarter).median(), warm.tail(quarter).median()
    print(f"memory {early['rss_mib']:.1f} -> {late['rss_mib']:.1f} MiB")
    assert late["rss_mib"] < 1.05 * early["rss_mib"]
    assert late["files"] <= early["files"]
    assert late["threads"] <= early["threads"]
    assert complaints == []
    for _, dates in seen[seen["do_predict"] == 1].groupby("pair")["date"]:
        assert (dates.diff().dropna() == pd.Timedelta(minutes=1)).all()
    if count < CANDLES:
        assert time.monotonic() > until
        print("Run the same again for the next part.")
