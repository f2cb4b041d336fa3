"""What can go wrong on purpose, and the seeded chance that decides when it does.

Faults of a request (``http`` acts them out):

* ``http_5xx`` - answer 503; ``http_429`` - answer that the rate limit is exceeded;
* ``timeout`` - answer after ``seconds``; ``dropped`` - close the connection without an answer;
* ``truncated_json`` - send the first half of the answer; ``malformed_json`` - send broken JSON;
* ``lost_answer`` - do what an order, a stop or their end asks for, keep the answer back for
  ``seconds``, and close the connection without it.

Faults of the data:

* ``delayed_candles`` - the newest closed candle is missing for its first ``seconds``, and the
  forming one too; ``duplicate_candles`` - one candle of the answer comes twice;
* ``gap`` - the candles that open from ``start`` to before ``end`` are missing;
* ``clock_jump`` - the exchange's clock is ahead by ``seconds`` (behind, if negative).
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from difflib import get_close_matches
from math import isfinite
from typing import Any

import numpy as np

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import candle_start_ms
from freqai_lstm.replay.market import Candles

LOST_ANSWER = "lost_answer"
REQUEST_KINDS = (
    "http_5xx",
    "http_429",
    "timeout",
    "dropped",
    "truncated_json",
    "malformed_json",
    LOST_ANSWER,
)
CANDLE_KINDS = ("delayed_candles", "duplicate_candles", "gap")
CLOCK_KIND = "clock_jump"
KINDS = (*REQUEST_KINDS, *CANDLE_KINDS, CLOCK_KIND)

_DEFAULT_SECONDS = {"timeout": 30.0, LOST_ANSWER: 30.0, "delayed_candles": 20.0, CLOCK_KIND: 60.0}
# What changes something on the exchange.
_CHANGES = ("POST", "DELETE")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    :param kind: One of :data:`KINDS`.
    :param probability: How often, 0 to 1, each time it could.
    :param path: Only for paths with this text in them, such as ``klines``.
    :param symbol: Only for requests for this symbol, such as ``BTCUSDT``.
    :param method: Only for requests with this method, such as ``POST``.
    :param duration_seconds: How long until it stops by itself; never by default.
    :param seconds: Size of a delay or of a jump of the clock.
    :param start: Begin of a gap, a UTC date and time in ISO format.
    :raises ReplayError: If a value does not make sense; all problems at once.
    """

    kind: str
    probability: float = 1.0
    path: str = ""
    symbol: str = ""
    method: str = ""
    duration_seconds: float | None = None
    seconds: float | None = None
    start: str | None = None
    end: str | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.kind not in KINDS:
            problems.append(f"kind must be one of {', '.join(KINDS)}; was {self.kind!r}")
        if not 0.0 <= self.probability <= 1.0:
            problems.append(f"probability must be from 0 to 1; was {self.probability}")
        if self.duration_seconds is not None and self.duration_seconds <= 0.0:
            problems.append(f"duration_seconds must be positive; was {self.duration_seconds}")
        if self.seconds is not None and self.kind not in _DEFAULT_SECONDS:
            problems.append(f"seconds belongs to {', '.join(_DEFAULT_SECONDS)} only")
        if self.seconds is not None and self.seconds < 0.0 and self.kind != CLOCK_KIND:
            problems.append(f"seconds must not be negative; was {self.seconds}")
        problems += _gap_problems(self)
        if problems:
            raise ReplayError(f"Fault: {'; '.join(problems)}.")

    @property
    def size_seconds(self) -> float:
        """The size of a delay or jump."""
        return _DEFAULT_SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    @property
    def gap_ms(self) -> tuple[int, int]:
        """The begin and end of a gap in milliseconds since 1970."""
        return _moment_ms(self.start or ""), _moment_ms(self.end or "")

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> "Fault":
        """Read a fault from JSON.

        :raises ReplayError: If keys are missing or unknown, or values do not make sense.
        """
        known = [field.name for field in fields(cls)]
        converted: dict[str, Any] = {}
        for key, value in values.items():
            if value is None:
                continue
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ReplayError(f"Fault: there is no {key!r}, only {', '.join(known)}.{hint}")
            is_number = key in ("probability", "duration_seconds", "seconds")
            converted[key] = _number(key, value) if is_number else _text(key, value)
        if "kind" not in converted:
            raise ReplayError(f"Fault: kind is required, one of {', '.join(KINDS)}.")
        return cls(**converted)

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read a fault from the command line, such as ``http_5xx,probability=0.1,path=klines``.

        :raises ReplayError: As :meth:`from_mapping`.
        """
        kind, *settings = text.split(",")
        values: dict[str, object] = {"kind": kind}
        for setting in settings:
            key, separator, value = setting.partition("=")
            if not separator:
                raise ReplayError(f"Fault: settings must be written key=value; was {setting!r}.")
            values[key] = value
        return cls.from_mapping(values)


def _gap_problems(fault: Fault) -> list[str]:
    if fault.kind != "gap":
        return ["start and end belong to a gap only"] if fault.start or fault.end else []
    try:
        start_ms, end_ms = fault.gap_ms
    except ValueError:
        return [
            "start and end must be UTC times such as 2024-01-31T12:00;"
            f" were {fault.start!r} and {fault.end!r}"
        ]
    return [] if start_ms < end_ms else [f"end must be after start; was {fault.end!r}"]


def _moment_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _text(key: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise ReplayError(f"Fault: {key} must be a text; was {value!r}.")


def _number(key: str, value: object) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError as error:
            raise ReplayError(f"Fault: {key} must be a number; was {value!r}.") from error
        if isfinite(number):
            return number
    raise ReplayError(f"Fault: {key} must be a number; was {value!r}.")


@dataclass
class _Entry:
    fault: Fault
    until: float | None
    hits: int = 0


class FaultPlan:
    """The faults that are active."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._rng = random.Random(seed)
        self._entries: list[_Entry] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        lasts = fault.duration_seconds
        self._entries.append(_Entry(fault, None if lasts is None else time.time() + lasts))

    def clear(self) -> None:
        self._entries.clear()

    def describe(self) -> list[dict[str, object]]:
        """List the active faults and how often each has happened."""
        return [{**asdict(entry.fault), "hits": entry.hits} for entry in self._active()]

    def draw(
        self, kinds: Sequence[str], path: str, symbol: str, method: str = "GET"
    ) -> Fault | None:
        """Decide whether a fault of one of these kinds happens to a request, and which.

        :param path: The request's path, such as ``/fapi/v1/klines``.
        :param symbol: The request's symbol; empty if it has none.
        """
        for entry in self._active():
            fault = entry.fault
            applies = (
                fault.kind in kinds
                and fault.path in path
                and fault.symbol in ("", symbol)
                and fault.method in ("", method)
                and (fault.kind != LOST_ANSWER or method in _CHANGES)
            )
            if applies and self._rng.random() < fault.probability:
                entry.hits += 1
                return fault
        return None

    def distort(
        self, candles: Candles, timeframe: str, now_ms: int, *, path: str, symbol: str
    ) -> Candles:
        """Let the faults of candles happen to an answer.

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
    return candles[np.insert(np.arange(len(candles)), row, row)]
