"""FreqAI's data drawer: a crash, a full disk or a damaged file cost as little as can be."""

import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy.typing as npt
import rapidjson
import torch
from freqtrade.freqai import data_drawer
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame
from pandas.api.types import is_numeric_dtype, is_string_dtype

from freqai_lstm.bridge import folders
from freqai_lstm.bridge.history import mend_history, with_columns
from freqai_lstm.bridge.incidents import IncidentLog, described
from freqai_lstm.files import replacing

logger = logging.getLogger(__name__)

_PAIR_KEYS = {"model_filename", "trained_timestamp", "data_path"}
# What files.replacing leaves behind when the process is killed.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}")
_TEMPORARY_SECONDS = 600.0
_PRICES = ("high_price", "low_price", "close_price")
# Predictions of a live bot are written at most this often beside after each training.
_SAVE_SECONDS = 300.0


def salvage_folder(folder: Path) -> None:
    """Move what cannot be read aside, and remove the leftovers of killed processes.

    :param folder: The identifier's folder; it may not exist yet.
    """
    _keep_readable(folder / folders.PAIRS, _read_pairs, "all pairs are trained again")
    _keep_readable(folder / folders.GLOBAL_METADATA, _read_object, "it is written anew")
    _keep_readable(folder / folders.METRICS, _read_object, "metrics start again")
    history, backup = folder / folders.HISTORY, folder / folders.HISTORY_BACKUP
    _keep_readable(backup, _read_predictions, "the other copy is used")
    if not _keep_readable(history, _read_predictions, "its backup is used") and backup.exists():
        shutil.copy(backup, history)
    if history.exists():
        mend_history(history)
    for path in folder.rglob(".*"):
        old = time.time() - path.stat().st_mtime > _TEMPORARY_SECONDS
        if old and path.is_file() and _TEMPORARY.fullmatch(path.name):
            path.unlink()


def set_aside(path: Path, reason: str, consequence: str) -> Path:
    """Rename a file or folder that cannot be used, and tell so in the log.

    :return: Its new place, beside the old one.
    """
    aside = path.with_name(f"{path.name}.unusable-{time.time_ns()}")
    path.rename(aside)
    logger.warning(f"{path} cannot be used ({reason}): moved to {aside.name}, {consequence}")
    return aside


def _keep_readable(path: Path, read: Callable[[Path], Any], consequence: str) -> bool:
    """Return whether a file is there and can be read, after moving one aside that cannot."""
    if not path.exists():
        return False
    try:
        read(path)
    except Exception as error:  # noqa: BLE001 - unpickling half a file raises nearly anything
        set_aside(path, described(error), consequence)
        return False
    return True


def _read_object(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"must be a JSON object, was a {type(content).__name__}")
    return content


def _read_pairs(path: Path) -> None:
    for pair, entry in _read_object(path).items():
        if not isinstance(entry, dict) or not entry.keys() >= _PAIR_KEYS:
            raise TypeError(f"{pair} must have {', '.join(sorted(_PAIR_KEYS))}, was {entry!r}")


def _read_predictions(path: Path) -> None:
    content = cloudpickle.loads(path.read_bytes())
    if not isinstance(content, dict) or not all(
        isinstance(frame, DataFrame) for frame in content.values()
    ):
        raise TypeError("must be a dictionary of tables")


