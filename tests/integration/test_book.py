"""A book of longs and shorts, in freqtrade's backtesting: whose forecasts a stake was made of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.commands.data_commands import start_download_data
from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.persistence import LocalTrade

from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.synthetic import SyntheticMarket
from freqai_lstm.tools.loading import opened_backtesting
from tests.conftest import PAIRS, ROOT
from tests.replay_server import ReplayServer

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")

HOUR = pd.Timedelta(hours=1)


@pytest.fixture
def options(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The options of a backtest of the relative label on three pairs, with their candles."""
    config = json.loads((ROOT / "config-torch.json").read_text())
    config.update(strategy="ForecastLSTMStrategy", freqaimodel="RidgeRegressor", max_open_trades=3)
    config["exchange"]["pair_whitelist"] = PAIRS
    freqai = config["freqai"]
    freqai.update(train_period_days=12, backtest_period_days=3, continual_learning=False)
    freqai["feature_parameters"].update(
        include_timeframes=["1h"],
        include_corr_pairlist=[],
        label_period_candles=24,
        indicator_periods_candles=[10],
        relative_to="whitelist",
        DI_threshold=0,
    )
    freqai["model_training_parameters"] = {}
    market = SyntheticMarket(
        3, start_ms=parse_day_ms("20240101"), end_ms=parse_day_ms("20240301"), pairs=PAIRS
    )
    with ReplayServer(market) as server:
        overlay = exchange_overlay(server.url, "futures")
        for name, content in (("config", config), ("overlay", overlay)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        configs = [str(tmp_path / f"{name}.json") for name in ("config", "overlay")]
        own = {"config": configs, "user_data_dir": str(tmp_path), "timeframes": ["1h"]}
        start_download_data(own | {"timerange": "20240101-20240222"})
        user_data = ROOT / "user_data"
        yield own | {
            "timerange": "20240216-20240222",
            "strategy_path": str(user_data / "strategies"),
            "freqaimodel_path": str(user_data / "freqaimodels"),
            "export": "none",
        }


def test_stakes_are_made_of_what_all_pairs_forecast_two_candles_before(
    options: dict[str, Any],
) -> None:
    config = setup_optimize_configuration(options, RunMode.BACKTEST)
    asked = []
    with opened_backtesting(config) as backtesting:
        (strategy,) = backtesting.strategylist
        share = strategy._share

        def watched(pair: str, now: pd.Timestamp, is_short: bool) -> float:
            found = share(pair, now, is_short)
            # What freqtrade lets a strategy see at this moment: of others nothing on the first.
            visible = {each: strategy.dp.get_analyzed_dataframe(each, "1h")[0] for each in PAIRS}
            two_before = {
                each: frame.set_index("date")["forecast"][now - 2 * HOUR] if len(frame) else np.nan
                for each, frame in visible.items()
            }
            place = pd.Series(two_before).rank()[pair] - 2
            expected = max(-place if is_short else place, 0) * 2 / 3
            asked.append((pair, is_short, now, visible[pair]["date"].iloc[-1], found, expected))
            return float(found)

        strategy._share = watched
        candles, timerange = backtesting.load_bt_data()
        backtesting.backtest_one_strategy(strategy, candles, timerange)
    pair, is_short, now, newest, found, expected = map(list, zip(*asked, strict=True))
    assert found == pytest.approx(expected, nan_ok=True)
    assert newest == [time - HOUR for time in now]
    trades = LocalTrade.bt_trades
    assert {trade.is_short for trade in trades} == {False, True}
    assert any(len(trade.orders) > 2 for trade in trades)
    # freqtrade takes its own stake where a callback fails.
    staked = {key[:3] for key in zip(pair, is_short, now, found, strict=True) if key[3] > 0}
    assert {(trade.pair, trade.is_short, trade.open_date_utc) for trade in trades} <= staked
    for trade in trades:
        entry = trade.orders[0]
        assert entry.safe_filled * entry.safe_price == pytest.approx(2 / 3 * 8_000 / 3, rel=0.1)
