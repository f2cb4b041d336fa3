"""Statistics of forecasts, on series whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest

from freqai_lstm.tools.statistics import (
    Estimate,
    calibration,
    correlation,
    mean_statistic,
    newey_west_error,
    newey_west_lags,
    r_squared,
    rank_correlation,
    sign_accuracy,
)


def noise(seed: int, length: int = 2000) -> pd.Series:
    return pd.Series(np.random.default_rng(seed).normal(size=length))


def test_correlation_and_its_error_are_the_textbooks() -> None:
    left = noise(1)
    right = 0.5 * left + noise(2)
    estimate = correlation(left, right).estimate(0)
    assert estimate.value == pytest.approx(left.corr(right))
    assert estimate.standard_error == pytest.approx((1 - estimate.value**2) / math.sqrt(2000), 0.1)
    assert estimate.differs_from_zero
    assert rank_correlation(left, right).value == pytest.approx(left.corr(right, "spearman"))


def test_candles_without_a_value_are_left_out() -> None:
    left, right = noise(1), noise(2)
    holes = left.mask(left.index % 3 == 0)
    assert correlation(holes, right).value == pytest.approx(holes.corr(right))
    assert rank_correlation(holes, right).value == pytest.approx(holes.corr(right, "spearman"))
    assert (correlation(holes, right).contributions.iloc[::3] == 0).all()


def test_constant_has_no_correlation() -> None:
    estimate = correlation(noise(1), noise(1) * 0).estimate(0)
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.p_value)
    assert not estimate.differs_from_zero


def test_newey_west_error_of_a_sum_by_hand() -> None:
    contributions = pd.Series([1.0, 2.0, -3.0])
    assert newey_west_error(contributions, 0) == pytest.approx(math.sqrt(14))
    # One lag with weight 1/2, counted on both sides: 14 + 2 * 1/2 * (2 - 6).
    assert newey_west_error(contributions, 1) == pytest.approx(math.sqrt(10))


@pytest.mark.parametrize(
    ("candles", "overlap", "lags"), [(1000, 0, 6), (1000, 1, 6), (1000, 24, 48), (10, 24, 9)]
)
def test_lags_cover_twice_the_overlap(candles: int, overlap: int, lags: int) -> None:
    assert newey_west_lags(candles, overlap) == lags


def test_overlapping_returns_seldom_look_predictable() -> None:
    """A slow forecast of 12-candle returns that it knows nothing of, 150 times."""
    found = {"overlap": 0, "ignored": 0}
    for seed in range(150):
        random = np.random.default_rng(seed)
        steps, shocks = random.normal(size=(2, 1012))
        forecast = pd.Series(shocks).ewm(alpha=0.1).mean().iloc[:1000]
        returns = pd.Series(steps).rolling(12).sum().shift(-12).iloc[:1000]
        statistic = rank_correlation(forecast, returns)
        found["overlap"] += statistic.estimate(12).differs_from_zero
        naive = Estimate(statistic.value, newey_west_error(statistic.contributions, 0))
        found["ignored"] += naive.differs_from_zero
    assert found["overlap"] / 150 < 0.12
    assert found["ignored"] / 150 > 0.4


def test_difference_of_two_forecasts_of_the_same_truth() -> None:
    truth = noise(1)
    good, poor = truth + noise(2), truth + 3 * noise(3)
    gain = (correlation(good, truth) - correlation(poor, truth)).estimate(0)
    assert gain.value > 0.3
    assert gain.differs_from_zero
    same = (correlation(good, truth) - correlation(good, truth)).estimate(0)
    assert same.value == 0
    assert not same.differs_from_zero


def test_pairs_that_move_together_count_once() -> None:
    one = correlation(noise(1), noise(2))
    other = correlation(noise(3), noise(4))
    twice = mean_statistic([one, one]).estimate(0)
    assert twice.value == pytest.approx(one.value)
    assert twice.standard_error == pytest.approx(one.estimate(0).standard_error)
    mean = mean_statistic([one, other]).estimate(0)
    assert mean.standard_error < 0.8 * one.estimate(0).standard_error
    assert math.isnan(mean_statistic([]).value)


def test_r_squared_and_sign() -> None:
    truth = pd.Series([1.0, -1.0, 0.0, 2.0])
    assert r_squared(truth, truth) == 1
    assert r_squared(truth * 0 + truth.mean(), truth) == 0
    assert math.isnan(r_squared(truth, truth * 0))
    # The third candle has no sign to tell.
    assert sign_accuracy(pd.Series([1.0, 1.0, 5.0, 3.0]), truth) == pytest.approx(2 / 3)


def test_calibration_bins_are_equally_full_and_in_order() -> None:
    predicted = noise(1, 1000)
    bins = calibration(predicted, 2 * predicted + noise(2, 1000))
    assert [part.candles for part in bins] == [100] * 10
    assert [part.predicted for part in bins] == sorted(part.predicted for part in bins)
    assert all(abs(part.true - 2 * part.predicted) < 4 * part.true_error for part in bins)
    assert calibration(predicted * 0, predicted) == []
