"""A bot while its exchange fails in every way the replay exchange knows."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from freqai_lstm.replay.faults.plan import KINDS, LOST_ANSWER

from .rig import PAIRS, Rig

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

DETAILS = {
    "timeout": {"seconds": 2.0},
    "delayed_candles": {"seconds": 25.0},
    "clock_jump": {"seconds": 90.0},
}


def predicted(rig: Rig) -> pd.DataFrame:
    seen = rig.seen()
    return seen[seen["do_predict"] == 1]


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


# A dry-run sends no orders whose answers could be lost: test_order_kills does.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != LOST_ANSWER])
def test_bot_goes_on_and_recovers(tmp_path: Path, kind: str) -> None:
    with Rig(tmp_path, speed=240, timeout_ms=1000 if kind == "timeout" else 5000) as rig:
        rig.start_exchange()
        bot = rig.start_bot()
        rig.wait(lambda: set(predicted(rig)["pair"]) == set(PAIRS), 240)
        rig.candles(3, 120)

        details = dict(DETAILS.get(kind, {}))
        if kind == "gap":
            now = rig.clock.time()
            details = {"start": iso(now), "end": iso(now + 180)}  # type: ignore[dict-item]
        began = rig.clock.time()
        rig.fault(kind=kind, **details)
        rig.candles(4, 400)
        rig.end_faults()
        ended = rig.clock.time()
        rig.candles(4, 400)
        assert rig.stop(bot) == 130
        assert "Stopping trader" not in rig.log()
        assert "Fatal exception" not in rig.log()

        # Predicted again by the second candle after the fault's end, for every pair.
        for pair in PAIRS:
            opened = predicted(rig).query("pair == @pair")["date"]
            after = opened[opened.map(pd.Timestamp.timestamp) + 60 > ended]
            assert len(after), pair
            assert after.iloc[0].timestamp() <= ended + 120, pair

        # Whatever was opened meanwhile was signalled on a whole, current candle.
        trades = rig.trades()
        seen = rig.seen()
        for trade in trades.itertuples():
            opened_at = pd.Timestamp(trade.open_date, tz="UTC")
            if not began <= opened_at.timestamp() <= ended + 120:
                continue
            candle = opened_at.floor("min") - pd.Timedelta(minutes=1)
            earlier = candle - pd.Timedelta(minutes=2)
            side = "enter_short" if trade.is_short else "enter_long"
            signalled = seen[
                (seen["pair"] == trade.pair)
                & seen["date"].between(earlier, candle)
                & (seen["do_predict"] == 1)
                & (seen[side] == 1)
            ]
            assert len(signalled), f"{trade.pair} {opened_at}"

        if kind != "gap":  # FreqAI's candles are filled there, those of the exchange are not.
            rig.parity()
            rows = [line for line in rig.log("parity.log").splitlines() if "/USDT:USDT" in line]
            for row in rows[: len(PAIRS)]:
                apart = row.replace("│", "|").split("|")[6]
                assert int(apart) == 0, rig.log("parity.log")
