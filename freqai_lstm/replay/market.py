"""What the replay exchange serves: listed pairs, their candles and their funding rates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

PriceKind = Literal["last", "mark"]
TradingMode = Literal["futures", "spot"]
TRADING_MODES: tuple[TradingMode, ...] = get_args(TradingMode)
FUNDING_INTERVAL_MS = 8 * 3_600_000


@dataclass(frozen=True)
class Candles:
    """Candles of one pair and timeframe, oldest first; every array has shape ``(candles,)``.

    ``open_ms`` is the opening time in milliseconds since 1970 UTC, ``volume`` is in base coins.
    """

    open_ms: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.open_ms)

    def __getitem__(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> "Candles":
        return Candles(*(column[rows] for column in vars(self).values()))

    @classmethod
    def empty(cls) -> "Candles":
        """No candles at all."""
        return cls(np.empty(0, np.int64), *[np.empty(0)] * 5)

    @classmethod
    def join(cls, parts: Sequence["Candles"]) -> "Candles":
        """Put candles one after the other."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    def shifted(self, shift_ms: int) -> "Candles":
        return replace(self, open_ms=self.open_ms + shift_ms)


@dataclass(frozen=True)
class FundingRates:
    """Settled funding rates of one pair, oldest first; both arrays have shape ``(rates,)``."""

    time_ms: NDArray[np.int64]
    rate: NDArray[np.float64]

    @classmethod
    def empty(cls) -> "FundingRates":
        """No funding rates at all."""
        return cls(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Listing:
    """One listed pair, in futures a perpetual contract, and its trading rules.

    ``price_decimals`` and ``quantity_decimals`` are the decimals of prices and of quantities: the
    tick size is ``10 ** -price_decimals``. ``min_notional``, of a contract, is in the quote coin.
    """

    base: str
    quote: str
    price_decimals: int
    quantity_decimals: int
    min_notional: float = 5.0
    trading_mode: TradingMode = "futures"

    @property
    def symbol(self) -> str:
        """The exchange's name, such as ``BTCUSDT``."""
        return self.base + self.quote

    @property
    def pair(self) -> str:
        """The name that freqtrade uses, such as ``BTC/USDT:USDT``, or ``BTC/USDT`` in spot."""
        spot = f"{self.base}/{self.quote}"
        return spot if self.trading_mode == "spot" else f"{spot}:{self.quote}"

    @property
    def tick_size(self) -> float:
        """The smallest step of a price."""
        return float(f"1e-{self.price_decimals}")


def count_pairs(listings: Sequence[Listing]) -> str:
    """Write how many pairs are listed."""
    return "1 pair" if len(listings) == 1 else f"{len(listings)} pairs"


class Market(Protocol):
    """A source of candles. ``synthetic`` and ``recorded`` have one each."""

    @property
    def trading_mode(self) -> TradingMode:
        """What is traded, the mode of all its listings."""

    @property
    def listings(self) -> Sequence[Listing]:
        """The listed pairs."""

    @property
    def identity(self) -> str:
        """Name its candles: others have another name. Letters, digits and hyphens."""

    @property
    def start_ms(self) -> int:
        """When the first candle of any pair opens."""

    @property
    def end_ms(self) -> int:
        """When the last candle of any pair closes."""

    def timeframes(self, symbol: str, price: PriceKind) -> Sequence[str]:
        """Name the timeframes that are stored, not aggregated; shortest first."""

    def candles(self, symbol: str, price: PriceKind, timeframe: str) -> Candles:
        """Give all candles of a stored timeframe; sorted, without duplicates."""

    def funding_rates(self, symbol: str) -> FundingRates:
        """Give all funding rates of a pair."""


class ShiftedMarket:
    """A market moved in time, so that its history ends at another moment.

    :param shift_ms: By how much, a multiple of 21 days, to keep days, weeks and three-day candles
        on their boundaries. Calendar months cannot keep theirs, so stored months are not used.
    """

    def __init__(self, market: Market, shift_ms: int) -> None:
        self.market, self.shift_ms = market, shift_ms
        self.trading_mode, self.listings = market.trading_mode, market.listings
        self.identity = market.identity
        self.start_ms, self.end_ms = market.start_ms + shift_ms, market.end_ms + shift_ms

    def timeframes(self, symbol: str, price: PriceKind) -> Sequence[str]:
        """Name the stored timeframes except months."""
        return [name for name in self.market.timeframes(symbol, price) if name != "1M"]

    def candles(self, symbol: str, price: PriceKind, timeframe: str) -> Candles:
        return self.market.candles(symbol, price, timeframe).shifted(self.shift_ms)

    def funding_rates(self, symbol: str) -> FundingRates:
        rates = self.market.funding_rates(symbol)
        return FundingRates(rates.time_ms + self.shift_ms, rates.rate)
