"""Saved predictions of a slice serve a shorter one that begins alike."""

from pathlib import Path

import pandas as pd
import pytest

from freqai_lstm.bridge.kitchen import WindowedDataKitchen


@pytest.fixture
def kitchen(tmp_path: Path) -> WindowedDataKitchen:
    """A data kitchen of a slice whose predictions of 24 candles are saved."""
    made = WindowedDataKitchen.__new__(WindowedDataKitchen)
    made.full_path, made.backtest_predictions_folder = tmp_path, "predictions"
    made.model_filename = "cb_btc_1704067200"
    made.backtesting_results_path = (
        tmp_path / "predictions" / "cb_btc_1704067200_prediction.feather"
    )
    dates = pd.date_range("2024-01-01", periods=24, freq="h", tz="UTC")
    made.save_backtesting_prediction(pd.DataFrame({"&-label": range(24), "date": dates}))
    return made


@pytest.mark.parametrize("candles", [24, 23, 5])
def test_predictions_of_a_longer_slice_are_taken(
    kitchen: WindowedDataKitchen, candles: int
) -> None:
    assert kitchen.check_if_backtest_prediction_is_valid(candles)
    assert kitchen.get_backtesting_prediction()["&-label"].tolist() == [*range(candles)]


def test_predictions_of_a_shorter_slice_are_not(kitchen: WindowedDataKitchen) -> None:
    assert not kitchen.check_if_backtest_prediction_is_valid(25)
