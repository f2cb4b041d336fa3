"""A bot with fifty pairs keeps its retraining interval, with the models of the shipped config."""

import json
import time
from pathlib import Path

import pandas as pd
import pytest

from freqai_lstm.replay.synthetic import COINS, SyntheticMarket

from .rig import ROOT, Rig
from .seeds import SEED

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]

HOURS = 4


def record(datadir: Path, seeds: range, timeframe: str) -> list[str]:
    """Write the candles of ten synthetic pairs for each seed, as freqtrade stores them.

    :return: The pairs.
    """
    (datadir / "futures").mkdir(parents=True)
    pairs = []
    for seed in seeds:
        market = SyntheticMarket(seed, base_timeframe=timeframe)
        for coin in COINS:
            base = f"{coin.listing.base}{seed}"
            pairs.append(f"{base}/USDT:USDT")
            for kind, price in (("futures", "last"), ("mark", "mark")):
                columns = vars(market.candles(coin.listing.symbol, price, timeframe))
                candles = pd.DataFrame({"date": columns["open_ms"], **columns})
                candles["date"] = pd.to_datetime(candles["date"], unit="ms", utc=True)
                file = f"{base}_USDT_USDT-{timeframe}-{kind}.feather"
                candles.drop(columns="open_ms").to_feather(datadir / "futures" / file)
    return pairs


def trainings(rig: Rig) -> pd.DataFrame:
    """Return when which pair was trained, on the bot's clock, from the models on the disk."""
    folders = [folder.name.rsplit("_", 1) for folder in rig.models.glob("sub-train-*")]
    table = pd.DataFrame(folders, columns=["pair", "trained_at"])
    return table.astype({"trained_at": int}).sort_values("trained_at")


def test_every_pair_is_trained_every_hour(tmp_path: Path) -> None:
    pairs = record(tmp_path / "recorded", range(SEED, SEED + 5), "1h")
    shipped = json.loads((ROOT / "config-torch.json").read_text())["freqai"]
    shipped["feature_parameters"]["include_corr_pairlist"] = pairs[:2]
    with Rig(tmp_path, speed=30, pairs=pairs, timeframe="1h", timeout_ms=30_000) as rig:
        # FreqAI trains when more than the interval has passed, so a little less than an hour.
        rig.configure(
            feature_parameters=shipped["feature_parameters"],
            model_training_parameters=shipped["model_training_parameters"],
            train_period_days=shipped["train_period_days"],
            live_retrain_hours=0.9,
            expiration_hours=24,
        )
        rig.start_exchange("--datadir", str(tmp_path / "recorded"))
        bot = rig.start_bot()
        rig.wait(lambda: trainings(rig)["pair"].nunique() == len(pairs), 3_600)
        begun, began = rig.clock.time(), time.monotonic()
        rig.candles(HOURS, 3_600)
        seconds = time.monotonic() - began
        table, log = trainings(rig), rig.log()
        assert rig.stop(bot) == 130

    table = table[table["trained_at"] > begun - 3_600]
    gaps = table.groupby("pair")["trained_at"].diff().dropna() / 3_600
    print(f"{len(gaps)} retrainings in {HOURS} hours of the bot, {seconds:.0f} real seconds")
    print(f"hours between two of a pair: {gaps.median():.2f}, at most {gaps.max():.2f}")
    assert table.groupby("pair").size().min() >= HOURS
    assert gaps.max() <= 1
    assert " - ERROR - " not in log
    assert "did not predict" not in log
