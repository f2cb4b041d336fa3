"""A seeded random market: ten pairs that move together, from one seed always the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay import price_paths
from freqai_lstm.replay.candles import DAY_MS, HOUR_MS, fixed_length_ms, format_day
from freqai_lstm.replay.market import (
    FUNDING_INTERVAL_MS,
    Candles,
    FundingRates,
    Listing,
    PriceKind,
    TradingMode,
    count_pairs,
)


@dataclass(frozen=True)
class Coin:
    """How one coin behaves.

    ``hourly_volatility`` is the standard deviation of hourly returns, ``common_share`` the part of
    its variance that all coins have in common, ``hourly_turnover`` is in USDT.
    """

    listing: Listing
    start_price: float
    hourly_volatility: float
    common_share: float
    hourly_turnover: float


COINS = (
    Coin(Listing("BTC", "USDT", 1, 3, 100.0), 16_540.0, 0.0055, 0.80, 4.0e8),
    Coin(Listing("ETH", "USDT", 2, 3, 20.0), 1_196.0, 0.0062, 0.78, 2.2e8),
    Coin(Listing("LTC", "USDT", 2, 3, 20.0), 70.1, 0.0075, 0.68, 1.8e7),
    Coin(Listing("BNB", "USDT", 2, 2, 5.0), 246.0, 0.0058, 0.68, 2.4e7),
    Coin(Listing("XRP", "USDT", 4, 1, 5.0), 0.3389, 0.0075, 0.66, 3.6e7),
    Coin(Listing("ADA", "USDT", 4, 0, 5.0), 0.2457, 0.0080, 0.70, 1.6e7),
    Coin(Listing("DOT", "USDT", 3, 1, 5.0), 4.311, 0.0078, 0.70, 9.0e6),
    Coin(Listing("SOL", "USDT", 3, 0, 5.0), 9.961, 0.0100, 0.66, 4.5e7),
    Coin(Listing("LINK", "USDT", 3, 2, 20.0), 5.558, 0.0082, 0.68, 1.1e7),
    Coin(Listing("AVAX", "USDT", 3, 0, 5.0), 10.87, 0.0088, 0.68, 1.2e7),
)


def choose_coins(
    pairs: Sequence[str] | None, trading_mode: TradingMode = "futures"
) -> Sequence[Coin]:
    """Find the coins of some pairs, named as the trading mode names them; all coins by default.

    :raises ReplayError: If there is no such coin, or none is asked for.
    """
    listings = [replace(coin.listing, trading_mode=trading_mode) for coin in COINS]
    by_pair = {
        listing.pair: replace(coin, listing=listing)
        for listing, coin in zip(listings, COINS, strict=True)
    }
    if pairs is None:
        return list(by_pair.values())
    unknown = sorted(set(pairs) - set(by_pair))
    if unknown or not pairs:
        raise ReplayError(
            f"The synthetic {trading_mode} market has the pairs {', '.join(by_pair)};"
            f" was asked for {', '.join(unknown) or 'none'}."
        )
    return [coin for pair, coin in by_pair.items() if pair in pairs]


BASE_TIMEFRAMES = ("1m", "5m", "15m", "1h")
DEFAULT_START_MS = 1_672_531_200_000  # 2023-01-01
DEFAULT_END_MS = 1_719_792_000_000  # 2024-07-01, where 2024-06-30 ends

_COMMON_VOLATILITY_SPREAD = 0.5
_OWN_VOLATILITY_SPREAD = 0.3
_BASIS = 0.0002
_NORMAL_FUNDING_RATE = 0.0001
_LARGEST_FUNDING_RATE = 0.003


@dataclass(frozen=True)
class _CommonMoves:
    """What all coins share; arrays of shape ``(steps,)``."""

    season: price_paths.Floats
    volatility: price_paths.Floats
    moves: price_paths.Floats
    regimes: price_paths.Regimes


@dataclass(frozen=True)
class _Series:
    last: Candles
    mark: Candles
    funding: FundingRates


class SyntheticMarket:
    """Candles, mark prices and funding rates that a seed decides to the last bit.

    A pair's candles do not depend on which other pairs are listed, or on the trading mode. They are
    generated when first asked for, well under a second a pair for 18 months of 5m candles.

    :param seed: Any non-negative number.
    :param start_ms: First candle, milliseconds since 1970, at midnight UTC.
    :param end_ms: End of the last candle, at midnight UTC.
    :param base_timeframe: Timeframe of the candles that longer ones are aggregated from.
    :param trading_mode: Whether the pairs are futures or spot.
    :param pairs: Pairs to list, such as ``BTC/USDT:USDT``; all of :data:`COINS` by default.
    :raises ReplayError: If a value is out of range.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        start_ms: int = DEFAULT_START_MS,
        end_ms: int = DEFAULT_END_MS,
        base_timeframe: str = "5m",
        trading_mode: TradingMode = "futures",
        pairs: Sequence[str] | None = None,
    ) -> None:
        if seed < 0:
            raise ReplayError(f"The seed must not be negative; was {seed}.")
        if base_timeframe not in BASE_TIMEFRAMES:
            known = ", ".join(BASE_TIMEFRAMES)
            raise ReplayError(f"The base timeframe must be one of {known}; was {base_timeframe!r}.")
        if start_ms < 0 or start_ms % DAY_MS or end_ms % DAY_MS or end_ms <= start_ms:
            raise ReplayError(
                "The synthetic market needs at least one whole UTC day, from midnight to midnight;"
                f" was {start_ms} ms to {end_ms} ms."
            )
        self.seed = seed
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.base_timeframe = base_timeframe
        self.trading_mode = trading_mode
        self._coins = {coin.listing.symbol: coin for coin in choose_coins(pairs, trading_mode)}
        self._series: dict[str, _Series] = {}

    @property
    def listings(self) -> Sequence[Listing]:
        return [coin.listing for coin in self._coins.values()]

    @property
    def identity(self) -> str:
        """Name the market by all that decides its candles."""
        days = f"{format_day(self.start_ms)}-{format_day(self.end_ms)}".replace("-", "")
        return f"seed{self.seed}-{self.base_timeframe}-{days}"

    def timeframes(self, symbol: str, price: PriceKind) -> Sequence[str]:
        return [self.base_timeframe]

    def candles(self, symbol: str, price: PriceKind, timeframe: str) -> Candles:
        """Give all base candles of a pair; mark price candles have no volume."""
        series = self._series_of(symbol)
        return series.last if price == "last" else series.mark

    def funding_rates(self, symbol: str) -> FundingRates:
        return self._series_of(symbol).funding

    def __str__(self) -> str:
        return (
            f"{count_pairs(self.listings)}, {self.base_timeframe} candles, "
            f"{format_day(self.start_ms)} to {format_day(self.end_ms - 1)}"
        )

    @cached_property
    def _open_ms(self) -> NDArray[np.int64]:
        step_ms = fixed_length_ms(self.base_timeframe)
        return np.arange(self.start_ms, self.end_ms, step_ms, dtype=np.int64)

    @property
    def _per_hour(self) -> float:
        return HOUR_MS / fixed_length_ms(self.base_timeframe)

    @cached_property
    def _common(self) -> _CommonMoves:
        rng = np.random.default_rng([self.seed, 0])
        steps = len(self._open_ms)
        common_volatility = price_paths.volatility(
            rng, steps, self._per_hour, _COMMON_VOLATILITY_SPREAD
        )
        return _CommonMoves(
            season=price_paths.seasonality(self._open_ms),
            volatility=common_volatility,
            moves=common_volatility * price_paths.shocks(rng, steps),
            regimes=price_paths.regimes(rng, steps, self._per_hour),
        )

    def _series_of(self, symbol: str) -> _Series:
        if symbol not in self._series:
            self._series[symbol] = self._generate(self._coins[symbol])
        return self._series[symbol]

    def _generate(self, coin: Coin) -> _Series:
        """Draw one coin's candles. Arrays are of shape ``(steps,)``."""
        common, steps = self._common, len(self._open_ms)
        rng = np.random.default_rng([self.seed, crc32(coin.listing.symbol.encode())])
        own_volatility = price_paths.volatility(rng, steps, self._per_hour, _OWN_VOLATILITY_SPREAD)
        own_volatility *= common.volatility
        unit = coin.hourly_volatility / np.sqrt(self._per_hour)
        share = coin.common_share
        own_moves = np.sqrt(1 - share) * own_volatility * price_paths.shocks(rng, steps)
        moves = np.sqrt(share) * common.moves + own_moves
        moves *= unit * common.season
        variance = share * common.volatility**2 + (1 - share) * own_volatility**2
        deviation = unit * common.season * np.sqrt(variance)
        drift = common.regimes.drift * coin.hourly_volatility / self._per_hour
        reverting = common.regimes.reverting_share
        log_close = price_paths.log_price(moves, drift, reverting, self._per_hour)
        log_open = np.concatenate([[0.0], log_close[:-1]])
        log_high, log_low = price_paths.extremes(rng, log_open, log_close, deviation)

        last = self._candles_of(coin, rng, (log_open, log_high, log_low, log_close), common)
        basis = _BASIS * price_paths.stationary(rng, steps, self._per_hour)
        return _Series(last, _mark_candles(last, basis), self._funding(rng, basis))

    def _candles_of(
        self,
        coin: Coin,
        rng: np.random.Generator,
        log_prices: Sequence[price_paths.Floats],
        common: _CommonMoves,
    ) -> Candles:
        """Round prices to ticks, and draw volumes that rise with the size of the move."""
        listing = coin.listing
        prices = (coin.start_price * np.exp(log_price) for log_price in log_prices)
        rounded = (np.round(price, listing.price_decimals) for price in prices)
        open_, high, low, close = (np.maximum(price, listing.tick_size) for price in rounded)
        steps = len(close)
        unit = coin.hourly_volatility / np.sqrt(self._per_hour)
        size = np.abs(log_prices[3] - log_prices[0]) / unit
        usual = (coin.hourly_turnover / self._per_hour) * common.season * np.sqrt(common.volatility)
        turnover = usual * (0.4 + 0.75 * size) * np.exp(0.35 * rng.standard_normal(steps))
        smallest = float(f"1e-{listing.quantity_decimals}")
        volume = np.maximum(np.round(turnover / close, listing.quantity_decimals), smallest)
        return _enclosing(Candles(self._open_ms, open_, high, low, close, volume))

    def _funding(self, rng: np.random.Generator, basis: price_paths.Floats) -> FundingRates:
        """Draw funding rates near 0.01 % that follow the premium of the mark price."""
        first_ms = -(-self.start_ms // FUNDING_INTERVAL_MS) * FUNDING_INTERVAL_MS
        time_ms = np.arange(first_ms, self.end_ms, FUNDING_INTERVAL_MS, dtype=np.int64)
        step = (time_ms - self.start_ms) // fixed_length_ms(self.base_timeframe)
        sentiment = price_paths.stationary(rng, len(time_ms), half_life_steps=15.0)
        rate = _NORMAL_FUNDING_RATE * (1.0 + 0.8 * sentiment) + 0.1 * basis[step]
        rate = np.clip(rate, -_LARGEST_FUNDING_RATE, _LARGEST_FUNDING_RATE)
        return FundingRates(time_ms, np.round(rate, 8))


def _mark_candles(last: Candles, basis: price_paths.Floats) -> Candles:
    """Build mark price candles that stay within some hundredths of a percent of the last price."""
    close = np.round(last.close * (1.0 + basis), 8)
    open_ = np.concatenate([last.open[:1], close[:-1]])
    high, low = (np.round(price * (1.0 + basis), 8) for price in (last.high, last.low))
    return _enclosing(Candles(last.open_ms, open_, high, low, close, np.zeros(len(close))))


def _enclosing(candles: Candles) -> Candles:
    """Return the candles with highs and lows that enclose their opens and closes."""
    ends = candles.open, candles.close
    high = np.maximum(candles.high, np.maximum(*ends))
    return replace(candles, high=high, low=np.minimum(candles.low, np.minimum(*ends)))
