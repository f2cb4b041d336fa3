"""Where a timerange is cut, which one is refused, and what is read of stored candles."""

from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from freqtrade.configuration import TimeRange

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.candles import (
    check_stored,
    closed_timerange,
    split_timerange,
    stored_candles,
    with_history,
)

BTC = "BTC/USDT:USDT"


@pytest.mark.parametrize(
    ("timerange", "share", "period_days", "search", "confirm"),
    [
        ("20240101-20240331", 0.67, 30, "20240101-20240301", "20240301-20240331"),
        ("20240101-20240331", 0.4, 30, "20240101-20240131", "20240131-20240331"),
        # At least a window on each side.
        ("20240101-20240331", 0.01, 30, "20240101-20240131", "20240131-20240331"),
        ("20240101-20240331", 0.99, 30, "20240101-20240301", "20240301-20240331"),
        # The last window may be short.
        ("20240101-20240111", 0.99, 4, "20240101-20240109", "20240109-20240111"),
        ("20240101-20240102", 0.5, 0.25, "20240101-20240101T1200", "20240101T1200-20240102"),
        ("1704067200-1704240000", 0.5, 1, "20240101-20240102", "20240102-20240103"),
    ],
)
def test_timerange_is_cut_where_a_window_ends(
    timerange: str, share: float, period_days: float, search: str, confirm: str
) -> None:
    [parts] = split_timerange(timerange, share, period_days)
    assert (parts.search, parts.confirm) == (search, confirm)


def walked(folds: int, **options: Any) -> list[tuple[str, str]]:
    """Walk forward over twelve windows and a half of four days."""
    parts = split_timerange("20240101-20240220", 0.5, 4, folds=folds, **options)
    return [(part.search, part.confirm) for part in parts]


def test_folds_search_on_all_that_comes_before_them() -> None:
    assert walked(1) == [("20240101-20240125", "20240125-20240220")]
    assert walked(3) == [
        ("20240101-20240125", "20240125-20240202"),
        ("20240101-20240202", "20240202-20240210"),
        ("20240101-20240210", "20240210-20240220"),
    ]
    # Each has a window at least, and less is searched on if need be.
    many = walked(11)
    assert [search for search, _ in many][:2] == ["20240101-20240109", "20240101-20240113"]
    assert many[-1] == ("20240101-20240218", "20240218-20240220")


def test_gap_is_left_out_before_each_range_to_confirm_on() -> None:
    assert walked(2, gap_seconds=30 * 3600) == [
        ("20240101-20240123T1800", "20240125-20240206"),
        ("20240101-20240204T1800", "20240206-20240220"),
    ]


def test_folds_and_gaps_that_leave_nothing_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"longer than 13 times \(--folds\) freqai.backtest_pe"):
        walked(13)
    with pytest.raises(SettingsError, match=r"less than the 24 days that are .* was 24 days"):
        walked(2, gap_seconds=24 * 86_400)


@pytest.mark.parametrize("timerange", ["20240101-", "-20240101"])
def test_open_timerange_is_refused(timerange: str) -> None:
    with pytest.raises(SettingsError, match=rf"--timerange: must have .* was '{timerange}'"):
        split_timerange(timerange, 0.5, 10)


def test_timerange_of_one_window_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"longer than freqai.backtest_period_days, which is 30"
    ):
        split_timerange("20240101-20240131", 0.5, 30)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 67.0])
def test_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(SettingsError, match=rf"--split: must be between 0 and 1, was {share}"):
        split_timerange("20240101-20240331", share, 30)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        split_timerange("20240101-", 2.0, 30)
    assert str(error.value).count("was") == 2


def test_closed_timerange_is_read() -> None:
    timerange = closed_timerange("20240210-20240220")
    assert timerange.timerange_str == "20240210-20240220"
    for text in ("20240210-", "-20240210"):
        with pytest.raises(SettingsError, match=rf"must have a start and an end, was '{text}'"):
            closed_timerange(text)


def test_stored_candles_are_those_of_the_configuration(config: dict[str, Any]) -> None:
    everything = stored_candles(config, BTC)
    assert everything["date"].diff().dropna().unique().tolist() == [pd.Timedelta(hours=1)]
    assert stored_candles(config, BTC, "4h")["date"].diff().iloc[-1] == pd.Timedelta(hours=4)
    part = stored_candles(config, BTC, timerange=TimeRange.parse_timerange("20240210-20240212"))
    assert part["date"].iloc[0] == pd.Timestamp("2024-02-10", tz="UTC")
    assert len(part) < len(everything)
    assert stored_candles(config, "NONE/USDT:USDT").empty


def test_history_begins_with_the_first_training_and_its_warm_up(config: dict[str, Any]) -> None:
    config["startup_candle_count"] = 48
    timerange = with_history(config)
    assert timerange.timerange_str == "20240119-20240220"


def test_candles_that_do_not_reach_are_named(config: dict[str, Any]) -> None:
    first, last = (datetime.fromisoformat(f"2024-02-{day}T00:00+00:00") for day in ("01", "10"))
    check_stored(config, BTC, first, last)
    with pytest.raises(SettingsError, match=r"candles of BTC/USDT:USDT from 2024-02-01.*had 2023"):
        check_stored(config, BTC, first, last.replace(month=4))
    with pytest.raises(SettingsError, match="had none; freqtrade download-data gets them"):
        check_stored(config, "NONE/USDT:USDT", first, last)
