"""The aggregate score against its definition, and where it is not defined."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_score import reference_components
from unit_candles import flat_candles, random_walk, rewritten_after, with_prices

from freqai_lstm.score import (
    COMPONENT_NAMES,
    DEFAULT_WEIGHTS,
    SCORE_WARMUP_CANDLES,
    WEIGHT_NAMES,
    compose_score,
    market_regime,
    relative_volatility,
    score_components,
    target_score,
    volatility_adjustment,
)

ROWS = 600
OTHER_WEIGHTS = (0.3, -1.0, 0.0, 2.5, 0.01, 0.7, -0.2, 1.1, 0.5)
PER_CANDLE = {
    "score_components": score_components,
    "target_score": target_score,
    "market_regime": market_regime,
    "volatility_adjustment": volatility_adjustment,
    "relative_volatility": relative_volatility,
}


@pytest.fixture(scope="module")
def candles() -> pd.DataFrame:
    """A random walk that leaves its bands in both directions, in both long regimes."""
    return random_walk(ROWS)


@pytest.fixture(scope="module")
def reference(candles: pd.DataFrame) -> pd.DataFrame:
    return reference_components(candles)


def test_the_walk_shows_every_combination_of_regimes(candles: pd.DataFrame) -> None:
    regimes = market_regime(candles).dropna()
    seen = set(zip(regimes["regime"], regimes["long_regime"], strict=True))
    assert seen == {(r, r2) for r in (-1.0, 0.0, 1.0) for r2 in (-1.0, 1.0)}


@pytest.mark.parametrize("name", [*WEIGHT_NAMES, "volatility"])
def test_component_equals_the_reference(
    candles: pd.DataFrame, reference: pd.DataFrame, name: str
) -> None:
    pd.testing.assert_series_equal(
        score_components(candles)[name], reference[name], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("weights", [DEFAULT_WEIGHTS, OTHER_WEIGHTS])
def test_score_equals_the_reference(
    candles: pd.DataFrame, reference: pd.DataFrame, weights: tuple[float, ...]
) -> None:
    expected = sum(
        weight * reference[name] for weight, name in zip(weights, WEIGHT_NAMES, strict=True)
    )
    pd.testing.assert_series_equal(
        target_score(candles, weights), expected * reference["volatility"], rtol=1e-9, atol=1e-9
    )


def test_strong_trend_settings_equal_the_reference(candles: pd.DataFrame) -> None:
    ours = score_components(candles, strong_trend_threshold=0.5, strong_trend_boost=3.0)
    theirs = reference_components(candles, threshold=0.5, boost=3.0)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("changed", [{"strong_trend_threshold": 0.5}, {"strong_trend_boost": 3.0}])
def test_strong_trend_settings_change_the_third_component_alone(
    candles: pd.DataFrame, changed: dict[str, float]
) -> None:
    differs = (score_components(candles) != score_components(candles, **changed)).loc[100:]
    assert differs.columns[differs.any()].tolist() == ["w3"]
    assert (target_score(candles) != target_score(candles, **changed)).loc[100:].any()


def test_score_is_the_volatility_times_the_composed_components(candles: pd.DataFrame) -> None:
    components = score_components(candles)
    composed = compose_score(components, OTHER_WEIGHTS) * components["volatility"]
    pd.testing.assert_series_equal(target_score(candles, OTHER_WEIGHTS), composed)


def test_names_pair_with_the_default_weights() -> None:
    assert WEIGHT_NAMES == ("w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8")
    assert len(COMPONENT_NAMES) == len(DEFAULT_WEIGHTS) == len(WEIGHT_NAMES)
    assert sum(DEFAULT_WEIGHTS) == pytest.approx(1)


def test_index_of_the_candles_is_kept(candles: pd.DataFrame) -> None:
    dated = candles.set_axis(pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="UTC"))
    for function in PER_CANDLE.values():
        pd.testing.assert_index_equal(function(dated).index, dated.index)
    pd.testing.assert_series_equal(
        target_score(dated).reset_index(drop=True), target_score(candles)
    )


def test_candles_are_left_as_they_were(candles: pd.DataFrame) -> None:
    before = candles.copy()
    for function in PER_CANDLE.values():
        function(candles)
    pd.testing.assert_frame_equal(candles, before)


# Warm-up and zeros


def test_warm_up_is_exactly_as_long_as_documented(candles: pd.DataFrame) -> None:
    components = score_components(candles)[list(WEIGHT_NAMES)]
    assert SCORE_WARMUP_CANDLES == 99
    assert components.iloc[:99].isna().all(axis=None)
    assert components.iloc[99:].notna().all(axis=None)
    assert target_score(candles).isna().tolist() == [True] * 99 + [False] * (ROWS - 99)
    assert relative_volatility(candles).isna().sum() == 118
    assert market_regime(candles).isna().sum().to_dict() == {"regime": 19, "long_regime": 99}
    assert volatility_adjustment(candles).isna().sum().to_dict() == {"band": 19, "range": 14}


def test_score_is_exactly_zero_within_the_bands_and_nowhere_else(candles: pd.DataFrame) -> None:
    within = market_regime(candles)["regime"].loc[99:] == 0
    assert 0 < within.sum() < len(within)
    pd.testing.assert_series_equal(target_score(candles).loc[99:] == 0, within, check_names=False)
    components = score_components(candles)[list(WEIGHT_NAMES)].loc[99:]
    assert (components[within] == 0).all(axis=None)


def test_relative_volatility_is_around_one(candles: pd.DataFrame) -> None:
    relative = relative_volatility(candles).dropna()
    assert (relative > 0).all()
    assert 0.5 < relative.median() < 2


def test_relative_volatility_equals_its_definition(candles: pd.DataFrame) -> None:
    factors = volatility_adjustment(candles)
    row = 321
    level = factors.loc[row - 99 : row].mean()
    expected = (factors.loc[row] / level).prod()
    assert relative_volatility(candles)[row] == pytest.approx(expected, rel=1e-9)


# Degenerate candles


@pytest.mark.parametrize("rows", [0, 1, 50, 99])
def test_short_history_has_no_score(rows: int) -> None:
    candles = random_walk(rows)
    assert score_components(candles).shape == (rows, 10)
    assert target_score(candles).isna().tolist() == [True] * rows
    assert relative_volatility(candles).isna().tolist() == [True] * rows


def test_hundredth_candle_has_the_first_score(candles: pd.DataFrame) -> None:
    score = target_score(candles.iloc[:100])
    assert score.isna().sum() == 99
    assert score.iloc[-1] == target_score(candles)[99]


@pytest.mark.parametrize("price", [100.0, 0.3, 12345.678])
def test_flat_price_has_neither_score_nor_volatility(price: float) -> None:
    candles = flat_candles(300, price)
    components = score_components(candles)
    assert (components.loc[99:, list(WEIGHT_NAMES)] == 0).all(axis=None)
    assert components["volatility"].isna().all()
    assert target_score(candles).isna().all()
    assert relative_volatility(candles).isna().all()


def test_price_that_stands_still_for_a_while_is_never_infinite(candles: pd.DataFrame) -> None:
    halted = candles.copy()
    halted.loc[300:400, ["open", "high", "low", "close"]] = candles["close"][299]
    components = score_components(halted)
    assert not np.isinf(components).any(axis=None)
    assert not np.isinf(relative_volatility(halted)).any()
    # 20 equal closes have no band, and no regime.
    assert components.loc[318:400, "volatility"].isna().all()
    assert (components.loc[318:400, list(WEIGHT_NAMES)] == 0).all(axis=None)
    assert target_score(halted).loc[500:].notna().all()


def test_without_volume_only_the_volume_component_is_missing(candles: pd.DataFrame) -> None:
    components = score_components(candles.assign(volume=0.0)).loc[99:]
    outside = market_regime(candles)["regime"].loc[99:] != 0
    assert components.loc[outside, "w6"].isna().all()
    assert (components.loc[~outside, "w6"] == 0).all()
    others = score_components(candles).loc[99:].drop(columns="w6")
    pd.testing.assert_frame_equal(components.drop(columns="w6"), others)


def test_missing_candle_leaves_no_wrong_number(candles: pd.DataFrame) -> None:
    broken = candles.copy()
    broken.loc[200] = np.nan
    components, whole = score_components(broken), score_components(candles)
    pd.testing.assert_frame_equal(components.loc[:199], whole.loc[:199])
    # The next 99 candles have the gap within their SMA(100).
    assert components.loc[200:299, list(WEIGHT_NAMES)].isna().all(axis=None)
    assert not np.isinf(components).any(axis=None)
    assert not np.isinf(relative_volatility(broken)).any()


@pytest.mark.parametrize("price", [1e-8, 1e-6, 1e-4, 1e5])
def test_components_do_not_depend_on_the_unit_of_the_price(
    candles: pd.DataFrame, price: float
) -> None:
    scaled = score_components(with_prices(candles, price / 100))
    original = score_components(candles)
    names = list(WEIGHT_NAMES)
    pd.testing.assert_frame_equal(scaled[names], original[names], rtol=1e-6, atol=1e-6)
    pd.testing.assert_series_equal(
        scaled["volatility"] * (price / 100), original["volatility"], rtol=1e-6
    )


@settings(max_examples=20)
@given(
    last=st.integers(90, 158),
    seed=st.integers(0, 50),
    factor=st.sampled_from([0.0, 1e-6, 0.5, 1.0, 1e6, np.nan]),
)
@pytest.mark.parametrize("name", PER_CANDLE)
def test_candles_after_a_row_change_nothing_up_to_it(
    name: str, last: int, seed: int, factor: float
) -> None:
    candles = random_walk(160, seed)
    rewritten = rewritten_after(candles, last, seed, factor)
    before, after = PER_CANDLE[name](candles), PER_CANDLE[name](rewritten)
    assert before.iloc[: last + 1].equals(after.iloc[: last + 1])


# Weights


@settings(max_examples=25)
@given(
    first=st.lists(st.floats(-10, 10), min_size=9, max_size=9),
    second=st.lists(st.floats(-10, 10), min_size=9, max_size=9),
    factor=st.floats(-10, 10),
)
def test_score_is_linear_in_the_weights(
    first: list[float], second: list[float], factor: float
) -> None:
    components = pd.DataFrame(
        np.random.default_rng(5).normal(size=(20, 9)), columns=list(WEIGHT_NAMES)
    )
    together = [a + factor * b for a, b in zip(first, second, strict=True)]
    separate = compose_score(components, first) + factor * compose_score(components, second)
    np.testing.assert_allclose(compose_score(components, together), separate, atol=1e-9)


@pytest.mark.parametrize("name", WEIGHT_NAMES)
def test_single_weight_picks_its_component(name: str) -> None:
    components = pd.DataFrame([range(1, 10)], columns=list(WEIGHT_NAMES), dtype=float)
    weights = {other: float(other == name) for other in WEIGHT_NAMES}
    assert compose_score(components, weights).tolist() == components[name].tolist()


def test_weights_by_name_may_come_in_any_order(candles: pd.DataFrame) -> None:
    by_name = dict(reversed(list(zip(WEIGHT_NAMES, OTHER_WEIGHTS, strict=True))))
    pd.testing.assert_series_equal(
        target_score(candles, by_name), target_score(candles, OTHER_WEIGHTS)
    )


def test_other_columns_are_ignored_when_composing() -> None:
    components = pd.DataFrame(np.ones((2, 9)), columns=list(WEIGHT_NAMES), index=[7, 8])
    composed = compose_score(components.assign(volatility=99.0, close=1.0), [1.0] * 9)
    assert composed.to_dict() == {7: 9.0, 8: 9.0}


@pytest.mark.parametrize(
    "weights", [[], [1.0] * 8, [1.0] * 10, [[1.0] * 9], 1.0], ids=["0", "8", "10", "nested", "one"]
)
def test_weights_must_be_nine_numbers(candles: pd.DataFrame, weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"weights must be 9 numbers, was "):
        target_score(candles, weights)


@pytest.mark.parametrize("names", [WEIGHT_NAMES[:8], (*WEIGHT_NAMES[:8], "w9"), COMPONENT_NAMES])
def test_named_weights_must_have_the_nine_names(
    candles: pd.DataFrame, names: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r"weights must have the keys \('w0', .*, was \("):
        target_score(candles, dict.fromkeys(names, 1.0))
