"""Whether the replay exchange serves a finished history or a market that goes on now."""

import time
from dataclasses import dataclass

from freqai_lstm.exceptions import ReplayError

from .candles import DAY_MS, format_day
from .market import Market

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
    def history(cls) -> "Clock":
        """Serve the whole market as it is."""
        return cls()

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
