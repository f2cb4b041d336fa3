"""What a training period holds, of the example strategy with other labels and features."""

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.resolvers import StrategyResolver
from freqtrade.resolvers.freqaimodel_resolver import FreqaiModelResolver

from freqai_lstm.tools.doctor.findings import Finding
from freqai_lstm.tools.doctor.labels import check_labels
from tests.conftest import PAIRS, candle_file

Check = Callable[..., dict[str, Finding]]

# 20 days of 1h, less 20 candles at each end.
CANDLES = 440


@pytest.fixture
def check(config: dict[str, Any]) -> Check:
    """Examine the labels of the example strategy, with some methods replaced."""

    def check(own_model: Any = None, **methods: Any) -> dict[str, Finding]:
        config["pairs"] = list(PAIRS)
        strategy = StrategyResolver.load_strategy(config)
        for name, method in methods.items():
            setattr(strategy, name, method)
        model = own_model or FreqaiModelResolver.load_freqaimodel(config)
        findings = list(check_labels(copy.deepcopy(config), strategy, model))
        return {each.subject: each for each in findings}

    return check


def labelling(**columns: Callable[[pd.DataFrame], Any]) -> Callable[..., pd.DataFrame]:
    """Set labels: what makes each of the candles, by its name without the ``&-``."""

    def set_freqai_targets(dataframe: pd.DataFrame, metadata: Any) -> pd.DataFrame:
        return dataframe.assign(**{f"&-{name}": make(dataframe) for name, make in columns.items()})

    return set_freqai_targets


def ahead(candles: int) -> Callable[[pd.DataFrame], Any]:
    return lambda dataframe: dataframe["close"].shift(-candles)


def warming_up(candles: int) -> Callable[..., pd.DataFrame]:
    """Set one feature that is NaN on the first candles of what is loaded."""

    def feature_engineering_standard(dataframe: pd.DataFrame, metadata: Any) -> pd.DataFrame:
        return dataframe.assign(**{"%-slow": dataframe["close"].shift(candles)})

    return feature_engineering_standard


def test_labels_and_features_of_the_example_are_counted(check: Check) -> None:
    found = check()
    assert not any(each.problem for each in found.values())
    assert found["labels"].found == f"9, on at least {CANDLES} of {CANDLES} training candles"
    # 352 of the 440 are trained on, and the first 4 end no window.
    assert found["training rows"].found == (
        f"352, with 348 windows of 5, of {PAIRS[0]} from 2024-01-21 20:00 to 2024-02-09 04:00"
    )


def test_gap_before_the_test_split_is_left_out(check: Check, config: dict[str, Any]) -> None:
    config["freqai"]["feature_parameters"]["label_period_candles"] = 10
    # The buffer of 20 candles holds the truth of all labels.
    assert check()["training rows"].found.startswith("342, with 338 windows of 5")


def test_without_a_timerange_it_is_the_last_training(check: Check, config: dict[str, Any]) -> None:
    del config["timerange"]
    assert check()["training rows"].found.endswith("from 2024-02-10 20:00 to 2024-02-29 04:00")


def test_label_of_the_future_is_missing_on_the_last_candles(
    check: Check, config: dict[str, Any]
) -> None:
    config["freqai"]["feature_parameters"]["buffer_train_data_candles"] = 0
    found = check(set_freqai_targets=labelling(near=ahead(4), far=ahead(24)))
    assert found["labels"].found == "2, on at least 456 of 480 training candles"
    assert not any(each.problem for each in found.values())


def test_no_label_is_a_problem(check: Check) -> None:
    found = check(set_freqai_targets=lambda dataframe, metadata: dataframe)
    assert found["labels"].problem == (
        "ExampleLSTMStrategy.set_freqai_targets: must set a column with '&' in its name, set none"
    )
    assert "training rows" not in found


def test_label_without_any_value_is_a_problem(check: Check) -> None:
    found = check(set_freqai_targets=labelling(there=ahead(1), never=lambda dataframe: np.nan))
    message = found["labels"].problem
    assert message.startswith("ExampleLSTMStrategy.set_freqai_targets: each column must have")
    assert f"NaN or infinite on all {CANDLES} candles of {PAIRS[0]} from 2024-01-21" in message
    assert ": &-never. FreqAI trains only on candles" in message
    assert "training rows" not in found


def test_no_feature_is_a_problem(check: Check) -> None:
    nothing = lambda dataframe, *_, **__: dataframe  # noqa: E731
    found = check(
        feature_engineering_expand_all=nothing,
        feature_engineering_expand_basic=nothing,
        feature_engineering_standard=nothing,
    )
    assert found["features"].problem == (
        "ExampleLSTMStrategy.feature_engineering_*: must set a column with '%' in its name, set "
        "none"
    )


