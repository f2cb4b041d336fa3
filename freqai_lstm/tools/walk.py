"""Walks FreqAI forward over stored candles: the one way in which all commands do.

Features of a pair are computed once, here; models are trained and predict wherever a task runs, in
a folder of its own, by FreqAI's own backtesting. What it saved of them comes back.
"""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from freqtrade.configuration import TimeRange
from freqtrade.freqai.freqai_interface import IFreqaiModel
from pandas import DataFrame

from freqai_lstm.bridge.folders import (
    Artefacts,
    IdentifierFolder,
    Window,
    collect,
    identifier_folder,
)
from freqai_lstm.bridge.incidents import described
from freqai_lstm.bridge.kitchen import LabelledTrainings, PreparedDataKitchen
from freqai_lstm.bridge.offline import load_offline_strategy
from freqai_lstm.files import temporary_folder
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.tools.features import PairFeatures
from freqai_lstm.tools.loading import LEFT_OUT


@dataclass
class Outcome:
    """The models that were trained, and why others were not, by ``model_filename``.

    ``core_seconds`` is what training and predicting took.
    """

    artefacts: dict[str, Artefacts] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    core_seconds: float = 0.0


@dataclass(frozen=True)
class Project:
    """A strategy and its prediction model, to be opened in any folder of any machine.

    ``config`` has neither paths nor keys of an account. ``files`` are the strategy, the prediction
    model and what lies beside them, by their paths in a user directory. ``models`` is the folder
    that the identifier has at home.
    """

    config: dict[str, Any]
    files: dict[str, bytes]
    models: Path

    def open(self, userdir: Path, timerange: str) -> Any:
        """Return the strategy with its regressor, as a backtest of the timerange loads them.

        :param userdir: An empty folder, the user directory of this backtest.
        """
        for name, content in self.files.items():
            file = userdir / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (userdir / "models").mkdir()
        config = copy.deepcopy(self.config) | {"user_data_dir": userdir, "timerange": timerange}
        return load_offline_strategy(config)


def pack_project(config: Mapping[str, Any], strategy: Any, threads: int = 1) -> Project:
    """Pack a strategy whose prediction model is loaded.

    :param threads: Most CPU threads that a worker may use.
    """
    packed = copy.deepcopy({key: value for key, value in config.items() if key not in LEFT_OUT})
    packed["exchange"] = {key: packed["exchange"][key] for key in ("name", "pair_whitelist")}
    if isinstance(strategy.freqai, LSTMRegressor):
        trainer = packed["freqai"].setdefault("model_training_parameters", {})
        trainer = trainer.setdefault("trainer_kwargs", {})
        # A bar for each epoch would tear the one over all models.
        trainer.update(progress_bar=False, num_threads=min(trainer.get("num_threads", 1), threads))
    files: dict[str, bytes] = {}
    for folder, owner in (("strategies", strategy), ("freqaimodels", strategy.freqai)):
        file = Path(owner.__file__)
        beside = [*file.parent.glob("*.py"), *file.parent.glob(f"{file.stem}.json")]
        files |= {f"{folder}/{path.name}": path.read_bytes() for path in beside}
    return Project(packed, files, identifier_folder(config))


def walk(
    project: Project,
    features: PairFeatures,
    windows: Sequence[Window],
    seed: int | None = None,
    previous: tuple[Window, Artefacts] | None = None,
) -> Outcome:
    """Train and predict consecutive windows of a pair, and return what FreqAI saves of them.

    :param features: Those of the pair over the whole range.
    :param seed: For the global generators, which other models than this package's draw from.
    :param previous: The model of the window before, that ``continual_learning`` starts from.
    """
    started, pair = process_time(), windows[0].pair
    if seed is not None:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
    with temporary_folder() as userdir:
        # FreqAI cuts the timerange into just these windows.
        whole = replace(windows[0], stop=windows[-1].stop)
        strategy = project.open(userdir, whole.timerange)
        regressor = strategy.freqai
        if previous is not None:
            IdentifierFolder(regressor.full_path).store(*previous)
        outcome = Outcome()
        train = regressor.train

        def noting_errors(frame: DataFrame, pair: str, dk: Any, **kwargs: Any) -> Any:
            # FreqAI logs them and goes on.
            try:
                return train(frame, pair, dk, **kwargs)
            except Exception as error:
                outcome.errors[dk.model_filename] = described(error)
                raise

        regressor.train = noting_errors
        regressor.live = False
        history = getattr(regressor, "window_size", 1) - 1
        with_last = whole.stop == TimeRange.parse_timerange(project.config["timerange"]).stopts
        regressor.dk = kitchen = PreparedDataKitchen(
            strategy.config, pair, history, features.frame, with_last
        )
        labelling = LabelledTrainings(strategy, regressor, kitchen, features.labels)
        candles = kitchen.remove_features_from_df(features.frame)
        IFreqaiModel.start_backtesting(regressor, candles, {"pair": pair}, kitchen, labelling)
        for window in windows:
            if window.model_filename not in outcome.errors:
                outcome.artefacts[window.model_filename] = collect(
                    regressor.full_path, project.models, window
                )
        outcome.core_seconds = process_time() - started
        return outcome
