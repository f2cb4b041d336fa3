"""An account on a market of a few hand-made hours."""

from collections.abc import Callable

import numpy as np
import pytest
from replay_markets import START_MS, StoredMarket

from freqai_lstm.replay.account.account import Account
from freqai_lstm.replay.account.orders import FillStyle
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.candles import HOUR_MS
from freqai_lstm.replay.feed import Clock, Feed
from freqai_lstm.replay.market import Candles, FundingRates

# Open, high, low and close of each hour, eleven of them.
HOURS = [
    *([1000.0, 1040.0, 980.0, 1020.0], [1020.0, 1030.0, 900.0, 950.0]),
    *([950.0, 960.0, 940.0, 955.0], [955.0, 1100.0, 950.0, 1080.0]),
    *([1080.0, 1090.0, 1070.0, 1085.0],) * 7,
]


@pytest.fixture
def make_account(set_time: Callable[[int], None]) -> Callable[..., Account]:
    """Open an account at the start of the first hour."""

    def make(deposit: float = 10_000, **style: float) -> Account:
        open_ms = START_MS + HOUR_MS * np.arange(len(HOURS), dtype=np.int64)
        prices = np.array(HOURS).T
        rates = FundingRates(np.array([START_MS, START_MS + 8 * HOUR_MS]), np.array([0.001, 0.002]))
        end_ms = START_MS + HOUR_MS * len(HOURS)
        candles = Candles(open_ms, *prices, np.ones(len(HOURS)))
        market = StoredMarket({"1h": candles}, START_MS, end_ms, rates)
        set_time(START_MS + 1)
        terms = AccountTerms(deposit, FillStyle(**style))
        return Account(Feed(market, Clock(is_live=True)), terms)

    return make


@pytest.fixture
def account(make_account: Callable[..., Account]) -> Account:
    """An account with 10,000 USDT."""
    return make_account()


@pytest.fixture
def wait(set_time: Callable[[int], None]) -> Callable[..., None]:
    """Let it be so many hours after the start, and an account catch up."""

    def until(hours: float, account: Account) -> None:
        set_time(START_MS + round(hours * HOUR_MS))
        account.advance()

    return until
