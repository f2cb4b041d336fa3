"""Trains the models of one task with FreqAI's own backtesting, in a folder of its own."""

import logging
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rapidjson
from freqtrade.freqai.freqai_interface import IFreqaiModel
from pandas import DataFrame

from freqai_lstm.data_kitchen import WindowedDataKitchen
from freqai_lstm.pretrain.plan import Task, Window
from freqai_lstm.pretrain.project import Project


@dataclass(frozen=True)
class Artefacts:
    """What FreqAI saved of one model: the files of its folder by name, and its predictions."""

    files: dict[str, bytes]
    prediction: bytes


@dataclass
class Outcome:
    """The models of a task that were trained, and why others were not, by ``model_filename``."""

    artefacts: dict[str, Artefacts] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


class PreparedDataKitchen(WindowedDataKitchen):
    """A data kitchen whose features have been computed already.

    :param features: The pair's candles with the features over the whole range.
    """

    def __init__(
        self, config: dict[str, Any], pair: str, history_candles: int, features: DataFrame
    ) -> None:
        super().__init__(config, False, pair, history_candles)
        self.features = features

    def use_strategy_to_populate_indicators(self, *_: Any, **__: Any) -> DataFrame:
        """Return the features."""
        return self.features


def train_task(project: Project, features: DataFrame, task: Task) -> Outcome:
    """Train and predict the windows of a task, and return what FreqAI saves of them.

    :param project: The strategy and its regressor.
    :param features: The pair's candles with the features over the whole range.
    :param task: The windows.
    """
    with TemporaryDirectory(prefix="freqai-lstm-") as userdir:
        strategy = project.open(Path(userdir), task.timerange)
        regressor = strategy.freqai
        outcome = Outcome()
        train = regressor.train

        def noting_errors(frame: DataFrame, pair: str, dk: Any, **kwargs: Any) -> Any:
            # FreqAI logs them and goes on.
            try:
                return train(frame, pair, dk, **kwargs)
            except Exception as error:
                outcome.errors[dk.model_filename] = f"{type(error).__name__}: {error}"
                raise

        regressor.train = noting_errors
        regressor.live = False
        regressor.dk = PreparedDataKitchen(
            strategy.config, task.pair, regressor.window_size - 1, features
        )
        IFreqaiModel.start_backtesting(
            regressor, features, {"pair": task.pair}, regressor.dk, strategy
        )
        for window in task.windows:
            if window.model_filename not in outcome.errors:
                outcome.artefacts[window.model_filename] = _collect(
                    regressor.full_path, Path(project.models), window
                )
        return outcome


def be_quiet() -> None:
    """Keep this process's log and warnings off the terminal: errors are reported at the end."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def _collect(models: Path, home: Path, window: Window) -> Artefacts:
    """Read the files of one model, whose metadata names the folder that it will have at home."""
    folder = models / window.folder
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    # Its numbers stay as they are to the last digit, so it is not parsed.
    metadata = f"{window.model_filename}_metadata.json"
    files[metadata] = files[metadata].replace(_json_text(models), _json_text(home))
    prediction = models / "backtesting_predictions" / f"{window.model_filename}_prediction.feather"
    return Artefacts(files, prediction.read_bytes())


def _json_text(path: Path) -> bytes:
    """Return a path as it stands within a JSON string."""
    return rapidjson.dumps(str(path))[1:-1].encode()
