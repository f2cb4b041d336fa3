"""The random processes of the synthetic market."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_markets import START_MS

from freqai_lstm.replay.candles import DAY_MS, HOUR_MS
from freqai_lstm.replay.price_paths import (
    autoregression,
    extremes,
    log_price,
    regimes,
    seasonality,
    shocks,
    stationary,
    volatility,
)

STEPS = 200_000
PER_HOUR = 12.0


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2)


@given(noise=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), half_life=st.floats(0.5, 1e5))
def test_autoregression_equals_its_definition(noise: list[float], half_life: float) -> None:
    kept, expected = 0.5 ** (1.0 / half_life), [noise[0]]
    for value in noise[1:]:
        expected.append(kept * expected[-1] + value)
    result = autoregression(np.array(noise), half_life)
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-6)


def test_stationary_processes_keep_their_variance_and_half_life(rng: np.random.Generator) -> None:
    values = stationary(rng, STEPS, half_life_steps=10.0)
    assert abs(values.mean()) < 0.05
    assert values.var() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(values[10:], values[:-10])[0, 1] == pytest.approx(0.5, abs=0.03)


def test_shocks_have_fat_tails_and_variance_one(rng: np.random.Generator) -> None:
    values = shocks(rng, STEPS)
    assert values.var() == pytest.approx(1.0, abs=0.05)
    assert (values**4).mean() > 4.5
    assert np.abs(values).max() <= 10.0


def test_volatility_has_mean_square_one_and_clusters(rng: np.random.Generator) -> None:
    values = volatility(rng, STEPS, PER_HOUR, spread=0.4)
    assert values.min() > 0
    assert (values**2).mean() == pytest.approx(1.0, abs=0.15)
    assert np.log(values).std() == pytest.approx(0.4, abs=0.05)
    assert np.corrcoef(values[288:], values[:-288])[0, 1] > 0.2


def test_seasons_are_busiest_in_the_afternoon_of_weekdays() -> None:
    open_ms = np.arange(START_MS, START_MS + 28 * DAY_MS, HOUR_MS, dtype=np.int64)
    season = seasonality(open_ms)
    assert season.mean() == pytest.approx(1.0, abs=0.01)
    monday, saturday = season[:24], season[5 * 24 : 6 * 24]
    assert int(monday.argmax()) == int(saturday.argmax()) == 15
    assert monday[15] > saturday[15] > monday[3]


def test_regimes_last_for_days_and_only_trends_drift(rng: np.random.Generator) -> None:
    drawn = regimes(rng, STEPS, PER_HOUR)
    assert drawn.drift.shape == drawn.reverting_share.shape == (STEPS,)
    starts = np.flatnonzero(np.diff(drawn.drift)) + 1
    lengths = np.diff(starts)
    assert lengths.min() >= 24 * PER_HOUR
    assert 2 * 24 * PER_HOUR < lengths.mean() < 10 * 24 * PER_HOUR
    assert 0.3 < (drawn.drift == 0).mean() < 0.7
    assert 0.1 < (drawn.drift > 0).mean() < 0.5
    assert 0.1 < (drawn.drift < 0).mean() < 0.5
    ranging = drawn.reverting_share[drawn.drift == 0]
    assert ranging.min() > drawn.reverting_share[drawn.drift != 0].max()


def test_the_reverting_share_of_a_move_is_taken_back() -> None:
    moves = np.zeros(STEPS)
    moves[0] = 0.01
    price = log_price(moves, np.zeros(STEPS), np.full(STEPS, 0.6), PER_HOUR)
    assert price[0] == pytest.approx(0.01)
    assert price[int(10 * PER_HOUR)] == pytest.approx(0.007, abs=0.0001)
    assert price[int(5 * 24 * PER_HOUR)] == pytest.approx(0.004, abs=0.0003)


def test_the_price_level_returns_over_months() -> None:
    moves = np.zeros(STEPS)
    moves[0] = 0.01
    price = log_price(moves, np.zeros(STEPS), np.zeros(STEPS), PER_HOUR)
    assert price[int(75 * 24 * PER_HOUR)] == pytest.approx(0.005, rel=0.01)
    assert price[-1] < 0.001


def test_drift_moves_the_price() -> None:
    hours = 24
    drift = np.full(int(hours * PER_HOUR), 0.001 / PER_HOUR)
    price = log_price(np.zeros_like(drift), drift, np.zeros_like(drift), PER_HOUR)
    assert price[-1] == pytest.approx(0.001 * hours, rel=0.01)


def test_extremes_are_those_of_a_random_walk(rng: np.random.Generator) -> None:
    steps, inner = 4_000, 500
    walks = rng.standard_normal((steps, inner)).cumsum(axis=1) / np.sqrt(inner)
    close = walks[:, -1]
    high, low = extremes(rng, np.zeros(steps), close, np.ones(steps))
    assert (high >= np.maximum(0.0, close)).all()
    assert (low <= np.minimum(0.0, close)).all()
    assert high.mean() == pytest.approx(walks.max(axis=1).mean(), abs=0.07)
    assert low.mean() == pytest.approx(walks.min(axis=1).mean(), abs=0.07)
    assert high.std() == pytest.approx(walks.max(axis=1).std(), abs=0.07)
