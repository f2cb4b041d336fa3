"""Rank ICs over time and over pairs, against figures worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from freqai_lstm.tools import statistics
from freqai_lstm.tools.information import (
    Information,
    information,
    is_return,
    judge,
    mean_information,
)
from freqai_lstm.tools.predictions import PairPredictions

NAN = float("nan")
HOURS = pd.date_range("2024-01-01", periods=2160, freq="1h", tz="UTC")


def table(rows: list[list[float]], start: str = "2024-01-01") -> pd.DataFrame:
    index = pd.date_range(start, periods=len(rows), freq="1h", tz="UTC")
    return pd.DataFrame(rows, index, [f"pair{number}" for number in range(len(rows[0]))])


def known_share(share: float, pairs: int = 4, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give three months of predictions that know a share of the truth, and the truth."""
    random = np.random.default_rng(seed)
    true = random.normal(size=(len(HOURS), pairs))
    noise = np.random.default_rng(seed + 1).normal(size=true.shape)
    return pd.DataFrame(share * true + noise, HOURS), pd.DataFrame(true, HOURS)


def test_cross_section_is_the_rank_correlation_over_the_pairs_of_a_candle() -> None:
    predicted = table(
        [[1, 2, 3, 4], [4, 3, 2, 1], [1, 20, 3, 4], [1, 1, 2, NAN], [5, 5, 5, 5], [1, NAN, NAN, 3]]
    )
    true = table(
        [[5, 6, 7, 80], [1, 2, 3, 4], [1, 2, 3, 4], [1, 3, 2, 9], [1, 2, 3, 4], [1, 2, 3, 4]]
    )
    found = information(predicted, true, 1)
    # Of the third candle two ranks are off by 2 and 1, 1; of the fourth a tie and a NaN.
    assert found.over_pairs[:4].tolist() == pytest.approx([1, -1, 1 - 6 * 6 / 60, 0])
    assert found.over_pairs[4:].isna().all()
    assert found.figures.candles == 4
    assert found.figures.cross_sectional.value == pytest.approx(0.4 / 4)


def test_two_pairs_have_no_cross_section() -> None:
    predicted, true = known_share(1.0, pairs=2)
    figures = information(predicted, true, 4).figures
    assert figures.candles == 0
    assert np.isnan(figures.cross_sectional.value)
    assert figures.decisive == figures.time_series
    assert figures.time_series.value > 0.5


def test_time_series_is_the_mean_over_pairs_of_all_candles_and_of_months() -> None:
    predicted, true = known_share(0.5)
    found = information(predicted, true, 1)
    by_pair = [predicted[pair].corr(true[pair], method="spearman") for pair in true]
    assert found.figures.time_series.value == pytest.approx(np.mean(by_pair))
    months = [
        np.mean(
            [predicted[pair][month].corr(true[pair][month], method="spearman") for pair in true]
        )
        for month in ("2024-01", "2024-02", "2024-03")
    ]
    # The 30 days from 1 March are no whole month, yet most of one.
    assert found.months.tolist() == pytest.approx(months)
    assert list(found.months.index) == ["2024-01", "2024-02", "2024-03"]
    assert found.figures.monthly.value == pytest.approx(np.mean(months))
    error = np.std(months, ddof=1) / 3**0.5
    assert found.figures.monthly.standard_error == pytest.approx(error)


def test_months_with_few_candles_do_not_count() -> None:
    predicted, true = known_share(0.5)
    whole = information(predicted, true, 1)
    predicted[0] = predicted[0].where(predicted.index < pd.Timestamp("2024-03-05", tz="UTC"))
    found = information(predicted[:"2024-03-31"], true, 1)
    without = information(predicted[[1, 2, 3]], true[[1, 2, 3]], 1)
    assert found.months.iloc[2] == pytest.approx(without.months.iloc[2])
    first_day = slice("2024-02-01", "2024-03-01")
    assert information(predicted[first_day], true[first_day], 1).figures.months == 1
    assert whole.figures.months == 3


def test_error_counts_the_overlap_of_the_labels() -> None:
    predicted, true = known_share(0.5)
    # A forecast over 24 candles is nearly the same a candle later.
    smooth = [frame.rolling(24).mean() for frame in (predicted, true)]
    found = information(*smooth, 24)
    ics = found.over_pairs
    lags = statistics.newey_west_lags(len(ics), 24)
    assert lags == 48
    expected = statistics.newey_west_error(((ics - ics.mean()) / ics.count()).fillna(0), lags)
    assert found.figures.cross_sectional.standard_error == pytest.approx(expected)
    assert expected > 2 * ics.std() / ics.count() ** 0.5


