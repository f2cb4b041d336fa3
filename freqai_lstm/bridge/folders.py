"""Where FreqAI keeps what belongs to an ``identifier``: every name of its folders and files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import rapidjson
from freqtrade.configuration import TimeRange
from freqtrade.freqai import data_drawer

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.files import replacing, replacing_folder

HISTORY = "historic_predictions.pkl"
HISTORY_BACKUP = "historic_predictions.backup.pkl"
PAIRS = "pair_dictionary.json"
GLOBAL_METADATA = "global_metadata.json"
METRICS = "metric_tracker.json"

# Of a model; each is preceded by the model's own name.
MODEL = "model.zip"
METADATA = f"{data_drawer.METADATA}.json"
FEATURE_PIPELINE = f"{data_drawer.FEATURE_PIPELINE}.pkl"
LABEL_PIPELINE = f"{data_drawer.LABEL_PIPELINE}.pkl"
TRAIN_FEATURES = f"{data_drawer.TRAINDF}.pkl"
TRAIN_DATES = "trained_dates_df.pkl"

_PREDICTIONS = "backtesting_predictions"
_SAVED_MODEL = (MODEL, METADATA, FEATURE_PIPELINE, LABEL_PIPELINE, TRAIN_FEATURES, TRAIN_DATES)


def identifier_folder(config: Mapping[str, Any]) -> Path:
    """Return the folder of the configuration's identifier."""
    return Path(config["user_data_dir"]) / "models" / config["freqai"]["identifier"]


def model_folder(identifier: Path, pair: str, timestamp: int) -> Path:
    """Return the folder of a model.

    :param timestamp: The end of the training, in seconds since 1970.
    """
    return identifier / f"sub-train-{pair.partition('/')[0]}_{timestamp}"


def trained_at(folder: Path) -> int:
    """Return the end of the training of the model in a folder, in seconds since 1970."""
    return int(folder.name.rsplit("_", 1)[1])


def model_filename(pair: str, timestamp: int) -> str:
    """Return what the names of all files of a model begin with."""
    return f"cb_{pair.partition('/')[0].lower()}_{timestamp}"


def model_file(identifier: Path, pair: str, timestamp: int) -> Path:
    """Return the file that holds the network of a model."""
    folder = model_folder(identifier, pair, timestamp)
    return folder / f"{model_filename(pair, timestamp)}_{MODEL}"


def prediction_file(identifier: Path, pair: str, timestamp: int) -> Path:
    """Return the file with the predictions that a model made in a backtest."""
    return identifier / _PREDICTIONS / f"{model_filename(pair, timestamp)}_prediction.feather"


def saved_models(identifier: Path) -> dict[str, list[Path]]:
    """Return the folders of models that are not empty, by the coin of their pair."""
    models: dict[str, list[Path]] = {}
    for folder in sorted(identifier.glob("sub-train-*")):
        if any(folder.iterdir()):
            coin = folder.name.removeprefix("sub-train-").rpartition("_")[0]
            models.setdefault(coin, []).append(folder)
    return models


def saved_predictions(identifier: Path) -> list[Path]:
    """Return the files with predictions that backtests made."""
    return sorted((identifier / _PREDICTIONS).glob("*"))


def check_coins(pairs: Iterable[str]) -> None:
    """Refuse pairs whose models FreqAI would keep under the same names.

    It names a model by the pair's coin alone: of two quotes of one coin, the second would silently
    get the predictions of the first.

    :raises SettingsError: If two pairs have the same coin.
    """
    pair_of_coin: dict[str, str] = {}
    for pair in pairs:
        other = pair_of_coin.setdefault(pair.partition("/")[0].lower(), pair)
        if other != pair:
            raise SettingsError(
                f"exchange.pair_whitelist: must have one pair of each coin, since FreqAI keeps "
                f"models by coin, was {other} and {pair}; give each its own freqai.identifier"
            )


@dataclass(frozen=True)
class Window:
    """One model: trained up to ``start``, it predicts the candles from there to before ``stop``.

    ``trained_timestamp`` is what FreqAI notes as the end of the training; all times are in seconds
    since 1970.
    """

    pair: str
    start: int
    stop: int
    trained_timestamp: int

    @property
    def model_filename(self) -> str:
        """What the names of all its files begin with."""
        return model_filename(self.pair, self.start)

    @property
    def timerange(self) -> str:
        """The candles that it predicts, as freqtrade's ``--timerange`` takes them."""
        return TimeRange("date", "date", self.start, self.stop).timerange_str


