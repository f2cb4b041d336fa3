"""Predictions of a finished backtest, made from the true components."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from freqai_lstm.score import WEIGHT_NAMES, score_components

STARTS = pd.to_datetime(["2024-02-10", "2024-02-15"], utc=True)
LABELS = [f"&-score_{name}" for name in WEIGHT_NAMES]
Store = Callable[..., None]


def prediction_store(config: dict[str, Any], candles: Callable[..., pd.DataFrame]) -> Store:
    """Return what stores predictions as FreqAI does, changed by a function."""
    models = Path(config["user_data_dir"]) / "models"
    folder = models / config["freqai"]["identifier"] / "backtesting_predictions"
    folder.mkdir(parents=True)

    def write(pair: str, change: Callable[[pd.DataFrame], pd.DataFrame], ahead: int = 0) -> None:
        frame = candles(pair).set_index("date")
        truth = score_components(frame)[list(WEIGHT_NAMES)].shift(-ahead)
        for start in STARTS:
            rows = truth.loc[start : start + pd.Timedelta(days=5) - pd.Timedelta(hours=1)]
            predicted = rows.add_prefix("&-score_").assign(do_predict=1).reset_index()
            coin = pair.split("/", 1)[0].lower()
            name = f"cb_{coin}_{int(start.timestamp())}_prediction.feather"
            change(predicted).to_feather(folder / name)

    return write
