"""All index arithmetic of the windows: which rows have one, and how to gather them.

The window of row t is rows ``t - window_size + 1 .. t``, oldest first, and it belongs to row t:
in training, in a backtest and live. A window is *whole* when its rows are consecutive candles and
all of them are usable; no other window is trained on or predicted from.
"""

import torch
from torch import Tensor

from freqai_lstm.exceptions import WindowError


def whole_window_ends(
    window_size: int, timestamps: Tensor, candle_seconds: int, usable: Tensor | None = None
) -> Tensor:
    """Return the rows that end a whole window.

    :param timestamps: Opening time of each row's candle in seconds, shape ``(rows,)``, int64.
    :param candle_seconds: Seconds from one candle to the next.
    :param usable: Rows that a window may contain, shape ``(rows,)``, bool; all if omitted.
    :return: Row indices in ascending order, shape ``(windows,)``, int64.
    :raises WindowError: If ``window_size`` is not positive or the shapes differ.
    """
    if window_size < 1:
        raise WindowError(f"window_size must be at least 1, was {window_size}")
    if usable is None:
        usable = torch.ones_like(timestamps, dtype=torch.bool)
    if usable.shape != timestamps.shape:
        raise WindowError(
            f"usable must have one value for each of {len(timestamps)} rows, was {len(usable)}"
        )
    rows = torch.arange(len(timestamps), device=timestamps.device)
    after_gap = torch.zeros_like(usable)
    after_gap[1:] = timestamps.diff() != candle_seconds
    # The earliest row that a window ending here may start at.
    first_row = torch.where(after_gap, rows, torch.zeros_like(rows))
    first_row = torch.where(usable, first_row, rows + 1)
    earliest_start = first_row.cummax(dim=0).values if len(rows) else first_row
    return rows[rows - earliest_start + 1 >= window_size]


def gather_windows(features: Tensor, ends: Tensor, window_size: int) -> Tensor:
    """Return the windows that end at the given rows.

    In memory the rows of the same age lie together, as a recurrent network reads them.

    :param features: Features of every row, shape ``(rows, features)``.
    :param ends: Last row of each window, shape ``(batch,)``, int64, each at least
        ``window_size - 1``.
    :return: Windows, shape ``(batch, window, features)``, oldest row first.
    """
    rows = ends + torch.arange(1 - window_size, 1, device=ends.device).unsqueeze(1)
    gathered = features.index_select(0, rows.flatten())
    return gathered.view(*rows.shape, features.shape[1]).transpose(0, 1)
