"""Timeframes and aggregation."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_markets import random_candles

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import (
    TIMEFRAMES,
    aggregate,
    can_build,
    candle_end_ms,
    candle_start_ms,
    fixed_length_ms,
    format_day,
    parse_day_ms,
    unfinished,
)
from freqai_lstm.replay.market import Candles

FIVE_MINUTES_MS = 300_000
BUILT_FROM_5M = [timeframe for timeframe in TIMEFRAMES if can_build("5m", timeframe)]


def start_by_calendar(time_ms: int, timeframe: str) -> int:
    """Find the start of a candle with the calendar instead of with divisions."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    number, unit = int(timeframe[:-1]), timeframe[-1]
    if unit == "M":
        start = midnight.replace(day=1)
    elif unit == "w":
        start = midnight - timedelta(days=midnight.weekday())
    elif unit == "d":
        days = (midnight - datetime(1970, 1, 1, tzinfo=UTC)).days
        start = midnight - timedelta(days=days % number)
    elif unit == "h":
        start = midnight + timedelta(hours=moment.hour // number * number)
    else:
        start = moment.replace(second=0, microsecond=0, minute=moment.minute // number * number)
    return int(start.timestamp() * 1000)


def aggregate_by_hand(candles: Candles, timeframe: str) -> dict[int, tuple[float, ...]]:
    """Aggregate with loops."""
    groups: dict[int, list[int]] = {}
    for row, time_ms in enumerate(candles.open_ms.tolist()):
        groups.setdefault(start_by_calendar(time_ms, timeframe), []).append(row)
    return {
        start: (
            candles.open[rows[0]],
            max(candles.high[row] for row in rows),
            min(candles.low[row] for row in rows),
            candles.close[rows[-1]],
            sum(candles.volume[row] for row in rows),
        )
        for start, rows in groups.items()
    }


@settings(max_examples=60, deadline=None)
@given(
    timeframe=st.sampled_from(BUILT_FROM_5M),
    first_and_stride=st.tuples(st.integers(0, 6_000_000), st.sampled_from([1, 1, 7, 100])),
    count=st.integers(1, 400),
    missing=st.sets(st.integers(0, 399), max_size=40),
    seed=st.integers(0, 1000),
)
def test_aggregation_equals_aggregation_by_hand(
    timeframe: str, first_and_stride: tuple[int, int], count: int, missing: set[int], seed: int
) -> None:
    first, stride = first_and_stride
    steps = np.array([first + stride * row for row in range(count) if row not in missing], np.int64)
    candles = random_candles(steps * FIVE_MINUTES_MS, seed)
    built = aggregate(candles, timeframe)
    expected = aggregate_by_hand(candles, timeframe)
    assert built.open_ms.tolist() == list(expected)
    for row, values in enumerate(expected.values()):
        assert (built.open[row], built.high[row], built.low[row], built.close[row]) == values[:4]
        assert built.volume[row] == pytest.approx(values[4])


@given(time_ms=st.integers(0, 4_000_000_000_000), timeframe=st.sampled_from(TIMEFRAMES))
def test_every_moment_is_in_its_candle(time_ms: int, timeframe: str) -> None:
    start = candle_start_ms(np.array([time_ms]), timeframe)
    end = candle_end_ms(start, timeframe)
    assert start[0] <= time_ms < end[0]
    assert start[0] == start_by_calendar(time_ms, timeframe)
    assert candle_start_ms(end, timeframe)[0] == end[0]


def test_two_first_and_strideof_aggregation_equal_one() -> None:
    candles = random_candles(np.arange(5000, dtype=np.int64) * FIVE_MINUTES_MS)
    direct, stepwise = aggregate(candles, "1d"), aggregate(aggregate(candles, "1h"), "1d")
    np.testing.assert_array_equal(direct.open_ms, stepwise.open_ms)
    np.testing.assert_array_equal(direct.high, stepwise.high)
    np.testing.assert_allclose(direct.volume, stepwise.volume)


@pytest.mark.parametrize(
    ("source", "target", "possible"),
    [
        ("5m", "5m", True),
        ("5m", "1h", True),
        ("1h", "5m", False),
        ("8h", "12h", False),
        ("4h", "12h", True),
        ("1d", "1w", True),
        ("3d", "1w", False),
        ("1d", "1M", True),
        ("1w", "1M", False),
        ("1M", "1M", True),
        ("1M", "1w", False),
    ],
)
def test_only_whole_candles_build_longer_ones(source: str, target: str, possible: bool) -> None:
    assert can_build(source, target) is possible


def test_no_candles_aggregate_to_none() -> None:
    assert len(aggregate(Candles.empty(), "1d")) == 0


def candle(open_: float, high: float, low: float, close: float) -> Candles:
    return Candles(
        np.array([0]), *(np.array([value]) for value in (open_, high, low, close)), np.array([10.0])
    )


@given(first=st.floats(0, 1), second=st.floats(0, 1), rising=st.booleans())
def test_an_unfinished_candle_only_widens(first: float, second: float, rising: bool) -> None:
    whole = candle(100.0, 104.0, 97.0, 102.0 if rising else 98.5)
    early, late = (unfinished(whole, part, 1) for part in sorted((first, second)))
    assert whole.low[0] <= late.low[0] <= early.low[0] <= early.close[0]
    assert early.close[0] <= early.high[0] <= late.high[0] <= whole.high[0]
    assert early.volume[0] <= late.volume[0] <= whole.volume[0]
    assert early.open[0] == late.open[0] == 100.0


def test_an_unfinished_candle_starts_at_its_open_and_ends_as_itself() -> None:
    whole = candle(100.0, 104.0, 97.0, 102.0)
    start, end = unfinished(whole, 0.0, 1), unfinished(whole, 1.0, 1)
    assert [start.high[0], start.low[0], start.close[0], start.volume[0]] == [100, 100, 100, 0]
    assert [end.high[0], end.low[0], end.close[0], end.volume[0]] == [104, 97, 102, 10]


def test_an_unfinished_candle_does_not_know_the_extreme_ahead() -> None:
    early = unfinished(candle(100.0, 104.0, 97.0, 102.0), 0.15, 1)
    assert early.high[0] == 100.0
    assert early.low[0] == early.close[0] == 98.5


@pytest.mark.parametrize("text", ["2024-01-01", "20241301", "20240230", "", "202401011", "today"])
def test_a_day_must_be_a_day(text: str) -> None:
    with pytest.raises(ReplayError, match=f"YYYYMMDD; was '{text}'"):
        parse_day_ms(text)


def test_days_are_read_and_written_in_utc() -> None:
    assert parse_day_ms("20240131") == 1_706_659_200_000
    assert format_day(1_706_659_200_000) == "2024-01-31"
    assert format_day(1_706_659_199_999) == "2024-01-30"


@pytest.mark.parametrize("timeframe", ["7h", "1M", ""])
def test_a_length_needs_a_fixed_timeframe(timeframe: str) -> None:
    with pytest.raises(ReplayError, match=f"was '{timeframe}'"):
        fixed_length_ms(timeframe)
