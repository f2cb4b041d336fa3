"""How much of a result is luck, against the papers' own numbers and against a count by hand."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freqai_lstm.tools.luck import (
    Luck,
    count_luck,
    deflated_sharpe_ratio,
    expected_maximum,
    probability_above,
    probability_of_backtest_overfitting,
    sharpe_error,
    sharpe_ratio,
)
from freqai_lstm.tools.statistics import Estimate


def spread_ratios(trials: int, variance: float) -> list[float]:
    """Make Sharpe ratios of this sample variance."""
    values = np.random.default_rng(0).normal(size=trials)
    return [*((values - values.mean()) / values.std(ddof=1) * math.sqrt(variance))]


@pytest.mark.parametrize(
    ("trials", "hurdle", "deflated"),
    # Bailey and López de Prado (2014), numerical example: five years of 250 days, a Sharpe ratio of
    # 2.5 a year, skewness -3, kurtosis 10, and a variance of 1/2 a year over the trials.
    [(100, 0.1132, 0.9004), (46, None, 0.9505)],
)
def test_example_of_the_deflated_sharpe_ratio(
    trials: int, hurdle: float | None, deflated: float
) -> None:
    luck = expected_maximum(spread_ratios(trials, 1 / 2 / 250))
    if hurdle is not None:
        assert luck == pytest.approx(hurdle, abs=5e-5)
    ratio = 2.5 / math.sqrt(250)
    found = Estimate(ratio, sharpe_error(ratio, periods=1250, skewness=-3, kurtosis=10))
    assert probability_above(found, luck) == pytest.approx(deflated, abs=1e-4)


def test_sharpe_ratio_by_hand() -> None:
    # Mean 1, deviations of 1, 1 and -2: variance 3, skewness -2 / 2^1.5, kurtosis 1.5.
    found = sharpe_ratio([2.0, 2.0, -1.0])
    ratio = 1 / math.sqrt(3)
    assert found.value == pytest.approx(ratio)
    variance = 1 + ratio / math.sqrt(2) + ratio**2 / 8
    assert found.standard_error == pytest.approx(math.sqrt(variance / 2))


def test_error_is_the_spread_over_repetitions() -> None:
    random = np.random.default_rng(0)
    repeated = random.standard_gamma(2.0, size=(800, 300)) - 1.5
    found = [sharpe_ratio(returns) for returns in repeated]
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("returns", [[], [0.1], [0.0, 0.0, 0.0], [0.1, 0.1]])
def test_what_does_not_vary_has_no_sharpe_ratio(returns: list[float]) -> None:
    assert math.isnan(sharpe_ratio(returns).value)
    assert math.isnan(deflated_sharpe_ratio(returns, [0.1, 0.2, 0.3]))


def test_more_trials_deflate_more() -> None:
    returns = np.random.default_rng(1).normal(0.1, 1, 500)
    ratios = [0.05, 0.1, -0.05, 0.0]
    alone = deflated_sharpe_ratio(returns, ratios[:1])
    assert alone == pytest.approx(probability_above(sharpe_ratio(returns), 0.0))
    of_four = deflated_sharpe_ratio(returns, ratios)
    # One that was given up has no ratio, but was made.
    of_eight = deflated_sharpe_ratio(returns, [*ratios, *[math.nan] * 4])
    assert 1 > alone > of_four > of_eight > 0
    assert expected_maximum([0.1, math.nan]) == 0


def test_sharpe_ratio_without_an_error_is_above_or_not() -> None:
    assert probability_above(Estimate(0.2, 0.0), 0.1) == 1
    assert probability_above(Estimate(0.1, 0.0), 0.1) == 0


def overfitting_by_hand(returns: np.ndarray, blocks: int) -> float:
    """Count by the paper's words: ranks, their logits, and how many of these are below 0."""
    parts = np.array_split(returns, blocks)
    logits = []
    for half in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[block] for block in half])
        outside = np.concatenate([parts[block] for block in range(blocks) if block not in half])
        best = np.argmax(inside.mean(0) / inside.std(0))
        performance = outside.mean(0) / outside.std(0)
        relative = (1 + np.sum(performance < performance[best])) / (returns.shape[1] + 1)
        logits.append(math.log(relative / (1 - relative)))
    below, level = (np.array(logits) < -1e-9), (np.abs(logits) <= 1e-9)
    return float(below.mean() + level.mean() / 2)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 999),
    periods=st.integers(16, 45),
    trials=st.integers(2, 7),
    blocks=st.sampled_from([4, 6, 8]),
)
def test_overfitting_is_that_of_a_count_by_hand(
    seed: int, periods: int, trials: int, blocks: int
) -> None:
    returns = np.random.default_rng(seed).normal(0.1, 1, (periods, trials))
    found = probability_of_backtest_overfitting(returns, blocks)
    assert found == pytest.approx(overfitting_by_hand(returns, blocks))


