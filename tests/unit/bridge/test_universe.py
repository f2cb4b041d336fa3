"""What a return is relative to."""

from types import SimpleNamespace
from typing import Any

import pytest
from freqtrade.enums import RunMode

from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.bridge.universe import candles_of_others, universe
from freqai_lstm.exceptions import SettingsError
from tests.conftest import PAIRS

BTC, ETH, SOL = PAIRS


@pytest.fixture
def relative(config: dict[str, Any]) -> dict[str, Any]:
    config["freqai"]["feature_parameters"]["relative_to"] = "whitelist"
    return config


def test_whitelist_stands_for_its_pairs(relative: dict[str, Any]) -> None:
    assert universe(load_labelling_strategy(relative)) == PAIRS


def test_pairs_can_be_named(relative: dict[str, Any]) -> None:
    relative["freqai"]["feature_parameters"]["relative_to"] = [ETH, SOL]
    assert universe(load_labelling_strategy(relative)) == [ETH, SOL]


def test_a_bot_asks_for_the_whitelist_of_the_moment(relative: dict[str, Any]) -> None:
    dp = SimpleNamespace(current_whitelist=lambda: [SOL])
    assert universe(SimpleNamespace(config=relative, dp=dp)) == [SOL]


def test_without_the_key_returns_are_absolute(config: dict[str, Any]) -> None:
    assert universe(load_labelling_strategy(config)) == []


def test_all_stored_candles_of_the_others_are_known(relative: dict[str, Any]) -> None:
    strategy = load_labelling_strategy(relative)
    # More than the timerange: what came true is asked of all candles.
    assert [len(candles) for candles in candles_of_others(strategy, BTC)] == [121 * 24] * 2
    # A pair that is not among those named is compared with all of them.
    assert len(candles_of_others(strategy, "ADA/USDT:USDT")) == 3


def test_pair_without_candles_is_named(relative: dict[str, Any]) -> None:
    relative["freqai"]["feature_parameters"]["relative_to"] = [BTC, "ADA/USDT:USDT"]
    with pytest.raises(SettingsError, match=r"relative_to: must name pairs .* ADA/USDT:USDT had"):
        candles_of_others(load_labelling_strategy(relative), ETH)


def test_live_the_others_are_what_freqai_has_gathered(relative: dict[str, Any]) -> None:
    relative["runmode"] = RunMode.DRY_RUN
    gathered = {BTC: {"1h": "candles of BTC"}, SOL: {"1h": "candles of SOL"}}
    strategy = SimpleNamespace(
        config=relative,
        dp=SimpleNamespace(current_whitelist=lambda: PAIRS),
        freqai=SimpleNamespace(dd=SimpleNamespace(historic_data=gathered)),
    )
    assert candles_of_others(strategy, ETH) == ["candles of BTC", "candles of SOL"]
    assert candles_of_others(strategy, SOL) == ["candles of BTC"]
