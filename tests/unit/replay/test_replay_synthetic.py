"""The synthetic market."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from replay_markets import day_of, digest

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import DAY_MS, HOUR_MS, aggregate
from freqai_lstm.replay.market import Candles
from freqai_lstm.replay.synthetic import DEFAULT_END_MS, DEFAULT_START_MS, SyntheticMarket

COINS = ["BTC", "ETH", "LTC", "BNB", "XRP", "ADA", "DOT", "SOL", "LINK", "AVAX"]


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(11)


def hourly_returns(market: SyntheticMarket, symbol: str) -> np.ndarray:
    hours = aggregate(market.candles(symbol, "last", "5m"), "1h")
    return np.diff(np.log(hours.close))


def test_another_process_makes_the_same_market(two_months: SyntheticMarket) -> None:
    script = (
        "from replay_markets import digest\n"
        "from freqai_lstm.replay.synthetic import SyntheticMarket\n"
        "pairs = ['ETH/USDT:USDT', 'BTC/USDT:USDT']\n"
        f"span = dict(start_ms={two_months.start_ms}, end_ms={two_months.end_ms})\n"
        "print(digest(SyntheticMarket(5, pairs=pairs, **span)))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path), str(Path.cwd())])
    other = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert other.stdout.strip() == digest(two_months)


def test_another_seed_makes_another_market() -> None:
    span = {"start_ms": day_of("20240101"), "end_ms": day_of("20240103")}
    assert digest(SyntheticMarket(1, **span)) != digest(SyntheticMarket(2, **span))


def test_a_pair_does_not_depend_on_the_other_pairs(two_months: SyntheticMarket) -> None:
    alone = SyntheticMarket(
        5, start_ms=two_months.start_ms, end_ms=two_months.end_ms, pairs=["ETH/USDT:USDT"]
    )
    np.testing.assert_array_equal(
        alone.candles("ETHUSDT", "last", "5m").close,
        two_months.candles("ETHUSDT", "last", "5m").close,
    )


def test_spot_has_the_candles_of_futures_under_its_own_names(two_months: SyntheticMarket) -> None:
    span = {"start_ms": two_months.start_ms, "end_ms": two_months.end_ms}
    spot = SyntheticMarket(5, trading_mode="spot", pairs=["BTC/USDT", "ETH/USDT"], **span)
    assert [listing.pair for listing in spot.listings] == ["BTC/USDT", "ETH/USDT"]
    assert digest(spot) == digest(two_months)


def test_ten_pairs_from_2023_to_june_2024(market: SyntheticMarket) -> None:
    assert [listing.pair for listing in market.listings] == [f"{coin}/USDT:USDT" for coin in COINS]
    assert str(market) == "10 pairs, 5m candles, 2023-01-01 to 2024-06-30"


@pytest.mark.parametrize("coin", COINS)
def test_candles_are_consistent(market: SyntheticMarket, coin: str) -> None:
    candles = market.candles(f"{coin}USDT", "last", "5m")
    assert_consistent(candles)
    assert candles.open_ms[0] == DEFAULT_START_MS
    assert candles.open_ms[-1] == DEFAULT_END_MS - 300_000
    assert (np.diff(candles.open_ms) == 300_000).all()
    assert (candles.open[1:] == candles.close[:-1]).all()
    assert candles.volume.min() > 0
    listing = next(listing for listing in market.listings if listing.base == coin)
    for values in (candles.open, candles.high, candles.low, candles.close):
        np.testing.assert_array_equal(values, np.round(values, listing.price_decimals))
    np.testing.assert_array_equal(
        candles.volume, np.round(candles.volume, listing.quantity_decimals)
    )


@pytest.mark.parametrize("coin", COINS)
def test_mark_prices_stay_close_to_last_prices(market: SyntheticMarket, coin: str) -> None:
    last = market.candles(f"{coin}USDT", "last", "5m")
    mark = market.candles(f"{coin}USDT", "mark", "5m")
    assert_consistent(mark)
    np.testing.assert_array_equal(mark.open_ms, last.open_ms)
    np.testing.assert_allclose(mark.close, last.close, rtol=0.002)
    assert not np.array_equal(mark.close, last.close)


def assert_consistent(candles: Candles) -> None:
    """Check that low <= open, close <= high and that prices are positive."""
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert candles.low.min() > 0
    assert np.isfinite(candles.high).all()


def test_funding_is_settled_every_eight_hours_near_a_hundredth_of_a_percent(
    market: SyntheticMarket,
) -> None:
    rates = market.funding_rates("BTCUSDT")
    assert (np.diff(rates.time_ms) == 8 * HOUR_MS).all()
    assert rates.time_ms[0] == DEFAULT_START_MS
    assert 0.00005 < rates.rate.mean() < 0.00015
    assert np.abs(rates.rate).max() < 0.001
    assert (rates.rate < 0).any()


@pytest.mark.parametrize("seed", [0, 11, 12])
def test_prices_stay_in_a_sane_range(seed: int) -> None:
    market = SyntheticMarket(seed)
    for coin in ("BTC", "ADA", "SOL"):
        candles = market.candles(f"{coin}USDT", "last", "5m")
        assert candles.low.min() > candles.open[0] / 6
        assert candles.high.max() < candles.open[0] * 6


def test_returns_look_like_those_of_coins(market: SyntheticMarket) -> None:
    returns = np.array([hourly_returns(market, f"{coin}USDT") for coin in COINS])
    assert returns.std(axis=1).min() > 0.004
    assert returns.std(axis=1).max() < 0.012
    correlation = np.corrcoef(returns)
    others = correlation[np.triu_indices(len(COINS), 1)]
    assert others.min() > 0.55
    assert others.max() < 0.9
    assert 0.6 < others.mean() < 0.8
    standard = (returns - returns.mean(axis=1, keepdims=True)) / returns.std(axis=1, keepdims=True)
    assert ((standard**4).mean(axis=1) > 5).all()


def test_volatility_clusters_and_volume_follows_it(market: SyntheticMarket) -> None:
    hours = aggregate(market.candles("BTCUSDT", "last", "5m"), "1h")
    size = np.abs(np.diff(np.log(hours.close)))
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.15
    assert np.corrcoef(size[24:], size[:-24])[0, 1] > 0.05
    assert np.corrcoef(size, hours.volume[1:])[0, 1] > 0.4
    by_hour = [hours.volume[hours.open_ms // HOUR_MS % 24 == hour].mean() for hour in (3, 15)]
    assert by_hour[1] > 1.3 * by_hour[0]


def test_volume_rises_with_the_move_of_the_same_candle(market: SyntheticMarket) -> None:
    candles = market.candles("BTCUSDT", "last", "5m")
    size = np.abs(np.log(candles.close / candles.open))
    usual = np.convolve(candles.volume, np.ones(25) / 25, mode="same")
    usual_size = np.convolve(size, np.ones(25) / 25, mode="same")
    assert np.corrcoef(candles.volume / usual, size / usual_size)[0, 1] > 0.4


def test_trends_make_up_for_ranges() -> None:
    """Ranges alone would take back much of a day's move within three days."""
    ratios = []
    for seed in range(4):
        days = aggregate(SyntheticMarket(seed).candles("BTCUSDT", "last", "5m"), "1d")
        returns = np.diff(np.log(days.close))
        three_days = np.add.reduceat(returns, np.arange(0, len(returns), 3))
        ratios.append(three_days.var() / (3 * returns.var()))
    assert 0.97 < np.mean(ratios) < 1.3


