"""Walking forward with an ensemble: its spread is there wherever a prediction is."""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from freqai_lstm.bridge.kitchen import WindowedDataKitchen
from freqai_lstm.exceptions import SettingsError, WindowError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.score import WEIGHT_NAMES, spread_columns
from tests.conftest import PAIRS
from tests.integration.conftest import Backtest

LABELS = [f"&-score_{name}" for name in WEIGHT_NAMES]
SPREADS = spread_columns(LABELS)
BTC = PAIRS[0]


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    config["timerange"] = "20240210-20240217"
    training = config["freqai"]["model_training_parameters"]
    training["model_kwargs"]["ensemble_size"] = 3
    training["trainer_kwargs"]["n_epochs"] = 2
    return config


def live_candles(backtest: Backtest, trained: int, dates: pd.Series) -> pd.DataFrame:
    """Let a bot with the model of a time predict the last candles, one after another."""
    freqai, config = backtest.freqai, backtest.config
    freqai.live = True
    freqai.dk = kitchen = WindowedDataKitchen(config, True, BTC, history_candles=0)
    features = kitchen.use_strategy_to_populate_indicators(
        backtest.strategy, prediction_dataframe=backtest.candles(BTC), pair=BTC
    )
    kitchen.find_labels(features)
    freqai.dd.pair_dict[BTC] |= {
        "model_filename": f"cb_btc_{trained}",
        "data_path": str(Path(freqai.full_path) / f"sub-train-BTC_{trained}"),
    }
    freqai.model = freqai.dd.load_data(BTC, kitchen)
    candles = config["freqai"]["fit_live_predictions_candles"]
    for date in dates.tail(candles + 3):
        known = features[features["date"] <= date].reset_index(drop=True)
        freqai.build_strategy_return_arrays(known, kitchen, BTC, int(time.time()))
    return kitchen.return_dataframe.tail(2)


def test_spread_is_predicted_beside_every_label(
    config: dict[str, Any], slices: list[tuple[pd.DataFrame, Any, Any]]
) -> None:
    backtest = Backtest(config)
    analysed = backtest.run(BTC)
    assert (analysed["do_predict"] == 1).all()
    assert (analysed[SPREADS] > 0).all(axis=None)
    # Each member is a network of its own, and so is each training window's calibration.
    calibrations = [model.calibration for _, _, model in slices]
    assert len(calibrations) == 2
    assert calibrations[0] != calibrations[1]
    weights = np.array([getattr(backtest.strategy, name).value for name in WEIGHT_NAMES])
    bound = analysed[SPREADS].to_numpy() @ weights / weights.sum()
    np.testing.assert_allclose(analysed["score_spread"], bound * analysed["relative_volatility"])

    # A candle alone, as live, has the spread that it has within a slice.
    frame, dk, model = slices[-1]
    frame = frame.iloc[:-1]
    dk.history = frame.iloc[:0]
    backtest.freqai.model = model
    row, window = 30, backtest.freqai.CONV_WIDTH
    alone, _ = backtest.freqai.predict(frame.iloc[row - window + 1 : row + 1], dk)
    expected = analysed.tail(len(frame)).iloc[row]
    assert list(alone.columns) == [*LABELS, *SPREADS]
    np.testing.assert_allclose(
        alone.iloc[-1].astype(float), expected[[*LABELS, *SPREADS]].astype(float), atol=1e-6
    )

    # Another process predicts the same with the saved models.
    folder = config["user_data_dir"] / "models" / "torch-lstm"
    shutil.rmtree(folder / "backtesting_predictions")
    again = Backtest(config).run(BTC)
    assert len(slices) == 2 + 1 + 2
    pd.testing.assert_frame_equal(again, analysed, rtol=1e-12)

    # Live, each new candle gets the spread that it has in the backtest, and its statistics.
    live = live_candles(backtest, int(analysed["model_timestamp"].iloc[-1]), analysed["date"])
    columns = [*LABELS, *SPREADS, *(f"{name}_mean" for name in SPREADS)]
    np.testing.assert_allclose(live[columns], analysed[columns].tail(len(live)), atol=1e-5)

    # The ensemble is part of what a model is.
    config["freqai"]["model_training_parameters"]["model_kwargs"]["ensemble_size"] = 2
    with pytest.raises(SettingsError, match=r"model_kwargs\.ensemble_size: trained with 3, was 2"):
        Backtest(config)


def test_strategy_finds_its_columns_where_every_training_failed(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise WindowError("too few windows")

    monkeypatch.setattr(LSTMRegressor, "train", fail)
    backtest = Backtest(config)
    backtest.strategy.min_certainty.value = 0.1
    analysed = backtest.run(BTC)
    assert (analysed[["do_predict", *SPREADS]] == 0).all(axis=None)
    assert analysed["score_spread"].isna().all()
    assert "enter_long" not in analysed or analysed["enter_long"].isna().all()
