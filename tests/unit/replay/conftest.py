"""Fixtures of the tests of the replay exchange."""

from collections.abc import Callable, Iterator

import pytest

from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.market import TradingMode
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer


@pytest.fixture(scope="session")
def two_months() -> SyntheticMarket:
    """BTC and ETH in 5m candles, from Monday 2024-01-01 to the end of February."""
    return market_of_two_months("futures", ["BTC/USDT:USDT", "ETH/USDT:USDT"])


def market_of_two_months(trading_mode: TradingMode, pairs: list[str]) -> SyntheticMarket:
    return SyntheticMarket(
        5,
        start_ms=parse_day_ms("20240101"),
        end_ms=parse_day_ms("20240301"),
        trading_mode=trading_mode,
        pairs=pairs,
    )


@pytest.fixture(scope="session")
def server(two_months: SyntheticMarket) -> Iterator[ReplayServer]:
    """The two months as history. Tests that add faults start their own."""
    with ReplayServer(two_months) as running:
        yield running


@pytest.fixture(scope="session")
def spot_server() -> Iterator[ReplayServer]:
    """The same two months as spot."""
    with ReplayServer(market_of_two_months("spot", ["BTC/USDT", "ETH/USDT"])) as running:
        yield running


@pytest.fixture
def set_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the real time, in milliseconds since 1970."""

    def change(time_ms: int) -> None:
        monkeypatch.setattr("time.time", lambda: time_ms / 1000)

    return change
