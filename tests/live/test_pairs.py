"""A dry-run bot whose whitelist changes while it runs: pairs join, leave and come back."""

import json
from pathlib import Path

import pandas as pd
import pytest

from .rig import Rig

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"


def test_pairs_join_and_leave_without_a_restart(tmp_path: Path) -> None:
    with Rig(tmp_path, speed=240, pairs=[BTC]) as rig:
        whitelist = tmp_path / "pairs.json"

        def list_pairs(*pairs: str) -> None:
            whitelist.write_text(json.dumps({"pairs": pairs, "refresh_period": 30}))

        def predicted_since(pair: str, candle: pd.Timestamp) -> int:
            seen = rig.seen()
            if seen.empty:
                return 0
            mine = seen[(seen["pair"] == pair) & (seen["date"] > candle)]
            return int((mine["do_predict"] == 1).sum())

        def newest() -> pd.Timestamp:
            return rig.seen()["date"].max()

        config = json.loads((tmp_path / "config.json").read_text())
        config["exchange"]["pair_whitelist"] = []
        config["pairlists"] = [
            {
                "method": "RemotePairList",
                "mode": "whitelist",
                "pairlist_url": f"file:///{whitelist}",
                "number_assets": 10,
                "refresh_period": 30,
            }
        ]
        (tmp_path / "config.json").write_text(json.dumps(config))
        list_pairs(BTC, ETH)
        rig.start_exchange()
        bot = rig.start_bot()
        start = pd.Timestamp(0, tz="UTC")
        rig.wait(lambda: min(predicted_since(pair, start) for pair in (BTC, ETH)) > 2, 300)

        list_pairs(BTC, SOL)
        rig.wait(lambda: predicted_since(SOL, start) > 2, 300)
        assert f"{SOL}: joined the whitelist" in rig.log()

        list_pairs(BTC, ETH, SOL)
        back = newest()
        rig.wait(lambda: min(predicted_since(pair, back) for pair in (BTC, ETH, SOL)) > 2, 300)
        assert " - ERROR - " not in rig.log()
        assert rig.stop(bot) == 130

        seen = rig.seen()
        for pair in (BTC, SOL):
            mine = seen[seen["pair"] == pair]
            mine = mine[mine["date"] >= mine.loc[mine["do_predict"] == 1, "date"].iloc[0]]
            assert (mine["do_predict"] == 1).all()
