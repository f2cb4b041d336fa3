"""Returns that are relative to a market."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_candles import random_walk, rewritten_after

from freqai_lstm.score import forward_return_in_ranges, range_share, relative_return_in_ranges
from freqai_lstm.score.returns import LARGEST_DEVIATION

AHEAD = 3


def dated(candles: pd.DataFrame, first: int = 0) -> pd.DataFrame:
    """Give candles their opening times, hour by hour."""
    dates = pd.date_range("2024-01-01", periods=first + len(candles), freq="1h", tz="UTC")
    return candles.assign(date=dates[first:]).reset_index(drop=True)


def market(rows: int = 60) -> list[pd.DataFrame]:
    return [dated(random_walk(rows, seed)) for seed in range(4)]


def of_all(pairs: list[pd.DataFrame], function: Callable[..., pd.Series]) -> pd.DataFrame:
    """Call a function for each pair and the others, and give what it returns as columns."""
    found = [
        function(pair, AHEAD, [*pairs[:number], *pairs[number + 1 :]])
        for number, pair in enumerate(pairs)
    ]
    return pd.concat(found, axis=1)


def test_relative_return_is_what_a_pair_does_against_the_mean_of_all() -> None:
    pairs = market()
    changes = pd.concat([forward_return_in_ranges(pair, AHEAD) for pair in pairs], axis=1).dropna()
    found = of_all(pairs, relative_return_in_ranges).dropna()
    against = changes.sub(changes.mean(axis=1), axis=0)
    assert np.corrcoef(found.iloc[0], against.iloc[0])[0, 1] == pytest.approx(1)
    assert len(found) == 60 - AHEAD - 14
    # In each candle with the standard deviation that pairs have about their mean.
    assert found.std(axis=1).to_numpy() == pytest.approx(0.4 * np.sqrt(AHEAD))


def test_relative_return_is_cut_where_one_pair_runs_away_from_many() -> None:
    pairs = [dated(random_walk(60, seed)) for seed in range(20)]
    wild = pairs[0].copy()
    wild.loc[50:, "close"] *= 3
    found = relative_return_in_ranges(wild, AHEAD, pairs[1:])
    assert found.max() == found[49] == pytest.approx(LARGEST_DEVIATION * 0.4 * np.sqrt(AHEAD))


def test_relative_returns_of_a_market_sum_to_nothing() -> None:
    total = of_all(market(), relative_return_in_ranges).sum(axis=1)
    assert np.nanmax(np.abs(total)) < 1e-12


def test_a_pair_alone_does_as_its_market() -> None:
    [pair, *_] = market()
    assert set(relative_return_in_ranges(pair, AHEAD, []).dropna()) == {0.0}


def test_a_pair_that_is_younger_does_not_count_before() -> None:
    old, other, young = *market()[:2], dated(random_walk(20, 9), first=40)
    with_it = relative_return_in_ranges(old, AHEAD, [other, young])
    without = relative_return_in_ranges(old, AHEAD, [other])
    differs = (with_it - without).abs() > 0
    assert not differs[:54].any()
    assert differs[54:57].all()


@given(cut=st.integers(20, 59), seed=st.integers(0, 99))
def test_candles_behind_the_newest_change_nothing(cut: int, seed: int) -> None:
    pairs = market()
    known = pairs[0].iloc[: cut + 1]
    others = [
        dated(rewritten_after(pair.drop(columns="date"), cut, seed, 2.0)) for pair in pairs[1:]
    ]
    whole = relative_return_in_ranges(known, AHEAD, others)
    cut_off = relative_return_in_ranges(known, AHEAD, [pair.iloc[: cut + 1] for pair in pairs[1:]])
    pd.testing.assert_series_equal(whole, cut_off)
    assert whole.iloc[-AHEAD:].isna().all()


def test_range_is_a_share_of_the_close() -> None:
    candles = random_walk(40)
    expected = (candles["close"].shift(-AHEAD) / candles["close"] - 1).dropna()
    found = (forward_return_in_ranges(candles, AHEAD) * range_share(candles)).dropna()
    assert found.to_numpy() == pytest.approx(expected.loc[found.index].to_numpy())
