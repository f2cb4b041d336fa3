"""FreqAI's data drawer: a crash, a full disk or a damaged model cost as little as can be."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy.typing as npt
import rapidjson
from freqtrade.freqai.data_drawer import (
    FEATURE_PIPELINE,
    LABEL_PIPELINE,
    METADATA,
    METADATA_NUMBER_MODE,
    TRAINDF,
    FreqaiDataDrawer,
)
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame

from freqai_lstm.bridge.incidents import IncidentLog
from freqai_lstm.files import replacing

# Predictions of a live bot are written at most this often beside after each training.
_SAVE_SECONDS = 300.0


class SafeDataDrawer(FreqaiDataDrawer):
    """Writes every file whole or not at all, and swaps a pair's model with its pipelines at once.

    A model that cannot be loaded live is an incident, and its pair is trained again.

    :param full_path: The identifier's folder.
    :param config: freqtrade's configuration.
    :param incidents: Where failures are counted.
    """

    def __init__(self, full_path: Path, config: dict[str, Any], incidents: IncidentLog) -> None:
        self.incidents = incidents
        # A prediction must never see the network of one training and the pipelines of another.
        self._model_lock = threading.RLock()
        self._predictions_lock = threading.RLock()
        self._saved_predictions = time.monotonic()
        self._predicted_since = False
        super().__init__(full_path, config)

    def save_data(self, model: Any, coin: str, dk: FreqaiDataKitchen) -> None:
        """Save a model and all that belongs to it; the model last, so that it is never alone.

        :param model: The trained :class:`~freqai_lstm.trainer.PyTorchLSTMTrainer`.
        :param coin: The pair.
        :param dk: The data kitchen that it was trained with.
        :raises OSError: If the disk is full; the pair then keeps its former model.
        """
        folder, name = dk.data_path, dk.model_filename
        self.save_metadata(dk)
        for kind, content in (
            (f"{FEATURE_PIPELINE}.pkl", dk.feature_pipeline),
            (f"{LABEL_PIPELINE}.pkl", dk.label_pipeline),
            (f"{TRAINDF}.pkl", dk.data_dictionary["train_features"]),
            ("trained_dates_df.pkl", dk.data_dictionary["train_dates"]),
        ):
            with replacing(folder / f"{name}_{kind}") as file:
                file.write_bytes(cloudpickle.dumps(content))
        model.save(folder / f"{name}_model.zip")
        with self._model_lock:
            self.model_dictionary[coin] = model
            self.meta_data_dictionary[coin] = {
                METADATA: dk.data,
                FEATURE_PIPELINE: dk.feature_pipeline,
                LABEL_PIPELINE: dk.label_pipeline,
            }
            self.pair_dict[coin] |= {"model_filename": name, "data_path": str(folder)}
        self.save_drawer_to_disk()

    def save_metadata(self, dk: FreqaiDataKitchen) -> None:
        """Save what belongs to a model, without the model."""
        dk.data_path.mkdir(parents=True, exist_ok=True)
        self._describe(dk)
        with replacing(dk.data_path / f"{dk.model_filename}_{METADATA}.json") as file:
            file.write_text(self._as_json(dk.data, METADATA_NUMBER_MODE), encoding="utf-8")

    def load_data(self, coin: str, dk: FreqaiDataKitchen) -> Any:
        """Load the model of a pair with its pipelines.

        :param coin: The pair.
        :param dk: The data kitchen that gets the pipelines.
        :return: The model; None if the pair has none, or live, if its files cannot be used.
        """
        with self._model_lock:
            if not dk.live:
                # A training window has files of its own: FreqAI would take the pipelines, and for
                # continual learning the network, of the window that this process trained last.
                self._forget(coin)
                self.pair_dict[coin]["model_filename"] = dk.model_filename
            try:
                return super().load_data(coin, dk)
            except Exception as error:
                if not dk.live:
                    raise
                self.incidents.record(
                    coin, "loading", f"{_described(error)}; the pair is trained again"
                )
                self._forget(coin)
                self.pair_dict[coin] = self.empty_pair_dict.copy()
                self.save_drawer_to_disk()
                return None

    def can_load(self, coin: str, dk: FreqaiDataKitchen) -> bool:
        """Tell whether the saved model of a backtest's training window can be used.

        :param coin: The pair.
        :param dk: The data kitchen with the paths of the model.
        """
        try:
            self.load_data(coin, dk)
        except Exception as error:  # noqa: BLE001 - unpickling half a file raises nearly anything
            place = f"{dk.data_path.name}/{dk.model_filename}"
            self.incidents.record(
                coin, "loading", f"{place}: {_described(error)}; the window is trained again"
            )
            return False
        return True

    def append_model_predictions(
        self,
        pair: str,
        predictions: DataFrame,
        do_preds: npt.NDArray[Any],
        dk: FreqaiDataKitchen,
        strat_df: DataFrame,
    ) -> None:
        """Append the newest prediction to the historic ones, and save them now and then."""
        with self._predictions_lock:
            super().append_model_predictions(pair, predictions, do_preds, dk, strat_df)
            self._predicted_since = True
        if time.monotonic() - self._saved_predictions > _SAVE_SECONDS:
            self.save_historic_predictions_to_disk()

    def set_initial_return_values(
        self, pair: str, pred_df: DataFrame, dataframe: DataFrame
    ) -> None:
        """Take up the historic predictions of a pair."""
        with self._predictions_lock:
            super().set_initial_return_values(pair, pred_df, dataframe)
            self._predicted_since = True

    def save_historic_predictions_to_disk(self) -> None:
        """Save the predictions of all pairs, and a backup of them, if there are new ones."""
        with self._predictions_lock:
            if not self._predicted_since:
                return
            self._predicted_since = False
            content = cloudpickle.dumps(self.historic_predictions)
        for path in (self.historic_predictions_path, self.historic_predictions_bkp_path):
            self._write(path, lambda file: file.write_bytes(content))
        self._saved_predictions = time.monotonic()

    def save_metric_tracker_to_disk(self) -> None:
        """Save FreqAI's metrics of all pairs."""
        with self.metric_tracker_lock:
            content = self._as_json(self.metric_tracker)
        self._write(self.metric_tracker_path, lambda file: file.write_text(content))

    def save_drawer_to_disk(self) -> None:
        """Save which model each pair has."""
        content = self._as_json(self.pair_dict)
        self._write(self.pair_dictionary_path, lambda file: file.write_text(content))

    def save_global_metadata_to_disk(self, metadata: dict[str, Any]) -> None:
        """Save what FreqAI remembers of the first start."""
        content = self._as_json(metadata)
        self._write(self.global_metadata_path, lambda file: file.write_text(content))

    def _write(self, path: Path, write: Callable[[Path], Any]) -> None:
        """Replace a file; a full disk must not end the training thread that asks for it."""
        with self.save_lock:
            try:
                with replacing(path) as temporary:
                    write(temporary)
            except OSError as error:
                self.incidents.record(path.name, "saving", f"{error}; its former content stays")

    def _forget(self, coin: str) -> None:
        self.model_dictionary.pop(coin, None)
        self.meta_data_dictionary.pop(coin, None)

    def _describe(self, dk: FreqaiDataKitchen) -> None:
        dk.data["data_path"] = str(dk.data_path)
        dk.data["model_filename"] = str(dk.model_filename)
        dk.data["training_features_list"] = dk.training_features_list
        dk.data["label_list"] = dk.label_list

    def _as_json(self, content: Any, number_mode: int = rapidjson.NM_NATIVE) -> str:
        encoded: str = rapidjson.dumps(content, default=self.np_encoder, number_mode=number_mode)
        return encoded


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
