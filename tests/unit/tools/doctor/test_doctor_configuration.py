"""Configurations that freqtrade cannot use, each in one line."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from freqtrade.enums import RunMode

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.doctor.configuration import (
    check_consistency,
    check_freqai,
    load_configuration,
)
from tests.conftest import ROOT

Load = Callable[[str | dict[str, Any]], dict[str, Any]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the configuration that a file holds."""
    (tmp_path / "user_data").mkdir()

    def load(content: str | dict[str, Any]) -> dict[str, Any]:
        file = tmp_path / "config.json"
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_text(text, encoding="utf-8")
        userdir = str(tmp_path / "user_data")
        return load_configuration({"config": [str(file)], "user_data_dir": userdir})

    return load


@pytest.fixture
def example() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "config-torch.json").read_text(encoding="utf-8"))
    return loaded


def test_whole_configuration_is_loaded(load: Load, example: dict[str, Any]) -> None:
    assert load(example)["freqai"]["identifier"] == example["freqai"]["identifier"]


def test_missing_key_is_named_by_its_path(
    load: Load, example: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    del example["freqai"]["feature_parameters"]["include_timeframes"]
    with pytest.raises(SettingsError) as error:
        load(example)
    assert str(error.value) == (
        "freqai.feature_parameters: 'include_timeframes' is a required property"
    )
    # Not the whole schema.
    assert "Failed validating" not in caplog.text


def test_missing_key_of_the_whole_is_named(load: Load, example: dict[str, Any]) -> None:
    del example["exchange"]
    with pytest.raises(SettingsError, match="exchange"):
        load(example)


def test_value_of_another_type_is_named(load: Load, example: dict[str, Any]) -> None:
    example["freqai"]["train_period_days"] = "ten"
    with pytest.raises(SettingsError, match=r"freqai\.train_period_days: 'ten' is not of type"):
        load(example)


def test_what_freqtrade_stumbles_over_is_told(load: Load, example: dict[str, Any]) -> None:
    example["freqai"]["feature_parameters"]["include_timeframes"] = ["1x"]
    with pytest.raises(SettingsError, match=r"--config: must be a .* that freqtrade can use, was"):
        load(example)


def test_freqtrades_own_message_is_kept(load: Load, example: dict[str, Any]) -> None:
    example["freqai"]["enabled"] = False
    with pytest.raises(SettingsError, match=r"^freqai\.enabled: must be true"):
        load(example)
    with pytest.raises(SettingsError, match=r"syntax|JSON|Please verify"):
        load("{")


def test_timeframe_of_the_candles_joins_those_of_the_features(config: dict[str, Any]) -> None:
    config["freqai"]["feature_parameters"]["include_timeframes"] = ["4h"]
    config["runmode"] = RunMode.UTIL_NO_EXCHANGE
    assert list(check_consistency(config, strategy=object())) == []
    assert config["freqai"]["feature_parameters"]["include_timeframes"] == ["1h", "4h"]


def test_timeframe_that_is_missing_is_named(config: dict[str, Any]) -> None:
    del config["timeframe"]
    (finding,) = check_consistency(config, strategy=object())
    assert finding.problem == (
        "timeframe: must be set in the configuration or the strategy, was missing"
    )
    # Without the strategy nobody knows, and it is the strategy that is wrong.
    (finding,) = check_consistency(config, strategy=None)
    assert not finding.problem


@pytest.mark.parametrize(
    ("timeframe", "reason"),
    [
        ("1d", "Main timeframe of 1d must be smaller or equal"),
        ("1x", "--config: must be a configuration that freqtrade can use, was: NotSupported"),
    ],
)
def test_timeframe_that_does_not_fit_is_named(
    config: dict[str, Any], timeframe: str, reason: str
) -> None:
    (finding,) = check_consistency(config | {"timeframe": timeframe}, strategy=object())
    assert finding.problem.startswith(reason)


def test_lists_that_freqai_walks_through_are_checked(config: dict[str, Any]) -> None:
    assert list(check_freqai(config)) == []
    broken = copy.deepcopy(config)
    parameters = broken["freqai"]["feature_parameters"]
    parameters.update(include_timeframes=[], include_corr_pairlist=["A/B", 1])
    del parameters["indicator_periods_candles"]
    prefix = "freqai.feature_parameters"
    assert [each.problem for each in check_freqai(broken)] == [
        f"{prefix}.include_timeframes: must be a list of timeframes, at least one, was []",
        f"{prefix}.include_corr_pairlist: must be a list of pairs, was ['A/B', 1]",
        f"{prefix}.indicator_periods_candles: must be a list of numbers of candles, at least one, "
        f"was missing",
    ]
    parameters.update(include_corr_pairlist=[])
    assert len(list(check_freqai(broken))) == 2


@pytest.mark.parametrize("key", ["train_period_days", "backtest_period_days"])
@pytest.mark.parametrize("days", [0, -1])
def test_period_without_a_length_is_named(config: dict[str, Any], key: str, days: int) -> None:
    # FreqAI would walk on for ever.
    config["freqai"][key] = days
    (finding,) = check_freqai(config)
    assert finding.problem == f"freqai.{key}: must be greater than 0, was {days}"
