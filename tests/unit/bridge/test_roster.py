"""Pairs that join and leave while a bot runs."""

import threading
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from freqtrade.configuration import TimeRange
from freqtrade.freqai import data_drawer
from freqtrade.freqai.data_drawer import FreqaiDataDrawer

from freqai_lstm.bridge import roster as module
from freqai_lstm.bridge.roster import Roster, queue_up

BTC, ETH, SOL, XRP = (f"{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL", "XRP"))
HOUR = pd.Timedelta(hours=1)
NOW = pd.Timestamp("2024-03-01", tz="UTC")
CONFIG: dict[str, Any] = {
    "datadir": Path("none"),
    "candle_type_def": "futures",
    "timeframe": "1h",
    "exchange": {"pair_whitelist": [ETH]},
    "freqai": {
        "feature_parameters": {"include_corr_pairlist": [BTC], "include_timeframes": ["1h", "4h"]}
    },
}


class Drawer:
    """FreqAI's, as far as it loads candles."""

    load_all_pair_histories = FreqaiDataDrawer.load_all_pair_histories

    def __init__(self, *pairs: str) -> None:
        self.config = CONFIG
        self.freqai_info = CONFIG["freqai"]
        self.historic_data: dict[str, Any] = {pair: {} for pair in pairs}
        self.history_lock = threading.Lock()
        self.gone: list[str] = []

    def let_go(self, pair: str) -> None:
        self.gone.append(pair)


class Bot:
    """A strategy's data provider with a whitelist that changes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *pairs: str) -> None:
        self.pairs = list(pairs)
        self.downloaded: list[list[str]] = []
        self.dp = SimpleNamespace(current_whitelist=lambda: self.pairs)
        self.roster = Roster(CONFIG)
        monkeypatch.setattr(
            module,
            "download_all_data_for_training",
            lambda _, config: self.downloaded.append(config["pairs"]),
        )
        monkeypatch.setattr(
            data_drawer, "load_pair_history", lambda *, pair, timeframe, **_: f"{pair} {timeframe}"
        )

    def candle(self, drawer: Any, pair: str, newest: pd.Timestamp) -> list[str]:
        pairs = self.roster.call(self, pair, newest)
        kitchen: Any = SimpleNamespace(all_pairs=pairs)
        self.roster.let_in(self, kitchen, drawer, TimeRange())
        self.roster.let_go(pairs, drawer)
        return pairs


def test_pair_that_joins_gets_its_candles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bot, drawer = Bot(monkeypatch, ETH), Drawer(BTC, ETH)
    assert bot.candle(drawer, ETH, NOW) == [BTC, ETH]
    assert bot.downloaded == []
    bot.pairs = [ETH, SOL, XRP]
    assert bot.candle(drawer, ETH, NOW + HOUR) == [BTC, ETH, SOL, XRP]
    assert bot.downloaded == [[SOL, XRP]]
    assert drawer.historic_data[SOL] == {"1h": f"{SOL} 1h", "4h": f"{SOL} 4h"}
    bot.candle(drawer, SOL, NOW + HOUR)
    assert bot.downloaded == [[SOL, XRP]]


def test_before_the_first_candle_freqai_loads_them_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    bot, drawer = Bot(monkeypatch, SOL), Drawer()
    bot.candle(drawer, SOL, NOW)
    assert bot.downloaded == [[SOL]]
    assert drawer.historic_data == {}


def test_pair_that_left_is_let_go_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bot, drawer = Bot(monkeypatch, ETH, SOL), Drawer(BTC, ETH)
    for pair in (ETH, SOL):
        bot.candle(drawer, pair, NOW)
    bot.pairs = [ETH]
    for candles in (1, 2):
        bot.candle(drawer, ETH, NOW + candles * HOUR)
        assert drawer.gone == []
    bot.candle(drawer, ETH, NOW + 3 * HOUR)
    assert drawer.gone == [SOL]
    assert set(drawer.historic_data) == {BTC, ETH}
    bot.pairs = [ETH, SOL]
    bot.candle(drawer, ETH, NOW + 4 * HOUR)
    # What is stored of it ends long ago.
    assert bot.downloaded == [[SOL], [SOL]]


def test_pair_with_an_open_trade_stays_though_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    bot, drawer = Bot(monkeypatch, ETH, SOL), Drawer(BTC, ETH)
    bot.candle(drawer, SOL, NOW)
    bot.pairs = [ETH]
    for candles in range(1, 9):
        bot.candle(drawer, ETH, NOW + candles * HOUR)
        assert SOL in bot.candle(drawer, SOL, NOW + candles * HOUR)
    assert drawer.gone == []
    assert bot.downloaded == [[SOL]]


def test_new_pairs_are_trained_after_the_one_in_training() -> None:
    queue = deque([BTC, ETH])
    queue_up(queue, [ETH, SOL])
    assert list(queue) == [BTC, SOL, ETH]
    queue = deque()
    queue_up(queue, [BTC])
    assert list(queue) == [BTC]
