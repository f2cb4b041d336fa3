"""A bot over thousands of candles: memory, files and threads stay, and no candle is missed."""

import os
from pathlib import Path

import pandas as pd
import psutil
import pytest

from .rig import PAIRS, Rig

CANDLES = int(os.environ.get("SOAK_CANDLES", "2000"))
WARM_UP = CANDLES // 5

pytestmark = [pytest.mark.long, pytest.mark.timeout(14_400)]


def report(samples: list[dict[str, float]], seen: pd.DataFrame) -> None:
    """Print what was measured."""
    table = pd.DataFrame(samples)
    print(table.iloc[:: max(1, len(table) // 12)].to_string(index=False))
    for pair, seconds in seen.groupby("pair")["seconds"]:
        p50, p95 = 1000 * seconds.quantile([0.5, 0.95])
        print(f"{pair}: a candle takes {p50:.0f} ms, p95 {p95:.0f} ms")


def test_soak(tmp_path: Path) -> None:
    samples: list[dict[str, float]] = []
    with Rig(tmp_path, speed=600) as rig:
        rig.configure(live_retrain_hours=2, expiration_hours=6)
        rig.start_exchange()
        bot = rig.start_bot()
        process = psutil.Process(bot.pid)
        # The pairs get their first models one after another.
        rig.wait(lambda: set(rig.seen().query("do_predict == 1")["pair"]) == set(PAIRS), 300)
        first = rig.clock.time()

        def sampled() -> bool:
            candle = int(rig.clock.time() - first) // 60
            if not samples or candle >= samples[-1]["candle"] + 20:
                samples.append(
                    {
                        "candle": candle,
                        "rss_mib": process.memory_info().rss / 2**20,
                        "files": process.num_fds(),
                        "threads": process.num_threads(),
                    }
                )
            return candle >= CANDLES

        rig.wait(sampled, 4 * 3600)
        log, seen = rig.log(), rig.seen()
        report(samples, seen)
        assert rig.stop(bot) == 130

    table = pd.DataFrame(samples)
    warm = table[table["candle"] >= WARM_UP]
    quarter = max(1, len(warm) // 4)
    early, late = warm.head(quarter).median(), warm.tail(quarter).median()
    print(f"memory {early['rss_mib']:.1f} -> {late['rss_mib']:.1f} MiB")
    assert late["rss_mib"] < 1.05 * early["rss_mib"]
    assert late["files"] <= early["files"]
    assert late["threads"] <= early["threads"]
    assert " - ERROR - " not in log
    assert "did not predict" not in log
    for pair in PAIRS:
        dates = seen.loc[(seen["pair"] == pair) & (seen["do_predict"] == 1), "date"]
        assert len(dates) >= CANDLES
        assert (dates.diff().dropna() == pd.Timedelta(minutes=1)).all()
