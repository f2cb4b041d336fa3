"""Mean and standard deviation of each label's latest predictions.

What FreqAI computes row by row under ``fit_live_predictions_candles``, for all rows at once.
Rows without a prediction (NaN) do not count.
"""

import warnings

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pandas import DataFrame


def latest_statistics(
    predictions: DataFrame, candles: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the statistics of the newest predictions.

    :param predictions: A column for each label, oldest row first.
    :param candles: Number of newest rows to use.
    :return: Mean and population standard deviation by label; 0 where nothing was predicted.
    """
    mean, std = _statistics(predictions.tail(candles).to_numpy(dtype=float)[np.newaxis])
    labels = predictions.columns
    return dict(zip(labels, mean[0].tolist(), strict=True)), dict(
        zip(labels, std[0].tolist(), strict=True)
    )


def rolling_statistics(predictions: DataFrame, candles: int) -> dict[str, DataFrame]:
    """Return, for every row, the statistics of the rows before it.

    :param predictions: A column for each label, oldest row first.
    :param candles: Number of rows before a row to use.
    :return: ``{"mean": ..., "std": ...}`` with columns and index of ``predictions`` from row
        ``candles`` on; empty frames if there are no more rows than that.
    """
    values = predictions.to_numpy(dtype=float)
    index = predictions.index[candles:]
    if index.empty:
        mean = std = np.empty((0, values.shape[1]))
    else:
        windows = sliding_window_view(values, candles, axis=0)[:-1]
        mean, std = _statistics(windows.transpose(0, 2, 1))
    return {
        "mean": DataFrame(mean, index=index, columns=predictions.columns),
        "std": DataFrame(std, index=index, columns=predictions.columns),
    }


def _statistics(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over axis 1 of ``(rows, candles, labels)``."""
    with warnings.catch_warnings():
        # A window without any prediction has no statistics.
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, std = np.nanmean(windows, axis=1), np.nanstd(windows, axis=1)
    return np.nan_to_num(mean), np.nan_to_num(std)
