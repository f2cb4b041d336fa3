"""What a strategy is told to trade with: its parameter file, and its own keys."""

import json
from pathlib import Path
from typing import Any

import pytest
from freqtrade.strategy import BooleanParameter, CategoricalParameter, IntParameter, RealParameter

from freqai_lstm.bridge.parameters import check_parameter_file, check_trading_keys
from freqai_lstm.exceptions import SettingsError


class Strategy:
    threshold_buy = RealParameter(0.1, 3.0, default=0.6, space="buy")
    threshold_sell = RealParameter(-3.0, -0.1, default=-0.6, space="sell")
    direction = CategoricalParameter(["follow", "fade"], default="follow", space="buy")
    require_return = BooleanParameter(default=True, space="buy")
    cooldown_candles = IntParameter(0, 24, default=1, space="protection")

    def __init__(self, folder: Path) -> None:
        self.__file__ = str(folder / "strategy.py")


def checked(folder: Path, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "strategy.json").write_text(text)
    check_parameter_file(Strategy(folder))


def refused(folder: Path, content: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        checked(folder, content)
    message = str(caught.value)
    assert message.startswith(str(folder / "strategy.json"))
    return message


def test_no_file_and_what_hyperopt_writes_are_fine(tmp_path: Path) -> None:
    check_parameter_file(Strategy(tmp_path))
    params = {
        "buy": {"threshold_buy": 3.0, "direction": "fade", "require_return": False},
        "sell": {"threshold_sell": -0.1},
        "protection": {"cooldown_candles": 0},
        "roi": {"0": 0.1},
        "stoploss": {"stoploss": -0.1},
        "trailing": {"trailing_stop": True, "trailing_stop_positive": None},
        "max_open_trades": {"max_open_trades": 3},
    }
    checked(tmp_path, {"strategy_name": "Strategy", "params": params})


@pytest.mark.parametrize(
    ("space", "name", "value", "problem"),
    [
        ("buy", "threshold_buy", float("nan"), "must be a number from 0.1 to 3, was nan"),
        ("buy", "threshold_buy", 0, "must be a number from 0.1 to 3, was 0"),
        ("buy", "threshold_buy", "0.6", "must be a number from 0.1 to 3, was '0.6'"),
        ("buy", "threshold_buy", True, "must be a number from 0.1 to 3, was True"),
        ("sell", "threshold_sell", 5, "must be a number from -3 to -0.1, was 5"),
        ("buy", "direction", "sideways", "must be one of ['follow', 'fade'], was 'sideways'"),
        ("buy", "require_return", 1, "must be true or false, was 1"),
        ("protection", "cooldown_candles", 25, "must be a number from 0 to 24, was 25"),
        ("buy", "treshold_buy", 1, "unknown parameter (did you mean 'threshold_buy'?), was 1"),
        ("buy", "threshold_sell", -1, "unknown parameter of this space (it is one of 'sell'), was"),
        ("stoploss", "stoploss", float("inf"), "must be a finite number, was inf"),
    ],
)
def test_wrong_value_is_named_and_nothing_is_traded(
    tmp_path: Path, space: str, name: str, value: Any, problem: str
) -> None:
    message = refused(tmp_path, {"params": {space: {name: value}}})
    assert "has 1 problem(s), nothing is traded:" in message
    assert f"\n  params.{space}.{name}: {problem}" in message


def test_every_problem_has_a_line(tmp_path: Path) -> None:
    message = refused(tmp_path, {"params": {"buy": {"direction": "up", "threshold_buy": 9}}})
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize(
    "content", ['{"params": {"buy"', "[1]", '{"params": [1]}', '{"params": {"buy": 1}}']
)
def test_file_that_is_no_parameter_file_is_refused(tmp_path: Path, content: str) -> None:
    assert "must be a" in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"leverage": 0.5}, "leverage: must be a number of at least 1, was 0.5"),
        ({"leverage": float("nan")}, "leverage: must be a number of at least 1, was nan"),
        ({"leverage": "3"}, "leverage: must be a number of at least 1, was '3'"),
        ({"leverage": 3, "trading_mode": "spot"}, "leverage: must be 1 where trading_mode is not"),
        ({"stake_by_certainty": "yes"}, "stake_by_certainty: must be true or false, was 'yes'"),
    ],
)
def test_wrong_trading_keys_are_refused(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_trading_keys({"trading_mode": "futures"} | config)
    assert str(caught.value).startswith(problem)


def test_trading_keys_may_be_left_out() -> None:
    check_trading_keys({})
    check_trading_keys({"trading_mode": "futures", "leverage": 3, "stake_by_certainty": True})