def test_features_without_any_value_are_named_as_far_as_fits(check: Check) -> None:
    def divided_by_zero(dataframe: pd.DataFrame, **_: Any) -> pd.DataFrame:
        return dataframe.assign(**{f"%-{n}": dataframe["close"] / 0 for n in range(7)})

    found = check(feature_engineering_standard=lambda frame, metadata: divided_by_zero(frame))
    assert ": %-0, %-1, %-2, %-3, %-4 and 2 more. FreqAI" in found["features"].problem


@pytest.mark.parametrize(("warm_up", "problem"), [(400, False), (740, True)])
def test_warm_up_that_leaves_no_batch_is_a_problem(
    check: Check, warm_up: int, problem: bool
) -> None:
    message = check(feature_engineering_standard=warming_up(warm_up))["training rows"].problem
    assert bool(message) is problem
    if problem:
        assert message.startswith(
            "freqai.train_period_days: must leave a batch of 32 windows of 5 candles to train on, "
            "left 16, with 12 windows of 5: of 440 candles"
        )
        assert "440 carry all labels" in message
        assert "whose warm-up takes the first ones (%-slow has only 20)" in message


def test_horizon_that_leaves_no_batch_is_a_problem(check: Check) -> None:
    found = check(set_freqai_targets=labelling(far=ahead(CANDLES)))
    message = found["training rows"].problem
    assert "must leave a batch of 32 windows of 5 candles to train on, left 16, with 12" in message
    assert f"of {CANDLES} candles" in message
    assert "20 carry all labels, whose horizon takes the last ones, and 20 of these all" in message


def test_other_model_needs_a_candle(check: Check, config: dict[str, Any]) -> None:
    other = SimpleNamespace(freqai_info=config["freqai"])
    found = check(other, set_freqai_targets=labelling(far=ahead(CANDLES)))
    assert found["training rows"].found.startswith("16, of ")
    assert not found["training rows"].problem
    one = labelling(far=lambda frame: frame["close"].where(frame.index == frame.index[-30]))
    message = check(other, set_freqai_targets=one)["training rows"].problem
    assert message.startswith("freqai.train_period_days: must leave a candle to train on, left 0:")


def test_labels_of_a_classifier_are_counted(check: Check, config: dict[str, Any]) -> None:
    up_or_down = labelling(
        direction=lambda frame: np.where(frame["close"].diff() > 0, "up", "down")
    )
    other = SimpleNamespace(freqai_info=config["freqai"])
    found = check(other, set_freqai_targets=up_or_down)
    assert found["labels"].found == f"1, on at least {CANDLES} of {CANDLES} training candles"


def test_what_the_strategy_raises_is_told(check: Check) -> None:
    def broken(dataframe: pd.DataFrame, metadata: Any) -> pd.DataFrame:
        raise KeyError("no such column")

    found = check(set_freqai_targets=broken)
    assert found["labels"].found == "not counted"
    assert found["labels"].problem == (
        "ExampleLSTMStrategy: must make features and labels of stored candles for FreqAI to train "
        "on, was: KeyError: 'no such column'"
    )


@pytest.mark.parametrize("returned", [None, 5])
def test_strategy_that_returns_no_candles_is_told(check: Check, returned: Any) -> None:
    found = check(set_freqai_targets=lambda dataframe, metadata: returned)
    assert "must make features and labels of stored candles" in found["labels"].problem


def test_split_that_leaves_nothing_to_train_on_is_told(
    check: Check, config: dict[str, Any]
) -> None:
    config["freqai"]["data_split_parameters"]["test_size"] = 0.99
    two = labelling(far=lambda frame: frame["close"].where(frame.index.isin(frame.index[-31:-29])))
    other = SimpleNamespace(freqai_info=config["freqai"])
    message = check(other, set_freqai_targets=two)["labels"].problem
    assert "the resulting train set will be empty" in message


def test_first_pair_that_has_its_candles_is_taken(
    check: Check, own_datadir: Path, config: dict[str, Any]
) -> None:
    candle_file(own_datadir, PAIRS[0], "4h").unlink()
    assert f", of {PAIRS[1]} from " in check()["training rows"].found
    # ETH is in include_corr_pairlist: without it, no pair has its features.
    candle_file(own_datadir, PAIRS[1], "4h").unlink()
    found = check()
    assert found["labels"] == Finding("labels", "not counted: no candles of a training period")


def test_training_before_the_first_candle_is_not_counted(
    check: Check, config: dict[str, Any]
) -> None:
    config["timerange"] = "20231101-20231105"
    assert check()["labels"].found == "not counted: no candles of a training period"


def test_no_pair_is_not_counted(check: Check, config: dict[str, Any]) -> None:
    strategy = StrategyResolver.load_strategy(config)
    findings = list(check_labels(config | {"pairs": []}, strategy, None))
    assert findings == [Finding("labels", "not counted: no candles of a training period")]
