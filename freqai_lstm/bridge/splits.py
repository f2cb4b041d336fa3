"""FreqAI's split of a training period into training and test rows, with a gap between the two."""

from typing import Any

import pandas as pd
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame


def split_rows(
    dk: FreqaiDataKitchen,
    features: DataFrame,
    labels: DataFrame,
    timestamps: pd.Series,
    gap_seconds: int,
) -> dict[str, Any]:
    """Split rows as FreqAI does, and leave out training rows whose labels reach into the test rows.

    Such a label is made of the same candles as those of the test rows: what is learned of it would
    be tested on itself. The features of the first test windows may well reach back.

    Source: López de Prado (2018), Advances in Financial Machine Learning, chapter 7 (purging).

    :param features: Complete rows, oldest first.
    :param labels: Index of ``features``.
    :param timestamps: Opening times in seconds, by the index of ``features``.
    :param gap_seconds: How far ahead the labels look. Without a test split nothing is left out.
    :return: FreqAI's data dictionary, which is also that of ``dk``.
    """
    dd: dict[str, Any] = dk.make_train_test_datasets(features, labels)
    if dd["test_features"].empty or not gap_seconds:
        return dd
    trained, tested = (timestamps.loc[dd[f"{split}_features"].index] for split in ("train", "test"))
    # FreqAI can be told to test on the oldest rows (reverse_train_test_order).
    before, after = trained + gap_seconds < tested.min(), trained - gap_seconds > tested.max()
    kept = (before | after).to_numpy()
    for part in ("features", "labels", "weights"):
        dd[f"train_{part}"] = dd[f"train_{part}"][kept]
    return dd
