"""Each indicator against numbers worked out by hand, and where it is not defined."""

import inspect
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_candles import flat_candles, random_walk, rewritten_after

from freqai_lstm.score import indicators
from freqai_lstm.score.indicators import (
    average_true_range,
    band_position,
    bollinger_bands,
    in_ranges,
    log_volume_ratio,
    neutral_after,
    rolling_mean_to_std,
    rolling_zscore,
)

NAN = float("nan")


def true_range(candles: pd.DataFrame) -> pd.Series:
    return talib.ATR(candles["high"], candles["low"], candles["close"], 14)


PER_CANDLE: dict[str, Callable[[pd.DataFrame], pd.DataFrame | pd.Series]] = {
    "rolling_zscore": lambda candles: rolling_zscore(candles["close"], 10),
    "rolling_mean_to_std": lambda candles: rolling_mean_to_std(candles["volume"], 10),
    "bollinger_bands": lambda candles: pd.concat(bollinger_bands(candles["close"], 20), axis=1),
    "average_true_range": lambda candles: average_true_range(candles, 14),
    "band_position": lambda candles: band_position(
        candles["close"], candles["high"], candles["low"]
    ),
    "in_ranges": lambda candles: in_ranges(candles["close"].diff(), true_range(candles)),
    "neutral_after": lambda candles: neutral_after(average_true_range(candles, 14), 5),
    "log_volume_ratio": lambda candles: log_volume_ratio(candles["volume"], 10),
}
WARMUP_CANDLES = {
    "rolling_zscore": 9,
    "rolling_mean_to_std": 9,
    "bollinger_bands": 19,
    "average_true_range": 14,
    "band_position": 0,
    "in_ranges": 14,
    "neutral_after": 5,
    "log_volume_ratio": 9,
}


def assert_values(series: pd.Series, expected: list[float]) -> None:
    np.testing.assert_allclose(series.to_numpy(), expected, rtol=1e-12)


def prices(*values: float) -> pd.Series:
    return pd.Series(values, dtype=float)


def test_every_indicator_is_tested_for_looking_ahead() -> None:
    public = {
        name
        for name, function in inspect.getmembers(indicators, inspect.isfunction)
        if function.__module__ == indicators.__name__ and not name.startswith("_")
    }
    assert set(PER_CANDLE) == set(WARMUP_CANDLES) == public


@settings(max_examples=25)
@given(
    last=st.integers(0, 78),
    seed=st.integers(0, 50),
    factor=st.sampled_from([0.0, 1e-6, 0.5, 1.0, 1e6, np.nan]),
)
@pytest.mark.parametrize("name", PER_CANDLE)
def test_candles_after_a_row_change_nothing_up_to_it(
    name: str, last: int, seed: int, factor: float
) -> None:
    candles = random_walk(80, seed)
    rewritten = rewritten_after(candles, last, seed, factor)
    before, after = PER_CANDLE[name](candles), PER_CANDLE[name](rewritten)
    assert before.iloc[: last + 1].equals(after.iloc[: last + 1])


@pytest.mark.parametrize("name", PER_CANDLE)
def test_warm_up_is_exactly_as_long_as_documented(name: str) -> None:
    values = pd.DataFrame(PER_CANDLE[name](random_walk(60)))
    assert values.iloc[: WARMUP_CANDLES[name]].isna().all(axis=None)
    assert values.iloc[WARMUP_CANDLES[name] :].notna().all(axis=None)


@pytest.mark.parametrize("name", PER_CANDLE)
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_short_history_keeps_its_rows(name: str, rows: int) -> None:
    assert len(PER_CANDLE[name](random_walk(rows))) == rows


@pytest.mark.parametrize("name", PER_CANDLE)
def test_flat_price_and_no_volume_are_never_infinite(name: str) -> None:
    values = pd.DataFrame(PER_CANDLE[name](flat_candles(60).assign(volume=0.0)))
    assert not np.isinf(values).any(axis=None)


# rolling_zscore and rolling_mean_to_std


def test_rolling_zscore_by_hand() -> None:
    # 1, 2, 3 have mean 2 and variance 1; 2, 3, 7 have mean 4 and variance 14 / 2.
    z = rolling_zscore(prices(1, 2, 3, 7), 3)
    assert_values(z, [NAN, NAN, 1.0, 3 / math.sqrt(7)])


def test_rolling_zscore_of_two_values_is_half_the_root_of_two() -> None:
    z = rolling_zscore(prices(5, 9, 2, 2), 2)
    assert_values(z, [NAN, math.sqrt(0.5), -math.sqrt(0.5), NAN])


@pytest.mark.parametrize("indicator", [rolling_zscore, rolling_mean_to_std])
def test_a_rolling_statistic_knows_nothing_of_the_candles_before_its_window(
    indicator: Callable[[pd.Series, int], pd.Series],
) -> None:
    values = pd.Series(np.random.default_rng(5).normal(1e5, 1, 400).cumsum())
    values.iloc[:200] *= 1e6
    whole, late = indicator(values, 14), indicator(values.iloc[200:], 14)
    pd.testing.assert_series_equal(whole.iloc[213:], late.iloc[13:], check_exact=True)


