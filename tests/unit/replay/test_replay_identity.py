"""Each market names itself, so that the models of one are not taken for those of another."""

from pathlib import Path

import pandas as pd

from freqai_lstm.replay.binance.overlay import replay_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.market import ShiftedMarket
from freqai_lstm.replay.recorded import RecordedMarket
from freqai_lstm.replay.synthetic import SyntheticMarket


def record(datadir: Path, close: float) -> RecordedMarket:
    folder = datadir / "futures"
    folder.mkdir(parents=True, exist_ok=True)
    dates = pd.date_range("2024-01-01", periods=48, freq="h", tz="UTC")
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    candles = pd.DataFrame({"date": dates, **prices, "volume": 5.0})
    candles.loc[47, ["high", "close"]] = close
    candles.to_feather(folder / "BTC_USDT_USDT-1h-futures.feather")
    return RecordedMarket(datadir)


def test_synthetic_markets_are_named_by_what_decides_their_candles() -> None:
    names = {
        SyntheticMarket(seed, end_ms=parse_day_ms(end), base_timeframe=base).identity
        for seed in (0, 1)
        for end in ("20230301", "20230401")
        for base in ("5m", "1h")
    }
    assert len(names) == 8
    listed = SyntheticMarket(pairs=["ETH/USDT:USDT"])
    assert listed.identity == SyntheticMarket().identity


def test_recorded_markets_are_named_by_their_prices(tmp_path: Path) -> None:
    first = record(tmp_path / "a", 101.0).identity
    assert record(tmp_path / "b", 101.0).identity == first
    assert record(tmp_path / "b", 102.0).identity != first


def test_moved_market_keeps_its_name() -> None:
    market = SyntheticMarket()
    assert ShiftedMarket(market, 21 * 86_400_000).identity == market.identity


def test_overlay_gives_each_market_an_identifier_of_its_own() -> None:
    overlays = [
        replay_overlay("http://127.0.0.1:1", SyntheticMarket(seed))["freqai"]["identifier"]
        for seed in (0, 1)
    ]
    assert overlays[0] != overlays[1]
    assert all(identifier.startswith("replay-futures-seed") for identifier in overlays)


def test_overlay_tells_the_models_of_spot_from_those_of_futures() -> None:
    overlay = replay_overlay("http://127.0.0.1:1", SyntheticMarket(trading_mode="spot"))
    assert overlay["freqai"]["identifier"].startswith("replay-spot-seed0-")
    assert overlay["exchange"]["ccxt_config"]["options"]["fetchMarkets"] == {"types": ["spot"]}