class SafeDataDrawer(data_drawer.FreqaiDataDrawer):
    """Writes every file whole or not at all, and swaps a pair's model with its pipelines at once.

    A model that cannot be loaded live is an incident, and its pair is trained again.
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
        :raises OSError: If the disk is full; the pair then keeps its former model.
        """
        folder, name = dk.data_path, dk.model_filename
        self.save_metadata(dk)
        for kind, content in (
            (folders.FEATURE_PIPELINE, dk.feature_pipeline),
            (folders.LABEL_PIPELINE, dk.label_pipeline),
            (folders.TRAIN_FEATURES, dk.data_dictionary["train_features"]),
            (folders.TRAIN_DATES, dk.data_dictionary["train_dates"]),
        ):
            with replacing(folder / f"{name}_{kind}") as file:
                file.write_bytes(cloudpickle.dumps(content))
        model.save(folder / f"{name}_{folders.MODEL}")
        with self._model_lock:
            self.model_dictionary[coin] = model
            self.meta_data_dictionary[coin] = {
                data_drawer.METADATA: dk.data,
                data_drawer.FEATURE_PIPELINE: dk.feature_pipeline,
                data_drawer.LABEL_PIPELINE: dk.label_pipeline,
            }
            self.pair_dict[coin] |= {"model_filename": name, "data_path": str(folder)}
        self.save_drawer_to_disk()

    def save_metadata(self, dk: FreqaiDataKitchen) -> None:
        """Save what belongs to a model, without the model."""
        dk.data_path.mkdir(parents=True, exist_ok=True)
        dk.data |= {
            "data_path": str(dk.data_path),
            "model_filename": dk.model_filename,
            "training_features_list": dk.training_features_list,
            "label_list": dk.label_list,
        }
        with replacing(dk.data_path / f"{dk.model_filename}_{folders.METADATA}") as file:
            file.write_bytes(self._as_json(dk.data, data_drawer.METADATA_NUMBER_MODE))

    def load_data(self, coin: str, dk: FreqaiDataKitchen) -> Any:
        """Load the model of a pair with its pipelines.

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
                problem = f"{described(error)}; the pair is trained again"
                self.incidents.record(coin, "loading", problem)
                self._forget(coin)
                self.pair_dict[coin] = self.empty_pair_dict.copy()
                self.save_drawer_to_disk()
                return None

    def load_model(self, coin: str, file: Path) -> Any:
        """Return the model in a file; None if it is not there, or, an incident, is of no use."""
        if not file.is_file():
            return None
        try:
            checkpoint = torch.load(file, weights_only=False)
            return checkpoint["pytrainer"].load_from_checkpoint(checkpoint)
        except Exception as error:  # noqa: BLE001 - unpickling half a file raises nearly anything
            problem = f"{file.name}: {described(error)}; the next training starts from scratch"
            self.incidents.record(coin, "loading", problem)
            return None

    def can_load(self, coin: str, dk: FreqaiDataKitchen) -> bool:
        """Tell whether the saved model of a backtest's training window can be used."""
        try:
            self.load_data(coin, dk)
        except Exception as error:  # noqa: BLE001 - unpickling half a file raises nearly anything
            place = f"{dk.data_path.name}/{dk.model_filename}"
            problem = f"{place}: {described(error)}; the window is trained again"
            self.incidents.record(coin, "loading", problem)
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
            self._complete(pair, predictions, dk.data["extra_returns_per_train"])
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

    def _complete(self, pair: str, predictions: DataFrame, extra: Iterable[str]) -> None:
        """Add the columns that the historic predictions of other labels or an older model lack."""
        history = self.historic_predictions[pair]
        numbers: list[str] = ["do_predict", *_PRICES, *extra]
        texts: list[str] = []
        if self.freqai_info["feature_parameters"].get("DI_threshold"):
            numbers.append("DI_values")
        for name in map(str, predictions):
            if is_string_dtype(predictions[name]):
                texts.append(name)
            # In place of classes, an expired model gives zeros.
            elif name not in history or is_numeric_dtype(history[name]):
                numbers += [name, f"{name}_mean", f"{name}_std"]
        self.historic_predictions[pair] = with_columns(history, numbers, texts)

    def save_historic_predictions_to_disk(self) -> None:
        """Save the predictions of all pairs, and a backup of them, if there are new ones."""
        with self._predictions_lock:
            if not self._predicted_since:
                return
            self._predicted_since = False
            content = cloudpickle.dumps(self.historic_predictions)
        for path in (self.historic_predictions_path, self.historic_predictions_bkp_path):
            self._write(path, content)
        self._saved_predictions = time.monotonic()

    def save_metric_tracker_to_disk(self) -> None:
        with self.metric_tracker_lock:
            content = self._as_json(self.metric_tracker)
        self._write(self.metric_tracker_path, content)

    def save_drawer_to_disk(self) -> None:
        self._write(self.pair_dictionary_path, self._as_json(self.pair_dict))

    def save_global_metadata_to_disk(self, metadata: dict[str, Any]) -> None:
        self._write(self.global_metadata_path, self._as_json(metadata))

    def _write(self, path: Path, content: bytes) -> None:
        """Replace a file; a full disk must not end the training thread that asks for it."""
        with self.save_lock:
            try:
                with replacing(path) as temporary:
                    temporary.write_bytes(content)
            except OSError as error:
                self.incidents.record(path.name, "saving", f"{error}; its former content stays")

    def let_go(self, coin: str) -> None:
        """Drop what is in memory of a pair that left; back again, it starts as after a restart."""
        with self._model_lock:
            self._forget(coin)
        self.model_return_values.pop(coin, None)

    def _forget(self, coin: str) -> None:
        self.model_dictionary.pop(coin, None)
        self.meta_data_dictionary.pop(coin, None)

    def _as_json(self, content: Any, number_mode: int = rapidjson.NM_NATIVE) -> bytes:
        return rapidjson.dumps(content, default=self.np_encoder, number_mode=number_mode).encode()
