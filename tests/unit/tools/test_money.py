"""What a backtest earned, from results whose profit is known."""

import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from freqai_lstm.exceptions import SkillError
from freqai_lstm.tools.equity import daily_sharpe, marked_to_market, monthly
from freqai_lstm.tools.report.money import TradingResult, load_trades
from freqai_lstm.tools.report.verdicts import money_verdicts

BTC = "BTC/USDT:USDT"
CANDLES = pd.date_range("2024-03-01", periods=6, freq="h", tz="UTC")
CLOSES = pd.DataFrame({BTC: [100.0, 110.0, 90.0, 120.0, 130.0, 140.0]}, CANDLES)


def order(hour: int, amount: float, price: float, *, entry: bool) -> dict[str, Any]:
    filled = int((CANDLES[0] + pd.Timedelta(hours=hour)).timestamp() * 1000)
    return {
        "amount": amount,
        "safe_price": price,
        "ft_is_entry": entry,
        "order_filled_timestamp": filled,
        "ft_order_side": "buy",
        "cost": amount * price,
        "ft_order_tag": "",
    }


def trade(orders: list[dict[str, Any]], *, short: bool = False, profit: float) -> dict[str, Any]:
    first, last = (
        pd.Timestamp(one["order_filled_timestamp"], unit="ms", tz="UTC")
        for one in (orders[0], orders[-1])
    )
    return {
        "pair": BTC,
        "is_short": short,
        "open_date": first,
        "close_date": last,
        "open_timestamp": first.timestamp() * 1000,
        "close_timestamp": last.timestamp() * 1000,
        "open_rate": orders[0]["safe_price"],
        "close_rate": orders[-1]["safe_price"],
        "fee_open": 0.001,
        "fee_close": 0.001,
        "profit_abs": profit,
        "profit_ratio": profit / 100,
        "stake_amount": 100.0,
        "leverage": 1.0,
        "enter_tag": "above",
        "exit_reason": "roi",
        "orders": orders,
    }


def account(*trades: dict[str, Any]) -> list[float]:
    return marked_to_market(pd.DataFrame(trades), CLOSES, 1000).tolist()


def test_open_long_counts_with_each_close_and_the_fee_of_its_entry() -> None:
    orders = [order(1, 2, 100, entry=True), order(4, 2, 125, entry=False)]
    # Opened at the open of the second candle for 200 and 0.2 of fees.
    expected = [1, 1 + (220 - 200.2) / 1000, 1 + (180 - 200.2) / 1000, 1 + (240 - 200.2) / 1000]
    booked = 1 + 49.55 / 1000
    assert account(trade(orders, profit=49.55)) == pytest.approx([*expected, booked, booked])


def test_open_short_gains_where_the_price_falls() -> None:
    orders = [order(1, 2, 100, entry=True), order(3, 2, 95, entry=False)]
    expected = [1, 1 + (200 - 220 - 0.2) / 1000, 1 + (200 - 180 - 0.2) / 1000]
    booked = 1 + 9.6 / 1000
    marked = account(trade(orders, short=True, profit=9.6))
    assert marked == pytest.approx([*expected, booked, booked, booked])


def test_position_that_grows_counts_as_it_is_filled() -> None:
    orders = [
        *(order(0, 1, 100, entry=True), order(2, 1, 100, entry=True)),
        order(5, 2, 140, entry=False),
    ]
    marked = account(trade(orders, profit=79.5))
    assert marked[0] == pytest.approx(1 + (100 - 100.1) / 1000)
    assert marked[1] == pytest.approx(1 + (110 - 100.1) / 1000)
    assert marked[2] == pytest.approx(1 + (180 - 200.2) / 1000)
    assert marked[-1] == pytest.approx(1 + 79.5 / 1000)


def test_returns_of_the_months_multiply_to_the_whole() -> None:
    dates = pd.DatetimeIndex(["2024-01-05", "2024-01-31", "2024-02-10", "2024-04-01"], tz="UTC")
    months = monthly(pd.Series([1.0, 1.2, 0.9, 1.8], dates))
    assert months.round(9).to_dict() == {"2024-01": 0.2, "2024-02": -0.25, "2024-04": 1.0}


def test_sharpe_of_the_days_counts_idle_days() -> None:
    candles = pd.date_range("2024-03-01", periods=96, freq="h", tz="UTC")
    value = pd.Series(1.0, candles)
    value[30:], value[80:] = 1.1, 1.21
    # The first day's closing is what the others are measured by.
    returns = np.array([0.1, 0.0, 0.1])
    expected = returns.mean() / returns.std(ddof=1) * np.sqrt(365)
    assert daily_sharpe(value) == pytest.approx(expected)
    assert math.isnan(daily_sharpe(pd.Series(1.0, candles)))


# Finding the result


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "backtest_results").mkdir()
    return {
        "strategy": "Own",
        "timerange": "20240301-20240302",
        "user_data_dir": tmp_path,
        "freqai": {"identifier": "mine"},
    }