@dataclass(frozen=True)
class Artefacts:
    """What FreqAI saved of one model: the files of its folder by name, and its predictions."""

    files: dict[str, bytes]
    prediction: bytes


def collect(models: Path, home: Path, window: Window) -> Artefacts:
    """Read what FreqAI saved of a model.

    :param models: The identifier's folder where it was trained.
    :param home: The one that it will have, which its metadata names.
    """
    folder = model_folder(models, window.pair, window.start)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    # Its numbers stay as they are to the last digit, so it is not parsed.
    metadata = f"{window.model_filename}_{METADATA}"
    old, new = (rapidjson.dumps(str(path))[1:-1].encode() for path in (models, home))
    files[metadata] = files[metadata].replace(old, new)
    return Artefacts(files, prediction_file(models, window.pair, window.start).read_bytes())


class IdentifierFolder:
    """Knows which models are there, and puts new ones beside them, each as a whole or not at all.

    :param path: The folder, ``user_data/models/<identifier>``.
    :param saves_models: FreqAI's ``save_backtest_models``; without it, only metadata and
        predictions are kept.
    """

    def __init__(self, path: Path, saves_models: bool = True) -> None:
        self.path = path
        self.saves_models = saves_models

    def holds(self, window: Window, dates: pd.Series) -> bool:
        """Say whether a backtest would take the window's predictions from here.

        :param dates: Opening times of the pair's candles.
        """
        folder = model_folder(self.path, window.pair, window.start)
        names = _SAVED_MODEL if self.saves_models else (METADATA,)
        files = [folder / f"{window.model_filename}_{name}" for name in names]
        if not all(file.is_file() and file.stat().st_size for file in files):
            return False
        file = prediction_file(self.path, window.pair, window.start)
        try:
            predicted = pd.read_feather(file, columns=["date"])["date"]
        except (FileNotFoundError, pa.ArrowInvalid):
            return False
        start, stop = pd.to_datetime([window.start, window.stop], unit="s", utc=True)
        needed = dates[(dates >= start) & (dates < stop)].tolist()
        # The last window of a timerange has the candle at its end, too.
        return needed == predicted.tolist()[: len(needed)] and len(predicted) <= len(needed) + 1

    def network(self, window: Window) -> Artefacts | None:
        """Return the network of a model alone; None if it is not here."""
        file = model_file(self.path, window.pair, window.start)
        return Artefacts({file.name: file.read_bytes()}, b"") if file.is_file() else None

    def store(self, window: Window, artefacts: Artefacts) -> None:
        """Put one model here: its folder first, its predictions last."""
        with replacing_folder(model_folder(self.path, window.pair, window.start)) as folder:
            for name, content in artefacts.files.items():
                file = folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        predictions = prediction_file(self.path, window.pair, window.start)
        predictions.parent.mkdir(exist_ok=True)
        with replacing(predictions) as file:
            file.write_bytes(artefacts.prediction)

    def note_newest(self, windows: Sequence[Window]) -> None:
        """Note the newest of these models as its pair's present one, where FreqAI live finds it.

        A newer one that is noted already, such as a live training's, stays.

        :param windows: Windows of one pair whose models are here.
        """
        if not windows or not self.saves_models:
            return
        newest = max(windows, key=lambda window: window.trained_timestamp)
        pairs = self.path / PAIRS
        noted: dict[str, Any] = json.loads(pairs.read_bytes()) if pairs.is_file() else {}
        present = noted.get(newest.pair, {"trained_timestamp": 0})
        if present["trained_timestamp"] >= newest.trained_timestamp:
            return
        noted[newest.pair] = {
            "model_filename": newest.model_filename,
            "trained_timestamp": newest.trained_timestamp,
            "data_path": str(model_folder(self.path, newest.pair, newest.start)),
            "extras": {},
        }
        with replacing(pairs) as file:
            file.write_text(json.dumps(noted), encoding="utf-8")