@pytest.mark.parametrize("by_mean", [False, True])
def test_overfitting_of_noise_and_of_a_trial_that_is_better(by_mean: bool) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(30, 160, 20))
    found = [probability_of_backtest_overfitting(each, 8, by_mean=by_mean) for each in noise]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)
    better = noise[0] + np.where(np.arange(20) == 3, 1.0, 0.0)
    assert probability_of_backtest_overfitting(better, by_mean=by_mean) < 0.01


def test_best_trial_that_turns_around_is_overfitted() -> None:
    # What earns in one half of the blocks loses in the other.
    signs = np.where(np.arange(16) % 2, 1.0, -1.0)[:, np.newaxis]
    trials = np.hstack([signs, -signs, np.zeros((16, 1))])
    assert probability_of_backtest_overfitting(trials, by_mean=True) > 0.7


def test_trials_that_are_the_same_or_trade_nothing_say_nothing() -> None:
    returns = np.random.default_rng(0).normal(size=(40, 1))
    assert probability_of_backtest_overfitting(np.hstack([returns] * 5)) == 0.5
    assert probability_of_backtest_overfitting(np.zeros((40, 5))) == 0.5


@pytest.mark.parametrize("by_mean", [False, True])
@pytest.mark.parametrize("trials", [3, 7, 13])
def test_trials_that_are_the_same_tie_however_many(trials: int, by_mean: bool) -> None:
    # A product of matrices does not round every column alike.
    random = np.random.default_rng(trials)
    for _ in range(5):
        same = np.hstack([random.normal(size=(40, 1))] * trials)
        assert probability_of_backtest_overfitting(same, by_mean=by_mean) == 0.5


def test_mean_and_sharpe_ratio_choose_differently() -> None:
    random = np.random.default_rng(0)
    steady, wild = random.normal(0.5, 0.1, 200), random.normal(0.0, 50, 200)
    others = random.normal(0.0, 0.1, (3, 200))
    trials = np.stack([steady, wild - wild.mean(), *others], axis=1)
    assert probability_of_backtest_overfitting(trials) == 0
    assert probability_of_backtest_overfitting(trials, by_mean=True) > 0.4


@pytest.mark.parametrize(("periods", "trials"), [(3, 5), (40, 1), (0, 5)])
def test_too_few_periods_or_trials_have_no_probability(periods: int, trials: int) -> None:
    assert math.isnan(probability_of_backtest_overfitting(np.ones((periods, trials))))


def test_few_periods_are_cut_into_fewer_blocks() -> None:
    returns = np.random.default_rng(2).normal(size=(7, 4))
    expected = probability_of_backtest_overfitting(returns, 6)
    assert probability_of_backtest_overfitting(returns) == expected


def test_many_trials_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = np.random.default_rng(3).normal(size=(32, 9))
    whole = probability_of_backtest_overfitting(returns, 8)
    monkeypatch.setattr("freqai_lstm.tools.luck._AT_ONCE", 50)
    assert probability_of_backtest_overfitting(returns, 8) == whole


def test_luck_is_told_in_words() -> None:
    low, chance = Luck(40, 0.62, 0.5).sentences("epoch", "day")
    assert low == (
        "Deflated Sharpe ratio 0.62: that the best of 40 epochs is better than the best of so many "
        "without any skill has a probability of 62%, so luck may explain it (below 95%)."
    )
    assert chance.startswith("Probability of backtest overfitting 0.50: the epoch that is best on")
    assert "below the median on the other half 50% of the time; at 50% the choice is" in chance
    high, _ = Luck(40, 0.97, 0.1).sentences("epoch", "day")
    assert high.endswith("has a probability of 97%.")
    unknown = Luck(1, math.nan, math.nan).sentences("trial", "window")
    assert unknown == [
        "Deflated Sharpe ratio not defined, the best trial is the same on every window.",
        "Probability of backtest overfitting not defined, it needs 2 trials and 4 windows.",
    ]


@pytest.mark.parametrize("by_mean", [False, True])
def test_luck_of_a_matrix_is_that_of_its_parts(by_mean: bool) -> None:
    returns = np.random.default_rng(4).normal(0.1, 1, (50, 6))
    ratios = [sharpe_ratio(column).value for column in returns.T]
    luck = count_luck(returns, 2, given_up=3, by_mean=by_mean)
    assert luck == Luck(
        trials=9,
        deflated_sharpe_ratio=deflated_sharpe_ratio(returns[:, 2], [*ratios, *[math.nan] * 3]),
        overfitting=probability_of_backtest_overfitting(returns, by_mean=by_mean),
    )
