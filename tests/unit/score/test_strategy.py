"""What the example strategy does with a prediction: direction, thresholds, return and spread."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import time_machine
from freqtrade.plugins.protectionmanager import ProtectionManager
from freqtrade.resolvers import StrategyResolver

from freqai_lstm.bridge.configuration import read_settings
from freqai_lstm.bridge.offline import warn_of_timeframe
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.score import (
    RETURN_LABEL,
    WEIGHT_NAMES,
    Signals,
    forward_return,
    forward_return_in_ranges,
    spread_columns,
)

LABELS = [f"&-score_{name}" for name in WEIGHT_NAMES]
SCORES = [2.0, 0.7, 0.3, 0.0, -0.3, -0.7, -2.0]


def load(config: dict[str, Any], **parameters: Any) -> Any:
    """Load the strategy with these values of its parameters."""
    strategy = StrategyResolver.load_strategy(config)
    strategy.ft_load_hyper_params()
    for name, value in parameters.items():
        getattr(strategy, name).value = value
    return strategy


def predicted(scores: list[float] = SCORES) -> pd.DataFrame:
    """Return analysed candles whose predicted score is given."""
    frame = pd.DataFrame({"volume": 1.0, "do_predict": 1, "volatility": 0.5}, range(len(scores)))
    frame["relative_volatility"] = 1.0
    for name in WEIGHT_NAMES:
        frame[f"&-score_{name}"] = scores
        frame[f"component_{name}"] = 0.0
    return frame


def trades(strategy: Any, frame: pd.DataFrame) -> dict[str, list[int]]:
    """Return the candles on which the strategy enters and leaves."""
    frame = strategy.populate_entry_trend(frame, {"pair": "BTC/USDT:USDT"})
    frame = strategy.populate_exit_trend(frame, {"pair": "BTC/USDT:USDT"})
    columns = ("enter_long", "enter_short", "exit_long", "exit_short")
    return {name: list(frame.index[frame.get(name, pd.Series(0)) == 1]) for name in columns}


def test_following_goes_with_the_score(config: dict[str, Any]) -> None:
    assert trades(load(config), predicted()) == {
        "enter_long": [0, 1],
        "enter_short": [5, 6],
        "exit_long": [5, 6],
        "exit_short": [0, 1],
    }


def test_fading_goes_against_it(config: dict[str, Any]) -> None:
    assert trades(load(config, direction="fade"), predicted()) == {
        "enter_long": [5, 6],
        "enter_short": [0, 1],
        "exit_long": [0, 1],
        "exit_short": [5, 6],
    }


def test_buy_threshold_is_of_the_long_side_in_both_directions(config: dict[str, Any]) -> None:
    follow = trades(load(config, threshold_buy=1.5, direction="follow"), predicted())
    fade = trades(load(config, threshold_buy=1.5, direction="fade"), predicted())
    assert (follow["enter_long"], follow["enter_short"]) == ([0], [5, 6])
    assert (fade["enter_long"], fade["enter_short"]) == ([6], [0, 1])


@pytest.mark.parametrize("direction", ["follow", "fade"])
def test_tags_say_where_the_score_was(config: dict[str, Any], direction: str) -> None:
    frame = predicted()
    trades(strategy := load(config, direction=direction), frame)
    analysed = strategy.populate_entry_trend(frame, {"pair": "BTC/USDT:USDT"})
    assert analysed["enter_tag"].dropna().tolist() == ["score_above"] * 2 + ["score_below"] * 2


@pytest.fixture
def with_return_head(config: dict[str, Any]) -> dict[str, Any]:
    config["freqai"]["feature_parameters"].update(label_period_candles=4, return_head=True)
    return config


RETURNS = [0.2, -0.2, 0.2, 0.2, 0.2, 0.2, -0.2]


@pytest.mark.parametrize(
    ("parameters", "long", "short"),
    [
        ({}, [0], [6]),
        ({"return_threshold": 0.3}, [], []),
        ({"require_return": False}, [0, 1], [5, 6]),
        ({"direction": "fade"}, [5], [1]),
    ],
)
def test_return_head_must_agree_with_the_side_of_an_entry(
    with_return_head: dict[str, Any], parameters: dict[str, Any], long: list[int], short: list[int]
) -> None:
    done = trades(
        load(with_return_head, **parameters), predicted().assign(**{RETURN_LABEL: RETURNS})
    )
    assert (done["enter_long"], done["enter_short"]) == (long, short)
    # A position is left whatever the return head says.
    assert len(done["exit_long"]) == len(done["exit_short"]) == 2


@pytest.fixture
def with_ensemble(config: dict[str, Any]) -> dict[str, Any]:
    config["freqai"]["model_training_parameters"]["model_kwargs"]["ensemble_size"] = 3
    return config


def test_spread_of_the_score_is_the_weighted_sum_of_the_spreads(
    with_ensemble: dict[str, Any],
) -> None:
    frame = predicted([1.0, 1.0]).assign(**dict.fromkeys(spread_columns(LABELS), 0.0))
    frame[spread_columns(LABELS)[1]] = [0.4, 0.8]
    frame["relative_volatility"] = 2.0
    frame.loc[1, "do_predict"] = 0
    strategy = load(with_ensemble, w0=0.6, w1=0.3, **dict.fromkeys(WEIGHT_NAMES[2:], 0.0))
    analysed = strategy.populate_entry_trend(frame, {"pair": "BTC/USDT:USDT"})
    # 0.3 / 0.9 of the spread of the second component, on the scale of the score.
    assert analysed["score"].iloc[0] == pytest.approx(2.0)
    assert analysed["score_spread"].iloc[0] == pytest.approx(2 * 0.4 / 3)
    assert np.isnan(analysed["score_spread"].iloc[1])


@pytest.mark.parametrize(
    ("parameters", "long", "short"),
    [
        ({}, [0, 1], [5, 6]),
        ({"min_certainty": 0.69}, [0, 1], [5, 6]),
        ({"min_certainty": 0.71}, [0], [6]),
        ({"min_certainty": 2.0}, [], []),
        ({"min_certainty": 0.71, "direction": "fade"}, [6], [0]),
    ],
)
def test_uncertain_scores_are_not_entered(
    with_ensemble: dict[str, Any], parameters: dict[str, Any], long: list[int], short: list[int]
) -> None:
    frame = predicted().assign(**dict.fromkeys(spread_columns(LABELS), 1.0))
    done = trades(load(with_ensemble, **parameters), frame)
    assert (done["enter_long"], done["enter_short"]) == (long, short)
    # A position is left however uncertain the score is.
    assert len(done["exit_long"]) == len(done["exit_short"]) == 2


def test_candle_without_a_spread_is_not_certain(with_ensemble: dict[str, Any]) -> None:
    frame = predicted().assign(**dict.fromkeys(spread_columns(LABELS), np.nan))
    assert trades(load(with_ensemble), frame.copy())["enter_long"] == [0, 1]
    assert trades(load(with_ensemble, min_certainty=0.1), frame)["enter_long"] == []


def test_single_network_has_no_certainty(config: dict[str, Any]) -> None:
    strategy = load(config, min_certainty=2.0)
    assert trades(strategy, predicted())["enter_long"] == [0, 1]
    analysed = strategy.populate_entry_trend(predicted(), {"pair": "BTC/USDT:USDT"})
    assert "score_spread" not in analysed


def test_return_label_is_there_on_request_alone(
    with_return_head: dict[str, Any], candles: Callable[..., pd.DataFrame]
) -> None:
    history = candles("BTC/USDT:USDT").head(200)
    strategy = load(with_return_head)
    strategy.freqai_info = with_return_head["freqai"]
    labelled = strategy.set_freqai_targets(history.copy(), {})
    assert labelled[RETURN_LABEL].tail(5).isna().tolist() == [False] + [True] * 4
    with_return_head["freqai"]["feature_parameters"]["return_head"] = False
    assert RETURN_LABEL not in strategy.set_freqai_targets(history.copy(), {})


def test_forward_return_is_in_units_of_the_average_range() -> None:
    close = pd.Series(np.arange(100.0, 140.0))
    candles = pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close})
    # Each candle spans 2, as does the true range: |high - previous close| = 2.
    assert forward_return_in_ranges(candles, 3).dropna().tolist() == pytest.approx([1.5] * 23)
    assert forward_return(close, 3).iloc[0] == pytest.approx(0.03)
    assert forward_return(close, 3).tail(3).isna().all()


def test_return_head_of_the_present_candle_is_refused(config: dict[str, Any]) -> None:
    config["freqai"]["feature_parameters"].update(label_period_candles=0, return_head=True)
    with pytest.raises(SettingsError, match=r"feature_parameters\.return_head: needs label_period"):
        read_settings(config["freqai"], 3600)


def entry_at(strategy: Any, now: str) -> Any:
    """Return the side that freqtrade enters on the signal of the candle of 09:00, or None."""
    signals = {"enter_long": 1, "exit_long": 0, "enter_tag": "score_above"}
    dates = pd.to_datetime(["2024-03-01 08:00Z", "2024-03-01 09:00Z"])
    frame = pd.DataFrame({"date": dates}).assign(**signals)
    with time_machine.travel(f"2024-03-01 {now}Z", tick=False):
        side, _ = strategy.get_entry_signal("BTC/USDT:USDT", "1h", frame)
    return side


@pytest.mark.parametrize(
    ("now", "enters"), [("10:00", True), ("10:59:59", True), ("11:00:01", False), ("12:30", False)]
)
def test_nothing_is_entered_on_an_old_candle(
    config: dict[str, Any], now: str, enters: bool
) -> None:
    strategy = load(config)
    strategy.bot_start()
    # The candle of 09:00 closes at 10:00, and the next one at 11:00.
    assert (entry_at(strategy, now) is not None) == enters
    assert strategy.ignore_buying_expired_candle_after == 3600


def test_users_own_patience_stays(config: dict[str, Any]) -> None:
    config["ignore_buying_expired_candle_after"] = 60
    strategy = load(config)
    strategy.bot_start()
    assert strategy.ignore_buying_expired_candle_after == 60
    assert entry_at(strategy, "10:00:59") is not None
    assert entry_at(strategy, "10:01:01") is None


# Markets, stakes and protections


def test_spot_knows_no_shorts(config: dict[str, Any]) -> None:
    assert load(config).can_short
    assert not load({**config, "trading_mode": "spot"}).can_short


def leverage_of(config: dict[str, Any], most: float) -> float:
    return load(config).leverage("BTC/USDT:USDT", None, 100.0, 1.0, most, None, "long")


def test_leverage_is_the_configured_one_at_most_the_exchanges(config: dict[str, Any]) -> None:
    assert leverage_of(config, 20) == 1
    assert leverage_of(config | {"leverage": 5}, 20) == 5
    assert leverage_of(config | {"leverage": 5}, 3) == 3


def stake_of(config: dict[str, Any], score: float, spread: float, least: float = 10) -> float:
    strategy = load(config)
    newest = pd.DataFrame({"score": [0.0, score], "score_spread": [0.0, spread]})
    strategy.dp = SimpleNamespace(get_analyzed_dataframe=lambda *_: (newest, None))
    arguments = ("BTC/USDT:USDT", None, 100.0, 1000.0, least, 5000.0, 1.0, None, "short")
    return float(strategy.custom_stake_amount(*arguments))


def test_uncertain_score_stakes_less_if_asked_for(config: dict[str, Any]) -> None:
    assert stake_of(config, -2.0, 2.0) == 1000
    config["stake_by_certainty"] = True
    assert stake_of(config, -2.0, 2.0) == 1000
    config["freqai"]["model_training_parameters"]["model_kwargs"]["ensemble_size"] = 2
    assert stake_of(config, -2.0, 2.0) == 500
    assert stake_of(config, 3.0, 1.0) == 750
    assert stake_of(config, 0.001, 1.0) == 10
    assert stake_of(config, np.nan, 1.0) == 1000


def test_protections_are_freqtrades_and_each_can_be_turned_off(config: dict[str, Any]) -> None:
    manager = ProtectionManager(config, load(config).protections)
    assert manager.name_list == ["CooldownPeriod", "StoplossGuard", "MaxDrawdown"]
    found = {one["method"]: one for one in load(config).protections}
    assert found["StoplossGuard"]["lookback_period_candles"] == 24
    assert found["MaxDrawdown"]["lookback_period_candles"] == 7 * 24
    off = {"cooldown_candles": 0, "max_stops_a_day": 0, "max_weekly_drawdown": 0.0}
    assert load(config, **off).protections == []


def test_wrong_parameter_file_ends_the_start(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = load(config)
    file = tmp_path / "ExampleLSTMStrategy.json"
    file.write_text('{"params": {"sell": {"threshold_sell": 5}}}')
    monkeypatch.setattr(strategy, "__file__", str(file.with_suffix(".py")))
    with pytest.raises(SettingsError, match=r"params\.sell\.threshold_sell: must be a number from"):
        strategy.bot_start()


def test_wrong_leverage_ends_the_start(config: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="leverage: must be a number of at least 1, was 0"):
        load(config | {"leverage": 0}).bot_start()


@pytest.mark.parametrize("timeframe", ["1h", "5m"])
def test_replaced_timeframe_is_told(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture, timeframe: str
) -> None:
    warn_of_timeframe(load(config | {"timeframe": timeframe}))
    told = "timeframe: ExampleLSTMStrategy was written for 1h, the configuration's 5m is used"
    assert (told in caplog.text) == (timeframe == "5m")


@pytest.mark.parametrize(("buy", "sell"), [(-2.0, 2.0), (0.2, 0.5), (-0.5, -0.2)])
@pytest.mark.parametrize("fade", [False, True])
def test_thresholds_of_the_wrong_sign_never_trade_against_the_score(
    buy: float, sell: float, fade: bool
) -> None:
    score = pd.Series(SCORES)
    above, below = Signals(buy, sell, fade).beyond(score)
    signal = -score if fade else score
    assert not (above & below).any()
    assert (signal[above] > max(buy, 0)).all()
    assert (signal[below] < min(sell, 0)).all()
