"""A bot without dry-run in this process, long in one pair and short in another on an exchange."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Trade, disable_database_use, enable_database_use

from freqai_lstm.replay.account.orders import FillStyle
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.binance.overlay import replay_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.feed import Clock
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

PAIRS = ["BTC/USDT:USDT", "ADA/USDT:USDT"]
CONFIG: dict[str, Any] = {
    "initial_state": "running",
    "trading_mode": "futures",
    "margin_mode": "isolated",
    "stake_currency": "USDT",
    "stake_amount": 1000,
    "max_open_trades": 2,
    "exchange": {"pair_whitelist": PAIRS},
    "pairlists": [{"method": "StaticPairList"}],
    "entry_pricing": {"price_side": "same", "use_order_book": True, "order_book_top": 1},
    "exit_pricing": {"price_side": "same", "use_order_book": True, "order_book_top": 1},
    "order_types": {
        "entry": "limit",
        "exit": "limit",
        "stoploss": "market",
        "stoploss_on_exchange": True,
        "stoploss_on_exchange_interval": 20,
    },
}
_STRATEGY = """
from {module} import {base}

class LongAndShort({base}):
    timeframe = "1m"
    stoploss = {stoploss}
    minimal_roi = {{"{minutes}": -1}}
    can_short = True

    def leverage(self, pair, *args, **kwargs):
        return 5.0

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        side = "short" if metadata["pair"].startswith("ADA") else "long"
        dataframe[[f"enter_{{side}}", "enter_tag"]] = (1, "always")
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""


@contextmanager
def order_exchange(folder: Path, partly: float) -> Iterator[ReplayServer]:
    """Run an exchange that takes orders at the time of now, with its overlay in a user directory.

    :param partly: How often an order is filled in parts.
    """
    days = {"start_ms": parse_day_ms("20240109"), "end_ms": parse_day_ms("20240112")}
    market = SyntheticMarket(3, **days, base_timeframe="1m", pairs=PAIRS)
    terms = AccountTerms(Decimal(5000), FillStyle(2, partly=partly, late_seconds=10.0))
    with ReplayServer(market, clock=Clock(is_live=True), terms=terms) as running:
        assert running.signed is not None
        overlay = replay_overlay(running.url, market, running.signed.credentials)
        overlay.pop("freqai")
        (folder / "overlay.json").write_text(json.dumps(overlay))
        yield running


def write_project(
    folder: Path, config: dict[str, Any], base: type, stoploss: float, minutes: int
) -> None:
    """Write the configuration, and a strategy that always enters.

    :param base: What the strategy subclasses.
    :param minutes: After how many it takes any profit.
    """
    strategy = _STRATEGY.format(
        module=base.__module__, base=base.__name__, stoploss=stoploss, minutes=minutes
    )
    (folder / "strategies").mkdir()
    (folder / "strategies" / "long_and_short.py").write_text(strategy)
    (folder / "config.json").write_text(json.dumps(config))


def start_bot(folder: Path, database: str = "trades.sqlite") -> FreqtradeBot:
    """Start a bot with what is in a user directory."""
    arguments = {
        "config": [str(folder / "config.json"), str(folder / "overlay.json")],
        "user_data_dir": str(folder),
        "strategy": "LongAndShort",
        "db_url": f"sqlite:///{folder / database}",
    }
    running = FreqtradeBot(Configuration(arguments, RunMode.LIVE).get_config())
    running.startup()
    return running


@contextmanager
def database_in_use() -> Iterator[None]:
    """Let freqtrade use its database: a backtest in the same process has switched it off."""
    used_before = Trade.use_db
    enable_database_use()
    yield
    if not used_before:
        disable_database_use("1m")
