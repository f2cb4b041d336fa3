"""What the forecast strategy does with a predicted return: entries, exits, stakes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.resolvers import StrategyResolver
from unit_candles import random_walk

from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.score import RELATIVE_RETURN_LABEL, RETURN_LABEL, range_share
from tests.conftest import PAIRS

PAIR = {"pair": "BTC/USDT:USDT"}
HOURS = pd.date_range("2024-01-01", periods=60, freq="1h", tz="UTC")
FORECASTS = [9.0, 0.5, 0.0, -0.5, -9.0]


@pytest.fixture
def forecast(config: dict[str, Any]) -> dict[str, Any]:
    config["strategy"] = "ForecastLSTMStrategy"
    config["freqai"]["feature_parameters"]["label_period_candles"] = 4
    return config


def load(config: dict[str, Any], **parameters: Any) -> Any:
    """Load the strategy with these values of its parameters, without smoothing."""
    strategy = StrategyResolver.load_strategy(config)
    strategy.ft_load_hyper_params()
    strategy.freqai_info = config["freqai"]
    for name, value in {"half_life": 0, **parameters}.items():
        getattr(strategy, name).value = value
    return strategy


def predicted(strategy: Any, promises: list[float] = FORECASTS) -> pd.DataFrame:
    """Return analysed candles that promise so many round trips."""
    candles = random_walk(30 + len(promises))
    candles["date"] = HOURS[: len(candles)]
    shares = range_share(candles)
    frame = candles.assign(do_predict=1, funding=0.0)[-len(promises) :]
    forecast = np.array(promises) * strategy.round_trip_costs / shares[-len(promises) :]
    # The range needs its history.
    whole = candles.assign(do_predict=0, funding=0.0, **{RETURN_LABEL: 0.0})
    whole.loc[frame.index, ["do_predict", RETURN_LABEL]] = np.column_stack(
        [np.ones(len(promises)), forecast]
    )
    return whole


def trades(strategy: Any, frame: pd.DataFrame) -> dict[str, list[int]]:
    """Return the candles on which the strategy enters and leaves, from the first promise on."""
    frame = strategy.populate_entry_trend(frame, PAIR)
    frame = strategy.populate_exit_trend(frame, PAIR)
    columns = ("enter_long", "enter_short", "exit_long", "exit_short")
    none = pd.Series(0, frame.index)
    return {name: [i - 30 for i in frame.index[frame.get(name, none) == 1]] for name in columns}


def test_a_position_is_entered_on_much_and_held_while_anything_is_left(
    forecast: dict[str, Any],
) -> None:
    strategy = load(forecast, entry_margin=1.0, exit_margin=0.1)
    assert trades(strategy, predicted(strategy)) == {
        "enter_long": [0],
        "enter_short": [4],
        "exit_long": [2, 3, 4],
        "exit_short": [0, 1, 2],
    }


def test_funding_that_is_to_be_paid_takes_from_the_promise(forecast: dict[str, Any]) -> None:
    strategy = load(forecast, entry_margin=1.0)
    frame = predicted(strategy).assign(funding=20 * strategy.round_trip_costs)
    found = trades(strategy, frame)
    assert found["enter_long"] == []
    assert found["enter_short"] == [0, 1, 2, 3, 4]


def test_nothing_is_entered_without_volume_or_prediction(forecast: dict[str, Any]) -> None:
    strategy = load(forecast)
    frame = predicted(strategy)
    frame.loc[30, "volume"] = 0
    frame.loc[34, "do_predict"] = 0
    found = trades(strategy, frame)
    assert found["enter_long"] == found["enter_short"] == []


def test_smoothing_holds_a_position_over_one_bad_candle(forecast: dict[str, Any]) -> None:
    promises = [6.0] * 10 + [-3.0] + [6.0] * 3
    eager = load(forecast)
    assert trades(eager, predicted(eager, promises))["exit_long"] == [10]
    patient = load(forecast, half_life=5)
    assert trades(patient, predicted(patient, promises))["exit_long"] == []


@pytest.fixture
def trading(forecast: dict[str, Any]) -> Any:
    """The strategy with 3,000 USDT for three positions, promised 2 of the 4 of a whole stake."""
    forecast.update(max_open_trades=3, stake_amount="unlimited")
    strategy = load(forecast, full_margin=4.0, rebalance_share=0.2)
    strategy.wallets = SimpleNamespace(get_total_stake_amount=lambda: 3_000.0)
    strategy.dp = SimpleNamespace(current_whitelist=lambda: PAIRS)
    strategy.populate_entry_trend(predicted(strategy, [2.0]), PAIR)
    return strategy


# Ten minutes after the close of the candle with that promise.
NOW = HOURS[31] + pd.Timedelta(minutes=10)


def stake(strategy: Any, side: str, pair: str = PAIRS[0], now: pd.Timestamp = NOW) -> float:
    return float(
        strategy.custom_stake_amount(pair, now, 100.0, 1_000.0, 10.0, 5_000.0, 1.0, None, side)
    )


def test_stake_follows_the_promise(trading: Any) -> None:
    assert stake(trading, "long") == pytest.approx(500)
    assert stake(trading, "short") == 0


def test_nothing_is_staked_on_what_is_not_foreseen(trading: Any) -> None:
    assert stake(trading, "long", now=NOW + pd.Timedelta(hours=1)) == 0
    assert stake(trading, "long", PAIRS[1]) == 0


@pytest.fixture
def book(trading: Any) -> Any:
    """The strategy where three pairs are forecast something against the others, and its opposite.

    Then one of them is not foreseen.
    """
    trading.config["freqai"]["feature_parameters"]["relative_to"] = "whitelist"
    none = float("nan")
    for pair, forecasts in zip(
        PAIRS, ([0.3, -3, 0.1], [-0.1, 1, none], [-0.2, 2, 0.2]), strict=True
    ):
        frame = predicted(trading, [0.0] * len(forecasts))
        frame[RELATIVE_RETURN_LABEL] = 0.0
        frame.loc[30:, RELATIVE_RETURN_LABEL] = forecasts
        trading.populate_entry_trend(frame, {"pair": pair})
    return trading


@pytest.mark.parametrize(
    ("later", "places"), [(1, (2, 0, -2)), (2, (-2, 0, 2)), (3, (-1.5, 0, 1.5)), (4, (0, 0, 0))]
)
def test_relative_stake_follows_the_place_one_candle_before_the_newest(
    book: Any, later: int, places: tuple[float, ...]
) -> None:
    now = NOW + pd.Timedelta(hours=later)
    for side, sign in (("long", 1), ("short", -1)):
        stakes = [stake(book, side, pair, now) for pair in PAIRS]
        assert stakes == pytest.approx([max(sign * place / 3, 0) * 1_000 for place in places])


def test_position_of_a_pair_that_is_not_foreseen_waits(book: Any) -> None:
    hour = pd.Timedelta(hours=1)
    assert adjusted(book, 900.0, now=NOW + hour) == pytest.approx(-900 + 2_000 / 3)
    assert adjusted(book, 900.0, now=NOW + 9 * hour) is None


def adjusted(
    strategy: Any, stake_now: float, is_short: bool = False, now: pd.Timestamp = NOW
) -> float | None:
    trade = SimpleNamespace(
        pair=PAIR["pair"],
        amount=stake_now / 100,
        leverage=1.0,
        is_short=is_short,
        entry_side="sell" if is_short else "buy",
        exit_side="buy" if is_short else "sell",
        stake_amount=stake_now,
        has_open_orders=False,
    )
    found: float | None = strategy.adjust_trade_position(
        trade, now, 100.0, 0.0, 10.0, 5_000.0, 100.0, 100.0, 0.0, 0.0
    )
    return found


@pytest.mark.parametrize(
    ("present", "adjustment"), [(250.0, 250.0), (350.0, None), (650.0, None), (800.0, -300.0)]
)
def test_position_follows_once_it_is_far_off(
    trading: Any, present: float, adjustment: float | None
) -> None:
    assert adjusted(trading, present) == (None if adjustment is None else pytest.approx(adjustment))


def test_adjustment_is_noted_before_its_order_is_sent(
    trading: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = []

    def note(pair: str, side: str, rate: float, *, reduces: bool) -> bool:
        noted.append((pair, side, rate, reduces))
        return len(noted) < 3

    monkeypatch.setattr(trading, "note_order", note)
    assert [adjusted(trading, stake) is None for stake in (250.0, 800.0, 250.0)] == [0, 0, 1]
    bought, sold = (PAIR["pair"], "buy", 100.0, False), (PAIR["pair"], "sell", 100.0, True)
    assert noted == [bought, sold, bought]


def test_position_without_a_promise_is_left_to_the_exit(trading: Any) -> None:
    assert adjusted(trading, 1_000.0, is_short=True) == pytest.approx(-989)


def test_labels_are_absolute_or_relative(forecast: dict[str, Any], candles: Any) -> None:
    strategy = load(forecast)
    assert RETURN_LABEL in strategy.set_freqai_targets(candles(PAIR["pair"]), PAIR)
    forecast["freqai"]["feature_parameters"]["relative_to"] = "whitelist"
    labelled = load_labelling_strategy(forecast).set_freqai_targets(candles(PAIR["pair"]), PAIR)
    assert labelled[RELATIVE_RETURN_LABEL].notna().sum() == len(labelled) - 14 - 4
    assert RETURN_LABEL not in labelled


@pytest.mark.parametrize("relative", [False, True])
def test_hyperopt_searches_what_has_an_effect(forecast: dict[str, Any], relative: bool) -> None:
    if relative:
        forecast["freqai"]["feature_parameters"]["relative_to"] = "whitelist"
    strategy = load(forecast)
    strategy.bot_start()
    searched = {
        name
        for name, parameter in strategy.enumerate_parameters()
        if parameter.optimize and parameter.space in ("buy", "sell")
    }
    always = {"half_life", "entry_margin", "rebalance_share", "exit_margin"}
    assert searched == (always if relative else always | {"full_margin"})