def test_later_candles_change_nothing_of_earlier_ones() -> None:
    predicted, true = known_share(0.5)
    before = information(predicted, true, 1)
    later = pd.Timestamp("2024-03-01", tz="UTC") <= HOURS
    predicted[later], true[later] = -predicted[later], true[later] ** 3
    after = information(predicted, true, 1)
    pd.testing.assert_series_equal(after.over_pairs[~later], before.over_pairs[~later])
    pd.testing.assert_series_equal(after.months[:2], before.months[:2])
    assert not np.isclose(after.months.iloc[2], before.months.iloc[2])


def test_difference_is_taken_on_the_same_candles_and_months() -> None:
    better, true = known_share(0.6)
    worse = better + 0.5 * known_share(0.0, seed=7)[0]
    worse.iloc[:100] = NAN
    one, other = (information(forecast, true, 1) for forecast in (better, worse))
    less = one - other
    common = (one.over_pairs - other.over_pairs).dropna()
    assert less.figures.candles == len(common) == len(HOURS) - 100
    assert less.figures.cross_sectional.value == pytest.approx(common.mean())
    months = one.months - other.months
    assert less.figures.monthly.value == pytest.approx(months.mean())
    assert less.figures.monthly.standard_error == pytest.approx(months.std() / 3**0.5)
    # Both err alike, so that the difference is known better than each of them.
    assert less.figures.cross_sectional.standard_error < one.figures.cross_sectional.standard_error
    assert (one - one).figures.cross_sectional == statistics.Estimate(0.0, 0.0)


def test_seeds_are_averaged_figure_by_figure() -> None:
    _, true = known_share(0.0)
    seeds = [information(known_share(0.4, seed=0)[0] + noise, true, 1) for noise in (0, true)]
    mean = mean_information(seeds)
    for name in ("time_series", "monthly", "cross_sectional"):
        values = [getattr(each.figures, name).value for each in (*seeds, mean)]
        assert values[2] == pytest.approx((values[0] + values[1]) / 2)


def of(share: float, seed: int = 0) -> Information:
    _, true = known_share(0.0)
    return information(share * true + known_share(0.0, seed=seed)[0].to_numpy(), true, 1)


def test_skill_is_more_than_every_yardstick_knows() -> None:
    def skilled(model: float, ridge: float, persistence: float = 0.0) -> bool | None:
        shares = {"model": model, "ridge": ridge, "persistence": persistence}
        judged = judge({name: of(share, ord(name[0])) for name, share in shares.items()})
        assert judged["ridge"].is_skilled is judged["persistence"].is_skilled is None
        assert list(judged["model"].less) == ["ridge", "persistence"]
        assert list(judged["ridge"].less) == ["persistence"]
        return judged["model"].is_skilled

    assert skilled(0.5, ridge=0.2) is True
    assert skilled(0.2, ridge=0.2) is False
    assert skilled(0.5, ridge=0.2, persistence=0.6) is False
    # Less harm than both is no knowledge.
    assert skilled(0.0, ridge=-0.5, persistence=-0.5) is False


def test_without_ridge_nothing_is_called_skill() -> None:
    judged = judge({"model": of(0.5, 1), "lightgbm": of(0.0, 2), "persistence": of(0.0, 3)})
    assert judged["model"].less["persistence"].is_more_than_chance
    assert judged["model"].is_skilled is None


@pytest.mark.parametrize(
    ("label", "horizon", "share", "expected"),
    [
        ("&-return", 4, 0.0, True),
        ("&-relative_return", 4, 0.0, True),
        ("&-s_close", 4, 1.0, True),
        ("&-score_w0", 4, 0.1, False),
        ("&-return", 0, 1.0, False),
    ],
)
def test_label_is_a_return_by_its_name_or_its_truth(
    label: str, horizon: int, share: float, expected: bool
) -> None:
    random = np.random.default_rng(0)
    closes = pd.Series(np.exp(random.normal(size=500).cumsum() / 100), HOURS[:500])
    returns = closes.shift(-horizon) / closes - 1
    true = share * returns + (1 - share) * 0.01 * random.normal(size=500)
    pair = PairPredictions(
        "BTC/USDT", horizon, (), pd.DataFrame({"true": true}), closes, label=label
    )
    assert is_return(pair) == expected