def test_rolling_zscore_starts_after_a_missing_value() -> None:
    z = rolling_zscore(prices(1, 2, 3, NAN, 1, 2, 3), 3)
    assert_values(z, [NAN, NAN, 1.0, NAN, NAN, NAN, 1.0])


def test_rolling_mean_to_std_by_hand() -> None:
    ratio = rolling_mean_to_std(prices(1, 2, 3, 7, 7, 7), 3)
    assert_values(ratio, [NAN, NAN, 2.0, 4 / math.sqrt(7), 17 / math.sqrt(48), NAN])


# bollinger_bands and band_position


def test_bollinger_bands_by_hand() -> None:
    upper, middle, lower = bollinger_bands(prices(1, 2, 3, 4, 5), 5)
    # Two population standard deviations: sqrt((4 + 1 + 0 + 1 + 4) / 5).
    assert_values(upper, [NAN] * 4 + [3 + 2 * math.sqrt(2)])
    assert_values(middle, [NAN] * 4 + [3])
    assert_values(lower, [NAN] * 4 + [3 - 2 * math.sqrt(2)])


@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-3, 0.7])
def test_bollinger_bands_of_a_cheap_coin_have_the_same_shape(unit: float) -> None:
    close = random_walk(60)["close"] / 100
    cheap, dear = bollinger_bands(close * unit, 20), bollinger_bands(close, 20)
    for band, expected in zip(cheap, dear, strict=True):
        pd.testing.assert_series_equal(band / unit, expected, rtol=1e-9, check_names=False)


# A mean of twenty times 0.3 or 12345.678 is not quite the same number.
@pytest.mark.parametrize("price", [100.0, 0.3, 12345.678, 3e-7])
def test_bollinger_bands_of_a_flat_price_coincide_exactly(price: float) -> None:
    close = prices(price * 1.1, price * 0.9, *[price] * 8)
    upper, middle, lower = (band.to_numpy() for band in bollinger_bands(close, 5))
    assert (upper[:6] > lower[:6])[4:].all()
    assert (upper[6:] == price).all()
    assert (middle[6:] == price).all()
    assert (lower[6:] == price).all()


def test_band_position_by_hand() -> None:
    position = band_position(
        prices(1, 3, 2, 4, 0, 5), upper=prices(3, 3, 3, 3, 3, 5), lower=prices(1, 1, 1, 1, 1, 5)
    )
    assert_values(position, [0.0, 1.0, 0.5, 1.5, -0.5, 0.5])


# average_true_range


def test_average_true_range_by_hand() -> None:
    candles = pd.DataFrame(
        {
            "high": [10.0, 12.0, 11.0, 20.0],
            "low": [9.0, 10.0, 5.0, 18.0],
            "close": [10.0, 11.0, 6.0, 19.0],
        }
    )
    # True ranges 2, 6 and, with the gap from 6, 14: (2 + 6) / 2, then (4 + 14) / 2.
    assert_values(average_true_range(candles, 2), [NAN, NAN, 4.0, 9.0])


def test_average_true_range_of_a_flat_price_is_missing() -> None:
    assert average_true_range(flat_candles(40), 14).isna().all()


# log_volume_ratio


def test_log_volume_ratio_by_hand() -> None:
    ratio = log_volume_ratio(prices(5, 3, 0, 8), 2)
    # 3 of a mean of 4, none of 1.5, 8 of 4; a hundredth is added to each share and to the whole.
    expected = [math.log((share + 0.01) / 1.01) for share in (0.75, 0, 2)]
    assert_values(ratio, [NAN, *expected])


def test_log_volume_ratio_is_zero_at_the_usual_volume() -> None:
    assert_values(log_volume_ratio(prices(8, 8, 8), 2), [NAN, 0.0, 0.0])


def test_log_volume_ratio_is_neutral_without_a_trade_within_the_window() -> None:
    ratio = log_volume_ratio(prices(0.3, 0.1, 0, 0, 0, 7), 3)
    assert ratio.isna().tolist() == [True, True, False, False, False, False]
    assert ratio[4] == 0


def test_nothing_moves_in_ranges_of_a_flat_price() -> None:
    candles = pd.DataFrame({name: [5.0] * 20 for name in ("open", "high", "low", "close")})
    moved = in_ranges(candles["close"].diff(), true_range(candles))
    assert moved.isna().tolist() == [True] * 14 + [False] * 6
    assert (moved[14:] == 0).all()


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_log_volume_ratio_does_not_depend_on_the_unit(unit: float) -> None:
    volume = random_walk(40)["volume"]
    pd.testing.assert_series_equal(
        log_volume_ratio(volume * unit, 10), log_volume_ratio(volume, 10), rtol=1e-9
    )
