"""The identifier's folder, where freqtrade's commands look for models and predictions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from freqai_lstm.files import replacing, replacing_folder
from freqai_lstm.pretrain.plan import Window
from freqai_lstm.pretrain.worker import Artefacts

_SAVED_MODEL = (
    *("model.zip", "metadata.json", "feature_pipeline.pkl", "label_pipeline.pkl"),
    *("trained_df.pkl", "trained_dates_df.pkl"),
)
_SAVED_METADATA = ("metadata.json",)


class IdentifierFolder:
    """Knows which models are there, and puts new ones beside them, each as a whole or not at all.

    :param path: The folder, ``user_data/models/<identifier>``.
    :param saves_models: FreqAI's ``save_backtest_models``; without it, only metadata and
        predictions are kept.
    """

    def __init__(self, path: Path, saves_models: bool = True) -> None:
        self.path = path
        self.saves_models = saves_models
        self.predictions = path / "backtesting_predictions"
        self.pair_dictionary = path / "pair_dictionary.json"

    def holds(self, window: Window, dates: pd.Series) -> bool:
        """Say whether a backtest would take the window's predictions from here.

        :param window: The window.
        :param dates: Opening times of the pair's candles.
        """
        names = _SAVED_MODEL if self.saves_models else _SAVED_METADATA
        files = [self.path / window.folder / f"{window.model_filename}_{name}" for name in names]
        if not all(file.is_file() and file.stat().st_size for file in files):
            return False
        try:
            predicted = pd.read_feather(self._prediction_file(window), columns=["date"])["date"]
        except (FileNotFoundError, pa.ArrowInvalid):
            return False
        start, stop = (
            pd.Timestamp(second, unit="s", tz="UTC") for second in (window.start, window.stop)
        )
        return predicted.tolist() == dates[(dates >= start) & (dates < stop)].tolist()

    def store(self, window: Window, artefacts: Artefacts) -> None:
        """Put one model here: its folder first, its predictions last.

        :param window: The window.
        :param artefacts: What FreqAI saved of it.
        """
        with replacing_folder(self.path / window.folder) as folder:
            for name, content in artefacts.files.items():
                file = folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        self.predictions.mkdir(exist_ok=True)
        with replacing(self._prediction_file(window)) as file:
            file.write_bytes(artefacts.prediction)

    def note_newest(self, windows: Sequence[Window]) -> None:
        """Note the newest of these models as its pair's present one, where FreqAI live finds it.

        A newer one that is noted already, such as a live training's, stays.

        :param windows: Windows of one pair whose models are here.
        """
        if not windows or not self.saves_models:
            return
        newest = max(windows, key=lambda window: window.trained_timestamp)
        noted = self._noted()
        present = noted.get(newest.pair, {"trained_timestamp": 0})
        if present["trained_timestamp"] >= newest.trained_timestamp:
            return
        noted[newest.pair] = {
            "model_filename": newest.model_filename,
            "trained_timestamp": newest.trained_timestamp,
            "data_path": str(self.path / newest.folder),
            "extras": {},
        }
        with replacing(self.pair_dictionary) as file:
            file.write_text(json.dumps(noted), encoding="utf-8")

    def _noted(self) -> dict[str, Any]:
        if not self.pair_dictionary.is_file():
            return {}
        loaded: dict[str, Any] = json.loads(self.pair_dictionary.read_bytes())
        return loaded

    def _prediction_file(self, window: Window) -> Path:
        return self.predictions / f"{window.model_filename}_prediction.feather"