def store(
    config: dict[str, Any], name: str, age: int, trades: list[dict[str, Any]], **changes: Any
) -> Path:
    """Store a result as freqtrade does, and let it be so many seconds old."""
    result = {
        "strategy_name": "Own",
        "freqai_identifier": "mine",
        "timerange": "20240301-20240302",
        "total_trades": len(trades),
        "trades": [
            {**one, "open_date": str(one["open_date"]), "close_date": str(one["close_date"])}
            for one in trades
        ],
        "starting_balance": 1000,
        "profit_total": sum(one["profit_abs"] for one in trades) / 1000,
        "max_drawdown_account": 0.0,
        "sharpe": 1.0,
        "rejected_signals": 7,
        "results_per_pair": [
            {"key": BTC, "trades": len(trades), "wins": 1, "profit_total": 0.05},
            {"key": "TOTAL", "trades": len(trades), "wins": 1, "profit_total": 0.05},
        ],
        "exit_reason_summary": [],
    } | changes
    path = config["user_data_dir"] / "backtest_results" / f"backtest-result-{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        content = {"strategy": {result["strategy_name"]: result}}
        archive.writestr(f"{path.stem}.json", json.dumps(content))
    stamp = 1_700_000_000 - age
    os.utime(path, (stamp, stamp))
    return path


def found(config: dict[str, Any], file: Path | None = None) -> TradingResult:
    result = load_trades(config, {BTC: CLOSES[BTC]}, file)
    assert isinstance(result, TradingResult)
    return result


ORDERS = [order(1, 2, 100, entry=True), order(4, 2, 125, entry=False)]


def test_newest_result_that_matches_is_taken(own: dict[str, Any]) -> None:
    store(own, "a", 30, [])
    store(own, "b", 20, [trade(ORDERS, profit=49.55)])
    store(own, "c", 10, [], freqai_identifier="other")
    store(own, "d", 0, [], strategy_name="Other")
    result = found(own)
    assert result.file == "backtest-result-b.zip"
    assert result.figures["trades"] == 1
    assert result.figures["profit"] == pytest.approx(0.04955)
    assert result.figures["held_profit"] == pytest.approx(0.4)
    assert result.figures["max_drawdown"] == pytest.approx((19.8 + 20.2) / 1019.8)
    assert result.drawdown["held"].min() == pytest.approx(90 / 110 - 1)
    assert [(group.name, group.trades) for group in result.pairs] == [(BTC, 1)]


def test_backtest_without_trades_has_a_flat_account(own: dict[str, Any]) -> None:
    store(own, "a", 0, [])
    result = found(own)
    assert (result.equity == 1).all()
    assert result.figures["exposure"] == 0
    [verdict] = money_verdicts(result)
    assert verdict.tone == "warning"
    assert verdict.text.startswith(
        "Money: nothing was traded; holding made 40.0 %. 7 entries found"
    )


def test_no_result_that_matches_is_said_with_the_newest(own: dict[str, Any]) -> None:
    assert "there is none" in str(load_trades(own, {BTC: CLOSES[BTC]}))
    store(own, "a", 10, [], timerange="20240101-20240201")
    store(own, "b", 0, [], freqai_identifier="other")
    reason = load_trades(own, {BTC: CLOSES[BTC]})
    assert isinstance(reason, str)
    assert "must be of strategy 'Own', identifier 'mine' and timerange '20240301-2024" in reason
    assert (
        "the newest of 2, backtest-result-b.zip is of strategy 'Own', identifier 'other'" in reason
    )


def test_given_result_of_another_backtest_is_refused(own: dict[str, Any]) -> None:
    path = store(own, "a", 0, [], freqai_identifier="other")
    with pytest.raises(SkillError, match=r"--backtest-result .*a\.zip must be of strategy 'Own'"):
        found(own, path)
    with pytest.raises(SkillError, match=r"--backtest-result .*none\.zip: cannot be read"):
        found(own, own["user_data_dir"] / "none.zip")


# Verdicts


def judged(own: dict[str, Any], *profits: float) -> tuple[str, str]:
    store(own, "a", 0, [trade(ORDERS, profit=profit) for profit in profits])
    [verdict] = money_verdicts(found(own))
    return verdict.tone, verdict.text


def test_profit_of_a_few_trades_is_called_luck(own: dict[str, Any]) -> None:
    tone, text = judged(own, 30.0, -10.0)
    assert tone == "plain"
    assert text.startswith(
        "Money: the strategy made 2.0 %, holding made 40.0 %; its deepest fall was"
    )
    assert "2 trades, 10.00 ± 20.00 % a trade: too few to tell from luck." in text


def test_loss_is_a_warning_and_steady_profit_above_holding_is_good(own: dict[str, Any]) -> None:
    assert judged(own, -5.0, -6.0)[0] == "warning"
    tone, text = judged(own, *[20.0, 21.0] * 15)
    assert tone == "good"
    assert "30 trades" in text
    assert "more than luck explains" in text
