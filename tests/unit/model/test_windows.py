"""The index arithmetic of the windows against a search by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from freqai_lstm.exceptions import FreqaiLstmError, WindowError
from freqai_lstm.model.windows import gather_windows, whole_window_ends

HOUR = 3600


def ends_by_search(
    window_size: int, timestamps: list[int], candle_seconds: int, usable: list[bool]
) -> list[int]:
    """Look at every row of every window."""
    ends = []
    for end in range(window_size - 1, len(timestamps)):
        rows = range(end - window_size + 1, end + 1)
        steps = [timestamps[row] - timestamps[row - 1] for row in rows[1:]]
        if all(usable[row] for row in rows) and all(step == candle_seconds for step in steps):
            ends.append(end)
    return ends


def hours(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64) * HOUR


@settings(max_examples=150)
@given(
    window_size=st.integers(1, 7),
    # Mostly consecutive candles, with gaps, repeated and older candles, and odd opening times.
    steps=st.lists(st.sampled_from([HOUR] * 12 + [2 * HOUR, 0, -HOUR, HOUR - 1]), max_size=40),
    data=st.data(),
)
def test_ends_are_those_that_a_search_finds(
    window_size: int, steps: list[int], data: st.DataObject
) -> None:
    timestamps = [1_700_000_000]
    for step in steps:
        timestamps.append(timestamps[-1] + step)
    rows = len(timestamps)
    usable = data.draw(
        st.lists(st.sampled_from([True] * 9 + [False]), min_size=rows, max_size=rows)
    )
    ends = whole_window_ends(window_size, torch.tensor(timestamps), HOUR, torch.tensor(usable))
    assert ends.tolist() == ends_by_search(window_size, timestamps, HOUR, usable)
    assert ends.dtype == torch.int64


def test_newest_window_is_included() -> None:
    assert whole_window_ends(3, hours(0, 1, 2, 3, 4), HOUR).tolist() == [2, 3, 4]


def test_rows_are_usable_unless_said_otherwise() -> None:
    timestamps = hours(0, 1, 2, 5, 6)
    everything = torch.ones(5, dtype=torch.bool)
    assert torch.equal(
        whole_window_ends(2, timestamps, HOUR), whole_window_ends(2, timestamps, HOUR, everything)
    )


def test_no_window_reaches_over_a_gap() -> None:
    assert whole_window_ends(2, hours(0, 1, 2, 5, 6), HOUR).tolist() == [1, 2, 4]


def test_no_window_holds_an_unusable_row() -> None:
    usable = torch.tensor([True, True, False, True, True])
    assert whole_window_ends(2, hours(0, 1, 2, 3, 4), HOUR, usable).tolist() == [1, 4]


def test_window_of_one_row_needs_no_neighbour() -> None:
    usable = torch.tensor([True, False, True])
    assert whole_window_ends(1, hours(0, 7, 9), HOUR, usable).tolist() == [0, 2]


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_fewer_rows_than_a_window_have_none(rows: int) -> None:
    ends = whole_window_ends(5, hours(*range(rows)), HOUR)
    assert ends.tolist() == []
    assert ends.dtype == torch.int64


@pytest.mark.parametrize("window_size", [0, -3])
def test_window_size_must_be_positive(window_size: int) -> None:
    with pytest.raises(WindowError, match=rf"window_size must be at least 1, was {window_size}$"):
        whole_window_ends(window_size, hours(0, 1), HOUR)


def test_every_row_needs_to_be_called_usable_or_not() -> None:
    with pytest.raises(WindowError, match="usable must have one value for each of 3 rows, was 2"):
        whole_window_ends(2, hours(0, 1, 2), HOUR, torch.tensor([True, True]))


def test_window_error_is_a_value_error_of_this_package() -> None:
    assert issubclass(WindowError, ValueError)
    assert issubclass(WindowError, FreqaiLstmError)


def test_windows_are_gathered_oldest_row_first() -> None:
    features = torch.arange(10.0).reshape(5, 2)
    windows = gather_windows(features, torch.tensor([4, 2]), 3)
    assert windows.tolist() == [
        [[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]],
        [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
    ]


def test_no_ends_gather_no_windows() -> None:
    windows = gather_windows(torch.ones(5, 2), torch.tensor([], dtype=torch.int64), 3)
    assert windows.shape == (0, 3, 2)


@given(window_size=st.integers(1, 5), rows=st.integers(5, 20))
def test_every_whole_window_can_be_gathered(window_size: int, rows: int) -> None:
    ends = whole_window_ends(window_size, hours(*range(rows)), HOUR)
    features = torch.arange(rows).unsqueeze(1)
    windows = gather_windows(features, ends, window_size).squeeze(2)
    expected = [list(range(end - window_size + 1, end + 1)) for end in ends.tolist()]
    assert windows.tolist() == expected
