"""Small markets that the tests of the replay exchange are made of."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from freqai_lstm.replay.candles import DAY_MS, HOUR_MS, parse_day_ms
from freqai_lstm.replay.market import Candles, FundingRates, Listing, Market, PriceKind, TradingMode

START_MS = parse_day_ms("20240101")
LISTING = Listing("BTC", "USDT", 1, 3, 100.0)


@dataclass
class StoredMarket:
    """One pair with the given candles, the mark price equal to the last price."""

    stored: Mapping[str, Candles]
    start_ms: int
    end_ms: int
    rates: FundingRates = field(default_factory=FundingRates.empty)
    listings: tuple[Listing, ...] = (LISTING,)
    identity: str = "stored"
    trading_mode: TradingMode = "futures"

    def timeframes(self, symbol: str, price: PriceKind) -> list[str]:
        return list(self.stored)

    def candles(self, symbol: str, price: PriceKind, timeframe: str) -> Candles:
        return self.stored[timeframe]

    def funding_rates(self, symbol: str) -> FundingRates:
        return self.rates

    def __str__(self) -> str:
        return "one pair"


def random_candles(open_ms: np.ndarray, seed: int = 0) -> Candles:
    """Consistent candles at the given times."""
    rng = np.random.default_rng(seed)
    close = np.round(100.0 + rng.standard_normal(len(open_ms)).cumsum(), 1)
    open_ = np.concatenate([[100.0], close])[: len(close)]
    return Candles(
        open_ms,
        open_,
        np.round(np.maximum(open_, close) + rng.random(len(close)), 1),
        np.round(np.minimum(open_, close) - rng.random(len(close)), 1),
        close,
        np.round(rng.random(len(close)) + 0.001, 3),
    )


def day_of(text: str, days: float = 0) -> int:
    """A moment so many days after the start of a day, in milliseconds since 1970."""
    return parse_day_ms(text) + int(days * DAY_MS)


def hours(days: int, seed: int = 0) -> Candles:
    """Hourly candles from the start of 2024."""
    return random_candles(
        np.arange(START_MS, START_MS + days * DAY_MS, HOUR_MS, dtype=np.int64), seed
    )


def frame(candles: Candles) -> pd.DataFrame:
    """Candles as freqtrade stores them."""
    dates = pd.to_datetime(candles.open_ms, unit="ms", utc=True)
    names = ("open", "high", "low", "close", "volume")
    return pd.DataFrame({"date": dates, **{name: getattr(candles, name) for name in names}})


def digest(market: Market) -> str:
    """Hash every bit of a market."""
    total = hashlib.sha256()
    for listing in market.listings:
        for price in ("last", "mark"):
            for timeframe in market.timeframes(listing.symbol, price):
                candles = market.candles(listing.symbol, price, timeframe)
                for values in vars(candles).values():
                    total.update(values.tobytes())
        rates = market.funding_rates(listing.symbol)
        total.update(rates.time_ms.tobytes() + rates.rate.tobytes())
    return total.hexdigest()
