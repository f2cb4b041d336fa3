"""Mean and standard deviation of the latest predictions, against FreqAI's row-by-row fit."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from freqai_lstm.bridge.kitchen import latest_statistics, rolling_statistics

LABELS = ["&-a", "&-b"]


def make_predictions(rows: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal([0, 100], [1, 7], (rows, 2))
    return pd.DataFrame(values, columns=LABELS)


def fit(series: pd.Series) -> tuple[float, float]:
    """Fit a normal distribution, as FreqAI does."""
    mean, std = scipy.stats.norm.fit(series)
    return mean, std


@settings(max_examples=30)
@given(rows=st.integers(0, 40), candles=st.integers(1, 12), seed=st.integers(0, 99))
def test_rolling_statistics_are_those_of_a_fit_for_every_row(
    rows: int, candles: int, seed: int
) -> None:
    predictions = make_predictions(rows, seed)
    statistics = rolling_statistics(predictions, candles)
    assert set(statistics) == {"mean", "std"}
    for label in LABELS:
        expected = [fit(predictions[label][row - candles : row]) for row in range(candles, rows)]
        mean, std = (statistics[name][label].tolist() for name in ("mean", "std"))
        np.testing.assert_allclose(mean, [m for m, _ in expected], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(std, [s for _, s in expected], rtol=1e-9, atol=1e-9)


@settings(max_examples=30)
@given(rows=st.integers(1, 40), candles=st.integers(1, 50), seed=st.integers(0, 99))
def test_latest_statistics_are_those_of_a_fit_of_the_newest_rows(
    rows: int, candles: int, seed: int
) -> None:
    predictions = make_predictions(rows, seed)
    means, stds = latest_statistics(predictions, candles)
    for label in LABELS:
        mean, std = fit(predictions[label].tail(candles))
        assert means[label] == pytest.approx(mean, rel=1e-9, abs=1e-9)
        assert stds[label] == pytest.approx(std, rel=1e-9, abs=1e-9)


def test_latest_statistics_by_hand() -> None:
    predictions = pd.DataFrame({"&-a": [99.0, 1.0, 3.0], "&-b": [99.0, 5.0, 5.0]})
    assert latest_statistics(predictions, 2) == ({"&-a": 2, "&-b": 5}, {"&-a": 1, "&-b": 0})


def test_latest_statistics_are_plain_numbers() -> None:
    for statistic in latest_statistics(make_predictions(5), 3):
        assert {type(value) for value in statistic.values()} == {float}


def test_rolling_statistics_by_hand() -> None:
    predictions = pd.DataFrame({"&-a": [1.0, 3.0, 7.0, 0.0]}, index=[10, 11, 12, 13])
    statistics = rolling_statistics(predictions, 2)
    # The row itself is not counted: live, it is not predicted yet.
    assert statistics["mean"]["&-a"].to_dict() == {12: 2.0, 13: 5.0}
    assert statistics["std"]["&-a"].to_dict() == {12: 1.0, 13: 2.0}


def test_newest_prediction_and_later_ones_do_not_count() -> None:
    predictions = make_predictions(20)
    before = rolling_statistics(predictions, 5)
    predictions.loc[12:] = 1e9
    after = rolling_statistics(predictions, 5)
    for name in ("mean", "std"):
        pd.testing.assert_frame_equal(before[name].loc[:12], after[name].loc[:12])


def test_rows_without_a_prediction_do_not_count() -> None:
    predictions = make_predictions(30)
    predictions.loc[[3, 4, 11, 12, 13, 14, 15, 20]] = np.nan
    statistics = rolling_statistics(predictions, 6)
    for row in range(6, 30):
        known = predictions["&-a"][row - 6 : row].dropna()
        mean, std = fit(known)
        assert statistics["mean"]["&-a"][row] == pytest.approx(mean)
        assert statistics["std"]["&-a"][row] == pytest.approx(std, abs=1e-12)
    mean, std = fit(predictions["&-b"].tail(12).dropna())
    means, stds = latest_statistics(predictions, 12)
    assert (means["&-b"], stds["&-b"]) == pytest.approx((mean, std))


@pytest.mark.parametrize("candles", [3, 10])
def test_nothing_predicted_has_zero_statistics_and_no_warning(candles: int) -> None:
    predictions = pd.DataFrame(np.nan, index=range(10), columns=LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert latest_statistics(predictions, candles) == (
            dict.fromkeys(LABELS, 0.0),
            dict.fromkeys(LABELS, 0.0),
        )
        statistics = rolling_statistics(predictions, candles)
    assert (statistics["mean"] == 0).all(axis=None)
    assert (statistics["std"] == 0).all(axis=None)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_no_row_has_enough_rows_before_it(rows: int) -> None:
    for statistic in rolling_statistics(make_predictions(rows), 5).values():
        assert statistic.shape == (0, 2)
        assert list(statistic.columns) == LABELS


def test_fewer_predictions_than_candles_are_all_used() -> None:
    predictions = make_predictions(4)
    assert latest_statistics(predictions, 100) == latest_statistics(predictions, 4)


def test_no_predictions_at_all_have_zero_statistics() -> None:
    zeros = dict.fromkeys(LABELS, 0.0)
    assert latest_statistics(make_predictions(0), 5) == (zeros, zeros)


def test_statistics_keep_index_and_columns() -> None:
    predictions = make_predictions(8).set_axis(range(100, 108))
    for statistic in rolling_statistics(predictions, 3).values():
        assert statistic.index.tolist() == [103, 104, 105, 106, 107]
        assert list(statistic.columns) == LABELS
