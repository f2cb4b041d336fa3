"""What a pair has done against others."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_candles import random_walk, rewritten_after

from freqai_lstm.score import past_ranks, places
from freqai_lstm.score.ranks import rank_among

LOOKBACKS = (1, 12)


def dated(candles: pd.DataFrame) -> pd.DataFrame:
    dates = pd.date_range("2024-01-01", periods=len(candles), freq="1h", tz="UTC")
    return candles.assign(date=dates).reset_index(drop=True)


def pairs(rows: int = 60) -> list[pd.DataFrame]:
    return [dated(random_walk(rows, seed)) for seed in range(5)]


def test_ranks_are_spread_evenly_with_a_standard_deviation_of_one() -> None:
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(3, 50)))
    ranks = [rank_among(values[each], values.drop(columns=each)) for each in values]
    spread = pd.concat(ranks, axis=1)
    assert spread.std(axis=1, ddof=0).to_numpy() == pytest.approx([1] * 3, rel=1e-3)
    assert spread.sum(axis=1).to_numpy() == pytest.approx([0] * 3, abs=1e-9)
    assert (spread.rank(axis=1) == values.rank(axis=1)).all(axis=None)


def test_equals_share_a_rank() -> None:
    others = pd.DataFrame({0: [1.0], 1: [1.0], 2: [np.nan]})
    assert rank_among(pd.Series([1.0]), others).tolist() == [0.0]
    assert rank_among(pd.Series([np.nan]), others).isna().all()


def test_places_are_those_of_ranks_between_minus_one_and_one() -> None:
    values = {str(x): x for x in (4.0, -1.0, 2.0, 9.0, 3.0)}
    values |= {"late": np.nan}
    others = [x for x in values.values() if x != 4.0]
    rank = rank_among(pd.Series([4.0]), pd.DataFrame([others]))[0]
    found = places(pd.Series(values))
    assert found["4.0"] == pytest.approx(rank * 2 / np.sqrt(12))
    assert found["4.0"] == pytest.approx(0.4)
    assert np.isnan([found.get(name, np.nan) for name in ("late", "unknown")]).all()


def test_the_pair_that_rose_most_comes_first() -> None:
    close = 100 * 1.01 ** np.arange(60)
    frame = pd.DataFrame({"open": close / 1.01, "high": close, "low": close / 1.01, "close": close})
    rising = dated(frame.assign(volume=1.0))
    found = past_ranks(rising, pairs(), (24,))["rank_24"]
    assert found.iloc[-1] == pytest.approx(np.sqrt(12) * (5.5 / 6 - 0.5))
    assert found.notna().sum() == 60 - 24


def test_without_a_late_candle_of_another_there_is_no_rank() -> None:
    own, *others = pairs()
    whole = past_ranks(own, others, LOOKBACKS)
    late = past_ranks(own, [others[0].iloc[:-2], *others[1:]], LOOKBACKS)
    assert late.iloc[-2:].isna().all(axis=None)
    pd.testing.assert_frame_equal(late.iloc[:-2], whole.iloc[:-2])
    assert whole.iloc[-2:].notna().all(axis=None)


@given(cut=st.integers(20, 58), seed=st.integers(0, 99))
def test_later_candles_change_nothing(cut: int, seed: int) -> None:
    own, *others = pairs()
    whole = past_ranks(own, others, LOOKBACKS)
    rewritten = [
        dated(rewritten_after(pair.drop(columns="date"), cut, seed, 2.0)) for pair in (own, *others)
    ]
    changed = past_ranks(rewritten[0], rewritten[1:], LOOKBACKS)
    pd.testing.assert_frame_equal(whole.iloc[: cut + 1], changed.iloc[: cut + 1])
