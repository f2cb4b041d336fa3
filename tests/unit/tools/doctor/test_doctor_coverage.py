"""Candles that a backtest needs and does not have, and the commands that get them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from freqtrade.enums import CandleType

from freqai_lstm.tools.doctor.coverage import (
    CandleFile,
    Coverage,
    Needed,
    coverage,
    download_command,
    download_commands,
)
from tests.conftest import PAIRS

NEEDED = Needed(
    PAIRS[0],
    "1h",
    CandleType.FUTURES,
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 1, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("kept", "missing"),
    [
        (lambda date: date.notna(), (0, 0, 0)),
        (lambda date: date >= "2024-01-03", (48, 0, 0)),
        (lambda date: date < "2024-01-31", (0, 0, 24)),
        (lambda date: (date < "2024-01-10") | (date >= "2024-01-10 05:00"), (0, 5, 0)),
        (lambda date: date < "2000", (744, 0, 0)),
    ],
    ids=["whole", "late", "short", "hole", "none"],
)
def test_missing_candles_are_counted_where_they_are_missing(
    candles: Callable[[str, str], pd.DataFrame],
    kept: Callable[[Any], Any],
    missing: tuple[int, int, int],
) -> None:
    date = candles(PAIRS[0], "1h")["date"]
    found = coverage(NEEDED, date[kept(date)])
    assert (found.before, found.between, found.after) == missing
    assert found.missing == sum(missing)


def test_order_and_duplicates_make_no_candle_missing_or_there(
    candles: Callable[[str, str], pd.DataFrame],
) -> None:
    date = candles(PAIRS[0], "1h")["date"]
    date = date[date != "2024-01-10 05:00"]
    found = coverage(NEEDED, pd.concat([date[::-1], date[:900]]))
    assert (found.before, found.between, found.after) == (0, 1, 0)


def test_funding_rate_may_be_late_by_a_moment() -> None:
    needed = Needed(PAIRS[0], "1h", CandleType.FUNDING_RATE, NEEDED.start, NEEDED.stop)
    date = pd.Series(pd.date_range("2024-01-01", "2024-02-01", freq="8h", tz="UTC"))
    late = date + pd.to_timedelta([index % 3 for index in range(len(date))], unit="ms")
    assert coverage(needed, late).missing == 0


def test_each_way_of_downloading_gets_a_command_of_its_own() -> None:
    def found(pair: str, before: int, between: int, after: int) -> Coverage:
        first = NEEDED.start + timedelta(hours=before)
        needed = Needed(pair, "1h", CandleType.FUTURES, NEEDED.start, NEEDED.stop)
        return Coverage(needed, first, NEEDED.stop, before, between, after)

    commands = list(
        download_commands(
            [
                found("A/B", 1, 0, 0),
                found("C/D", 0, 2, 3),
                found("E/F", 0, 0, 4),
                found("G/H", 5, 0, 6),
            ],
            ["--config=c.json"],
        )
    )
    start = "freqtrade download-data --config=c.json --timerange 20240101-20240201 --timeframes 1h"
    assert commands == [
        f"{start} --pairs C/D --erase",
        f"{start} --pairs A/B G/H --prepend",
        f"{start} --pairs E/F G/H",
    ]


def test_download_of_an_unknown_range_names_none() -> None:
    file = CandleFile("A/B", "1h", CandleType.SPOT)
    assert download_command([file, file], None, None, ["--userdir=my data"], "--erase") == (
        "freqtrade download-data '--userdir=my data' --timeframes 1h --pairs A/B --erase"
    )