def test_another_seed_moves_the_whole_market_another_way(market: SyntheticMarket) -> None:
    other = hourly_returns(SyntheticMarket(12), "BTCUSDT")
    assert abs(np.corrcoef(other, hourly_returns(market, "BTCUSDT"))[0, 1]) < 0.05


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h"])
def test_other_base_timeframes(timeframe: str) -> None:
    market = SyntheticMarket(
        1, start_ms=day_of("20240101"), end_ms=day_of("20240201"), base_timeframe=timeframe
    )
    candles = market.candles("BTCUSDT", "last", timeframe)
    assert_consistent(candles)
    assert market.timeframes("BTCUSDT", "last") == [timeframe]
    hours = aggregate(candles, "1h")
    assert 0.003 < np.diff(np.log(hours.close)).std() < 0.01
    assert str(market) == f"10 pairs, {timeframe} candles, 2024-01-01 to 2024-01-31"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "seed must not be negative; was -1"),
        ({"base_timeframe": "3m"}, "one of 1m, 5m, 15m, 1h; was '3m'"),
        ({"start_ms": DEFAULT_END_MS}, "at least one whole UTC day"),
        ({"start_ms": DEFAULT_START_MS + 1}, "from midnight to midnight"),
        ({"start_ms": -DAY_MS}, "at least one whole UTC day"),
        ({"pairs": ["DOGE/USDT:USDT"]}, "was asked for DOGE/USDT:USDT"),
        ({"pairs": []}, "was asked for none"),
        (
            {"trading_mode": "spot", "pairs": ["BTC/USDT:USDT"]},
            "spot market has the pairs BTC/USDT, .*; was asked for BTC/USDT:USDT",
        ),
    ],
)
def test_bad_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ReplayError, match=message):
        SyntheticMarket(**values)  # type: ignore[arg-type]
