"""Faults of candles, each put into candles that have none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_candles import random_walk

from freqai_lstm.tools.doctor.quality import Fault, find_faults

PRICES = ["open", "high", "low", "close"]
ROWS = 200


def dated(candles: pd.DataFrame) -> pd.DataFrame:
    """Give candles the hours since 2024 as their dates."""
    dates = pd.date_range("2024-01-01", periods=len(candles), freq="h", tz="UTC", unit="ms")
    return candles.assign(date=dates)


@pytest.fixture
def candles() -> pd.DataFrame:
    return dated(random_walk(ROWS))


def found(candles: pd.DataFrame, **options: bool) -> dict[Fault, tuple[int, int | None]]:
    """Return how many candles have each fault, and the row of the first."""
    start = pd.Timestamp("2024-01-01", tz="UTC")
    return {
        each.fault: (
            each.candles,
            None if each.first is None else (each.first - start) // pd.Timedelta("1h"),
        )
        for each in find_faults(candles, **options)
    }


def still(candles: pd.DataFrame, rows: slice) -> None:
    """Let the price stand still, with a volume."""
    candles.loc[rows, PRICES] = candles["close"].iloc[rows.start - 1]


def test_candles_without_faults_have_none(candles: pd.DataFrame) -> None:
    assert found(candles) == {}


@pytest.mark.parametrize("column", [*PRICES, "volume"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_found(candles: pd.DataFrame, column: str, value: float) -> None:
    candles.loc[[30, 70], column] = value
    assert found(candles)[Fault.NOT_FINITE] == (2, 30)


def test_date_that_is_none_is_found_without_a_place(candles: pd.DataFrame) -> None:
    candles.loc[30, "date"] = pd.NaT
    assert found(candles) == {Fault.NOT_FINITE: (1, None)}


def test_duplicates_are_found_at_the_second_one(candles: pd.DataFrame) -> None:
    twice = pd.concat([candles.iloc[:50], candles.iloc[47:]], ignore_index=True)
    faults = found(twice)
    assert faults[Fault.DUPLICATE] == (3, 47)
    assert faults[Fault.UNSORTED] == (1, 47)


def test_order_is_found_where_it_is_broken(candles: pd.DataFrame) -> None:
    swapped = pd.concat([candles.iloc[100:], candles.iloc[:100]], ignore_index=True)
    assert found(swapped) == {Fault.UNSORTED: (1, 0)}


@pytest.mark.parametrize("price", [0.0, -1.0])
def test_price_of_zero_or_less_is_found(candles: pd.DataFrame, price: float) -> None:
    candles.loc[30, "low"] = price
    assert found(candles) == {Fault.NOT_POSITIVE: (1, 30)}


@pytest.mark.parametrize(
    ("column", "factor"), [("high", 0.97), ("low", 1.03), ("close", 1.1), ("open", 0.9)]
)
def test_open_and_close_beyond_high_and_low_are_found(
    candles: pd.DataFrame, column: str, factor: float
) -> None:
    candles.loc[30, column] *= factor
    assert found(candles) == {Fault.INCONSISTENT: (1, 30)}


def test_rounding_is_no_fault(candles: pd.DataFrame) -> None:
    candles["high"] = candles[["open", "close"]].max(axis="columns") * (1 - 1e-12)
    assert found(candles) == {}


@pytest.mark.parametrize("factor", [0.4, 2.5, 100.0])
def test_candle_that_is_far_off_is_a_spike(candles: pd.DataFrame, factor: float) -> None:
    candles.loc[30, PRICES] *= factor
    assert found(candles) == {Fault.SPIKE: (1, 30)}


@pytest.mark.parametrize(("column", "factor"), [("high", 2.5), ("low", 0.4)])
def test_wick_that_is_far_off_is_a_spike(candles: pd.DataFrame, column: str, factor: float) -> None:
    candles.loc[30, column] *= factor
    assert found(candles) == {Fault.SPIKE: (1, 30)}


def test_two_wrong_candles_are_two_spikes(candles: pd.DataFrame) -> None:
    candles.loc[30:31, PRICES] *= 10
    assert found(candles) == {Fault.SPIKE: (2, 30)}


def test_price_that_stays_elsewhere_is_no_spike(candles: pd.DataFrame) -> None:
    candles.loc[100:, PRICES] *= 10
    assert found(candles) == {}


def test_crash_that_comes_back_by_half_is_no_spike(candles: pd.DataFrame) -> None:
    # As true prices did: down by 45 percent within an hour, and half of it back in the next.
    candles.loc[100, ["low", "close"]] = candles.loc[99, "close"] * np.array([0.55, 0.67])
    candles.loc[101:, PRICES] *= 0.83
    candles.loc[101, "low"] = candles.loc[101, ["open", "close"]].min() * 0.9
    assert found(candles) == {}


def test_wild_coin_may_go_far() -> None:
    calm, wild = dated(random_walk(ROWS)), dated(random_walk(ROWS))
    # Daily candles of a small coin: returns of five percent where the others have one.
    wild[PRICES] = 100 * (wild[PRICES] / 100) ** 5
    for candles in (calm, wild):
        candles.loc[30, "high"] *= 2.5
    assert Fault.SPIKE in found(calm)
    assert Fault.SPIKE not in found(wild)


@pytest.mark.parametrize(("rows", "faulty"), [(19, False), (20, True), (50, True)])
def test_price_that_stands_still_for_long_is_found(
    candles: pd.DataFrame, rows: int, faulty: bool
) -> None:
    still(candles, slice(40, 39 + rows))
    assert found(candles) == ({Fault.FLAT: (rows, 40)} if faulty else {})


def test_longest_stretch_is_named(candles: pd.DataFrame) -> None:
    still(candles, slice(40, 64))
    still(candles, slice(100, 129))
    (flat,) = find_faults(candles)
    assert (flat.candles, flat.note) == (25 + 30, "longest 30 in a row")


@pytest.mark.parametrize(("rows", "faulty"), [(9, False), (10, True), (25, True)])
def test_candles_without_volume_are_found(candles: pd.DataFrame, rows: int, faulty: bool) -> None:
    candles.loc[40 : 39 + rows, "volume"] = 0.0
    assert found(candles) == ({Fault.NO_VOLUME: (rows, 40)} if faulty else {})
    assert found(candles, traded=False) == {}


def test_long_stretch_without_volume_is_found_however_small_its_share() -> None:
    candles = dated(random_walk(2_000))
    candles.loc[40:59, "volume"] = 0.0
    (empty,) = find_faults(candles)
    assert (empty.fault, empty.candles) == (Fault.NO_VOLUME, 20)
    assert empty.note == "1.0% of all, longest 20 in a row"


def test_rates_have_no_prices_to_compare() -> None:
    dates = pd.date_range("2024-01-01", periods=5, freq="8h", tz="UTC")
    rates = pd.DataFrame({"date": dates, "funding_rate": [0.0, -1e-4, np.nan, 5.0, 1e-4]})
    assert [(each.fault, each.candles) for each in find_faults(rates)] == [(Fault.NOT_FINITE, 1)]


@given(seed=st.integers(0, 1_000), rows=st.integers(1, 60), price=st.sampled_from([1e-8, 1.0, 1e6]))
def test_ordinary_candles_are_never_faulty(seed: int, rows: int, price: float) -> None:
    assert found(dated(random_walk(rows, seed, price))) == {}
