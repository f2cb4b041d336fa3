"""What the exchange shows at this moment: everything until now, and nothing after it."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import (
    DAY_MS,
    aggregate,
    can_build,
    candle_end_ms,
    candle_start_ms,
    format_day,
    unfinished,
)
from freqai_lstm.replay.market import (
    FUNDING_INTERVAL_MS,
    Candles,
    FundingRates,
    Listing,
    Market,
    PriceKind,
    ShiftedMarket,
)
from freqai_lstm.replay.path import PricePath

_MARK_DECIMALS = 8
# Whole days, weeks (Monday) and three-day candles all keep their boundaries.
_SHIFT_STEP_MS = 21 * DAY_MS


@dataclass(frozen=True)
class Clock:
    """Tell the time, and how far the market is moved to be live.

    :param is_live: Whether the market goes on now; otherwise all of it is past.
    :param shift_ms: How far the market is moved into the future.
    """

    is_live: bool = False
    shift_ms: int = 0

    @classmethod
    def live(cls, market: Market, *, future_days: int = 30) -> "Clock":
        """Move the market so that it is now at least ``future_days`` days before its end.

        :raises ReplayError: If the market is not longer than that.
        """
        length_ms = market.end_ms - market.start_ms
        if length_ms <= future_days * DAY_MS + _SHIFT_STEP_MS:
            raise ReplayError(
                f"A live market needs more than {future_days + _SHIFT_STEP_MS // DAY_MS} days of "
                f"candles, of which {future_days} lie ahead; was {format_day(market.start_ms)} to "
                f"{format_day(market.end_ms - 1)}."
            )
        behind_ms = cls().server_ms() - (market.end_ms - future_days * DAY_MS)
        # Rounded up: the market reaches further ahead rather than less far.
        return cls(is_live=True, shift_ms=-(-behind_ms // _SHIFT_STEP_MS) * _SHIFT_STEP_MS)

    def server_ms(self) -> int:
        """Tell the real time in milliseconds since 1970."""
        return int(time.time() * 1000)


@dataclass(frozen=True)
class Span:
    """Which rows were asked for; times in milliseconds since 1970, both ends included.

    With a start, the oldest ``limit`` rows from there; without, the newest.
    """

    limit: int
    start_ms: int | None = None
    end_ms: int | None = None

    def rows(self, time_ms: NDArray[np.int64]) -> slice:
        """Find the rows among sorted times."""
        first = 0 if self.start_ms is None else int(np.searchsorted(time_ms, self.start_ms))
        stop = len(time_ms)
        if self.end_ms is not None:
            stop = int(np.searchsorted(time_ms, self.end_ms, side="right"))
        if self.start_ms is not None:
            return slice(first, min(stop, first + self.limit))
        return slice(max(first, stop - self.limit), stop)


class Feed:
    """A market behind a clock.

    :param clock: In history, now is the end of the market. Live, it is the real time.
    """

    def __init__(self, market: Market, clock: Clock) -> None:
        self.clock = clock
        self._market = ShiftedMarket(market, clock.shift_ms) if clock.shift_ms else market
        self.description, self.trading_mode = str(market), market.trading_mode
        # When the first candle opens, and when the market runs out of them.
        self.start_ms, self.end_ms = self._market.start_ms, self._market.end_ms
        self.quotes = sorted({listing.quote for listing in market.listings})
        self._listings = {listing.symbol: listing for listing in self._market.listings}
        self._whole: dict[tuple[str, PriceKind, str], Candles] = {}

    def now_ms(self) -> int:
        """Tell the market's time: the real one if it is live, its end if it is history."""
        return self.clock.server_ms() if self.clock.is_live else self._market.end_ms

    def listings(self) -> list[Listing]:
        """Give the pairs that are listed by now: those that have had a candle."""
        if not self.clock.is_live:
            return list(self._listings.values())
        now_ms = self.now_ms()
        return [
            listing
            for symbol, listing in self._listings.items()
            if any(
                self._all_candles(symbol, "last", timeframe).open_ms[0] < now_ms
                for timeframe in self._market.timeframes(symbol, "last")
            )
        ]

    def candles(self, symbol: str, price: PriceKind, timeframe: str, span: Span) -> Candles:
        """Give candles, the forming one included.

        :param symbol: A listed symbol.
        :param timeframe: One of ``TIMEFRAMES``; one shorter than all stored ones has no candles.
        """
        now_ms = self.now_ms()
        current_ms = int(candle_start_ms(np.array([now_ms]), timeframe)[0])
        whole = self._all_candles(symbol, price, timeframe)
        closed = whole[: int(np.searchsorted(whole.open_ms, current_ms))]
        until_now = self._until_now(symbol, price, timeframe, current_ms, now_ms)
        if not len(until_now):
            return closed[span.rows(closed.open_ms)]
        rows = span.rows(np.append(closed.open_ms, current_ms))
        if rows.start >= rows.stop or rows.stop <= len(closed):
            return closed[rows]
        return Candles.join([closed[rows], aggregate(until_now, timeframe)])

    def funding_rates(self, symbol: str, span: Span) -> FundingRates:
        """Give the funding rates that were settled."""
        rates = self._market.funding_rates(symbol)
        settled = int(np.searchsorted(rates.time_ms, self.now_ms(), side="right"))
        time_ms, rate = rates.time_ms[:settled], rates.rate[:settled]
        rows = span.rows(time_ms)
        return FundingRates(time_ms[rows], rate[rows])

    def next_funding_ms(self) -> int:
        """Tell when funding is settled next."""
        return (self.now_ms() // FUNDING_INTERVAL_MS + 1) * FUNDING_INTERVAL_MS

    def last_day(self, symbol: str) -> Candles:
        """Give the candles of the last 24 hours, of the shortest timeframe there is.

        Where a pair has none, because its candles ended earlier, its last candle stands for them.
        """
        now_ms = self.now_ms()
        recent = self._until_now(symbol, "last", "1d", now_ms - DAY_MS, now_ms)
        return recent if len(recent) else self._last_candle(symbol, now_ms)

    def last_price(self, symbol: str, price: PriceKind = "last") -> float:
        """Tell the current price; the last price stands for a mark price that is not recorded."""
        now_ms = self.now_ms()
        recent = self._until_now(symbol, price, "1d", now_ms - DAY_MS, now_ms)
        return float((recent if len(recent) else self._last_candle(symbol, now_ms)).close[-1])

    def path(self, symbol: str, price: PriceKind, since_ms: int, until_ms: int) -> PricePath:
        """Give the way of a price between two moments, on to the end of the candle of the second.

        The price within a candle is what :meth:`last_price` tells then, before it is rounded. The
        last price stands for a mark price that is not recorded, and where the candles ended before
        the second moment there is no way.
        """
        kinds: tuple[PriceKind, PriceKind] = (price, "last")
        for kind in kinds:
            for source in self._sources(symbol, kind, "1d"):
                stored = self._all_candles(symbol, kind, source)
                first, stop = np.searchsorted(stored.open_ms, [since_ms, until_ms], side="right")
                part = stored[max(first - 1, 0) : stop]
                end_ms = candle_end_ms(part.open_ms, source)
                if len(part) and end_ms[-1] > until_ms:
                    return PricePath.of(part, end_ms)
        return PricePath(np.empty(0), np.empty(0))

    def _all_candles(self, symbol: str, price: PriceKind, timeframe: str) -> Candles:
        """Give all candles of a timeframe, past and future, aggregated once.

        They come from the longest stored timeframe that makes them up: it is the cheapest, and
        shorter ones are often recorded for less long.
        """
        key = (symbol, price, timeframe)
        if key not in self._whole:
            whole = Candles.empty()
            if usable := self._sources(symbol, price, timeframe):
                whole = self._market.candles(symbol, price, usable[-1])
            self._whole[key] = whole if timeframe in usable else aggregate(whole, timeframe)
        return self._whole[key]

    def _last_candle(self, symbol: str, now_ms: int) -> Candles:
        """Give the newest closed candle of any timeframe."""
        newest = Candles.empty()
        for timeframe in self._market.timeframes(symbol, "last"):
            whole = self._all_candles(symbol, "last", timeframe)
            closed = int(np.searchsorted(candle_end_ms(whole.open_ms, timeframe), now_ms, "right"))
            if closed and (not len(newest) or whole.open_ms[closed - 1] > newest.open_ms[0]):
                newest = whole[closed - 1 : closed]
        return newest

    def _until_now(
        self, symbol: str, price: PriceKind, timeframe: str, since_ms: int, now_ms: int
    ) -> Candles:
        """Give the shortest candles that make up a timeframe, from ``since_ms`` until now.

        The last one is unfinished, and at least that one is there, or none at all.
        """
        decimals = _MARK_DECIMALS if price == "mark" else self._listings[symbol].price_decimals
        for source in self._sources(symbol, price, timeframe):
            stored = self._all_candles(symbol, price, source)
            first, stop = np.searchsorted(stored.open_ms, [since_ms, now_ms])
            if first == stop:
                continue
            part, newest = stored[first : stop - 1], stored[stop - 1 : stop]
            open_ms = int(newest.open_ms[0])
            end_ms = int(candle_end_ms(newest.open_ms, source)[0])
            if end_ms == now_ms:
                return Candles.join([part, newest])
            if end_ms > now_ms:
                elapsed = (now_ms - open_ms) / (end_ms - open_ms)
                return Candles.join([part, unfinished(newest, elapsed, decimals)])
        return Candles.empty()

    def _sources(self, symbol: str, price: PriceKind, timeframe: str) -> list[str]:
        """Name the stored timeframes that make up a timeframe, shortest first."""
        return [
            stored
            for stored in self._market.timeframes(symbol, price)
            if can_build(stored, timeframe)
        ]
