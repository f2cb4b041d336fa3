"""A dry-run bot over real HTTP: trains, predicts, trades, retrains, and is what a backtest is."""

from pathlib import Path

import pandas as pd
import pytest

from .rig import Rig

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PAIRS = ["BTC/USDT:USDT", "SOL/USDT:USDT"]
CANDLES = 31


def closed(rig: Rig) -> pd.DataFrame:
    trades = rig.trades()
    return trades[trades["is_open"] == 0]


def test_bot_trades_and_is_what_the_backtest_is(tmp_path: Path) -> None:
    with Rig(tmp_path, speed=240, pairs=PAIRS) as rig:
        rig.start_exchange()
        bot = rig.start_bot()

        def has_done_all() -> bool:
            seen = rig.seen()
            predicted = seen[seen["do_predict"] == 1].groupby("pair").size()
            retrained = all(rig.log().count(f"Trained {pair} in") >= 2 for pair in PAIRS)
            return (
                retrained
                and len(predicted) == len(PAIRS)
                and bool((predicted >= CANDLES).all())
                and set(closed(rig)["is_short"]) == {0, 1}
            )

        rig.wait(has_done_all, 600)
        # Before it is stopped: freqtrade logs an error if Ctrl+C meets it in its database.
        assert " - ERROR - " not in rig.log()
        assert "did not predict" not in rig.log()
        # freqtrade's status after Ctrl+C.
        assert rig.stop(bot) == 130
        assert "SIGINT received" in rig.log()

        seen = rig.seen()
        for pair in PAIRS:
            predicted = seen[(seen["pair"] == pair) & (seen["do_predict"] == 1)]
            since = seen[(seen["pair"] == pair) & (seen["date"] >= predicted["date"].iloc[0])]
            assert (since["do_predict"] == 1).all()
            assert (since["date"].diff().dropna() == pd.Timedelta(minutes=1)).all()

        assert rig.parity() == 0, rig.log("parity.log")
        report = rig.log("parity.log")
        assert "No incidents" in report
        table = report.partition("TRADES")[0]
        rows = [line.split("│") for line in table.splitlines() if "/USDT:USDT" in line]
        assert [row[1].strip() for row in rows] == PAIRS
        for row in rows:
            assert int(row[2]) >= 30
            assert float(row[5]) < 1e-5
            assert int(row[8]) > 0

        # Prices of a market that moves within a candle: the same trades, not the same money.
        whole = rig.traded()["pairs"][-1]
        made = len(closed(rig))
        assert whole["both"] > made / 2, report
        assert abs(whole["entry_bp"]) < 20, report
        print(report[report.index("TRADES") :])
