"""A bot with fifty pairs keeps up, with the models of the shipped config."""

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from freqai_lstm.replay.synthetic import COINS, SyntheticMarket

from .rig import ROOT, Rig
from .seeds import SEED

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]

HOURS = 4
CANDLES = 12
LATEST = 60


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


def configure(rig: Rig, pairs: list[str], features: dict[str, Any], **freqai: Any) -> None:
    """Configure the shipped features, networks and training period, but for what is given."""
    shipped = json.loads((ROOT / "config-torch.json").read_text())["freqai"]
    kept = ("feature_parameters", "model_training_parameters", "train_period_days")
    section = {name: shipped[name] for name in kept} | {"expiration_hours": 24} | freqai
    section["feature_parameters"] |= {"include_corr_pairlist": pairs[:2]} | features
    rig.configure(**section)


def all_trained(rig: Rig, pairs: list[str], times: int = 1) -> None:
    """Wait until each pair was trained so often."""
    rig.wait(lambda: (trainings(rig)["pair"].value_counts() >= times).sum() == len(pairs), 3_600)


def test_every_pair_is_trained_every_hour(tmp_path: Path) -> None:
    pairs = record(tmp_path / "recorded", range(SEED, SEED + 5), "1h")
    # The bot has a thirtieth of the time that it has in reality.
    with Rig(tmp_path, speed=30, pairs=pairs, timeframe="1h", timeout_ms=30_000) as rig:
        # FreqAI trains when more than the interval has passed, so a little less than an hour.
        configure(rig, pairs, {}, live_retrain_hours=0.9)
        rig.start_exchange("--datadir", str(tmp_path / "recorded"))
        bot = rig.start_bot()
        # While the first models of others are trained, from scratch, a pair waits for its second.
        all_trained(rig, pairs, times=2)
        begun, began = rig.clock.time(), time.monotonic()
        rig.candles(HOURS, 3_600)
        seconds = time.monotonic() - began
        table, complaints = trainings(rig), rig.complaints()
        assert rig.stop(bot) == 130

    table = table[table["trained_at"] > begun - 3_600]
    gaps = table.groupby("pair")["trained_at"].diff().dropna() / 3_600
    print(f"{len(gaps)} retrainings in {HOURS} hours of the bot, {seconds:.0f} real seconds")
    print(f"hours between two of a pair: {gaps.median():.2f}, at most {gaps.max():.2f}")
    assert table.groupby("pair").size().min() >= HOURS
    assert gaps.max() <= 1
    assert complaints == []


def test_every_pair_is_predicted_within_a_minute(tmp_path: Path) -> None:
    pairs = record(tmp_path / "recorded", range(SEED, SEED + 5), "5m")
    with Rig(
        tmp_path, speed=3, pairs=pairs, timeframe="5m", timeout_ms=30_000, goes_on=True
    ) as rig:
        # As many candles as the shipped configuration trains on. With quicker sleep the bot would
        # hardly ever be idle, and its trainings have less time than in reality.
        timeframes = {"include_timeframes": ["5m", "15m", "1h"]}
        configure(rig, pairs, timeframes, train_period_days=10, live_retrain_hours=4)
        rig.start_exchange("--datadir", str(tmp_path / "recorded"))
        bot = rig.start_bot()
        all_trained(rig, pairs)
        begun = rig.clock.time()
        rig.candles(CANDLES, 3_600)
        seen, retrained, complaints = rig.seen(), trainings(rig), rig.complaints()
        assert rig.stop(bot) == 130

    late = seen[seen["date"].map(pd.Timestamp.timestamp) > begun]
    ages = late.groupby("date")["age"].max().iloc[:-1]
    print(f"{len(ages)} candles, {(retrained['trained_at'] > begun).sum()} trainings meanwhile")
    print(f"the last of {len(pairs)} pairs, after the close: median {ages.median():.0f} s, at most")
    print(f"{ages.max():.0f} s; a pair takes {1000 * late['seconds'].median():.0f} ms")
    assert late.groupby("date")["pair"].nunique().iloc[:-1].eq(len(pairs)).all()
    assert ages.max() < LATEST
    assert complaints == []
