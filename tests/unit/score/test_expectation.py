"""What a forecast is worth after its costs."""

import numpy as np
import pandas as pd
import pytest
from unit_candles import random_walk

from freqai_lstm.score import Hysteresis, in_round_trips, range_share, smoothed

RULES = Hysteresis(entry=1.0, exit=0.25, full=4.0)


def test_smoothing_halves_a_forecast_after_its_half_life() -> None:
    forecast = pd.Series([0.0] * 500 + [1.0] + [0.0] * 10)
    found = smoothed(forecast, 5)
    assert found.iloc[505] == pytest.approx(found.iloc[500] / 2)
    assert found.iloc[500] == pytest.approx(1 - 0.5 ** (1 / 5))


def test_no_half_life_is_the_forecast_itself() -> None:
    forecast = pd.Series([1.0, np.nan, -2.0])
    pd.testing.assert_series_equal(smoothed(forecast, 0), forecast)


def test_nothing_is_promised_where_nothing_was_predicted() -> None:
    found = smoothed(pd.Series([1.0, np.nan, 1.0]), 3)
    assert found.isna().tolist() == [False, True, False]
    assert not RULES.enters(found).iloc[1]
    assert not RULES.leaves(found).iloc[1]


def test_smoothing_looks_back_alone() -> None:
    forecast = pd.Series(np.random.default_rng(0).normal(size=50))
    pd.testing.assert_series_equal(smoothed(forecast, 4)[:30], smoothed(forecast[:30], 4))


def test_promise_is_the_expected_return_less_funding_in_round_trips() -> None:
    candles = random_walk(40)
    found = in_round_trips(candles, pd.Series(2.0, candles.index), costs=0.002, funding=0.001)
    expected = (2 * range_share(candles) - 0.001) / 0.002
    pd.testing.assert_series_equal(found, expected)


def test_a_position_is_entered_on_much_and_left_on_little() -> None:
    promise = pd.Series([1.1, 1.0, 0.5, 0.25, 0.2, -1.1])
    assert RULES.enters(promise).tolist() == [True, False, False, False, False, False]
    assert RULES.leaves(promise).tolist() == [False, False, False, False, True, True]
    assert RULES.enters(-promise).tolist() == [False] * 5 + [True]


def test_what_is_entered_is_not_left_at_once() -> None:
    promise = pd.Series(np.linspace(-3, 3, 61))
    rules = Hysteresis(entry=0.5, exit=2.0, full=4.0)
    assert not (rules.enters(promise) & rules.leaves(promise)).any()


@pytest.mark.parametrize(("promise", "share"), [(2.0, 0.5), (8.0, 1.0), (-1.0, 0.0)])
def test_stake_follows_the_promise(promise: float, share: float) -> None:
    assert RULES.share(promise) == pytest.approx(share)
