"""The faults that are active, and the seeded chance that decides when they happen."""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from freqai_lstm.replay.candles import candle_start_ms
from freqai_lstm.replay.faults.fault import CANDLE_KINDS, CLOCK_KIND, Fault
from freqai_lstm.replay.market import Candles


@dataclass
class _Entry:
    fault: Fault
    until: float | None
    hits: int = 0


class FaultPlan:
    """The faults that are active.

    :param faults: Faults that are active from the start.
    :param seed: Seed of the chance.
    """

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._entries: list[_Entry] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Activate a fault."""
        lasts = fault.duration_seconds
        self._entries.append(_Entry(fault, None if lasts is None else time.time() + lasts))

    def clear(self) -> None:
        """End all faults."""
        self._entries.clear()

    def describe(self) -> list[dict[str, object]]:
        """List the active faults and how often each has happened."""
        return [{**asdict(entry.fault), "hits": entry.hits} for entry in self._active()]

    def draw(self, kinds: Sequence[str], path: str, symbol: str) -> Fault | None:
        """Decide whether a fault of one of these kinds happens to a request, and which.

        :param path: The request's path, such as ``/fapi/v1/klines``.
        :param symbol: The request's symbol; empty if it has none.
        """
        for entry in self._active():
            fault = entry.fault
            applies = fault.kind in kinds and fault.path in path
            if applies and fault.symbol in ("", symbol) and self._rng.random() < fault.probability:
                entry.hits += 1
                return fault
        return None

    def distort(
        self, candles: Candles, timeframe: str, now_ms: int, *, path: str, symbol: str
    ) -> Candles:
        """Let the faults of candles happen to an answer.

        :param candles: The candles of the answer.
        :param now_ms: The market's time.
        :return: The candles that are sent instead.
        """
        for kind in CANDLE_KINDS:
            fault = self.draw([kind], path, symbol) if len(candles) else None
            if fault is None:
                continue
            if kind == "delayed_candles":
                candles = _without_newest(candles, timeframe, now_ms, fault.size_seconds)
            elif kind == "gap":
                start_ms, end_ms = fault.gap_ms
                candles = candles[(candles.open_ms < start_ms) | (candles.open_ms >= end_ms)]
            else:
                candles = _with_duplicate(candles, self._rng.randrange(len(candles)))
        return candles

    def clock_offset_ms(self, path: str) -> int:
        """Tell how far the exchange's clock is ahead."""
        fault = self.draw([CLOCK_KIND], path, "")
        return 0 if fault is None else int(fault.size_seconds * 1000)

    def _active(self) -> list[_Entry]:
        now = time.time()
        self._entries = [
            entry for entry in self._entries if entry.until is None or now < entry.until
        ]
        return self._entries


def _without_newest(candles: Candles, timeframe: str, now_ms: int, seconds: float) -> Candles:
    """Leave out what opened since the newest closed candle, if that one closed only just now."""
    closed_ms = int(candle_start_ms(np.array([now_ms]), timeframe)[0])
    if now_ms - closed_ms >= seconds * 1000:
        return candles
    opened_ms = int(candle_start_ms(np.array([closed_ms - 1]), timeframe)[0])
    return candles[candles.open_ms < opened_ms]


def _with_duplicate(candles: Candles, row: int) -> Candles:
    rows = np.arange(len(candles), dtype=np.int64)
    return candles[np.insert(rows, row, row)]
