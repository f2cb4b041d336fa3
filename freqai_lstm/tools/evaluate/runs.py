"""Runs what is planned: features once for all that share them, trainings in a pool."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from typing import Any

import pandas as pd

from freqai_lstm.bridge.folders import IdentifierFolder, identifier_folder
from freqai_lstm.bridge.kitchen import plan_windows
from freqai_lstm.bridge.offline import load_offline_strategy
from freqai_lstm.exceptions import SkillError
from freqai_lstm.files import replacing
from freqai_lstm.tools.evaluate.plan import SubRun
from freqai_lstm.tools.features import OF_THE_MODEL, FeatureStore
from freqai_lstm.tools.loading import offline_walk_forward
from freqai_lstm.tools.pool import KILLED, Job, Pool
from freqai_lstm.tools.walk import Outcome, pack_project, walk

_FINISHED = "evaluated.json"
# Pairs whose features are at hand; their files are mapped, so it costs hardly any memory.
_KEPT_FRAMES = 256


def finished(run: SubRun) -> dict[str, float] | None:
    """Return what is known of a run that was finished before: its trainings and core seconds."""
    file = identifier_folder(run.config) / _FINISHED
    if not file.is_file():
        return None
    return json.loads(file.read_text(encoding="utf-8"))


class Runner:
    """Makes jobs of runs, and keeps what becomes of them."""

    def __init__(self, pool: Pool, store: FeatureStore) -> None:
        self.pool, self.store = pool, store
        self._strategies: dict[str, Any] = {}
        self._shared = lru_cache(maxsize=_KEPT_FRAMES)(self._share)
        self._run: SubRun

    def job(self, run: SubRun) -> Job:
        """Return the job that trains and predicts every window of a run."""
        config = dict(run.config)
        freqai = {key: value for key, value in config["freqai"].items() if key not in OF_THE_MODEL}
        self._run = run
        with _quiet():
            shared = self._shared(json.dumps([run.pair, freqai], sort_keys=True))
            model = config["freqaimodel"]
            if model not in self._strategies:
                self._strategies[model] = load_offline_strategy(config)
            project = pack_project(config, self._strategies[model], self.pool.threads)
            windows = plan_windows(config, run.pair)
        return Job(run, (walk, project, shared, windows, run.seed))

    def _share(self, key: str) -> Any:
        """Find the features of the present run's pair, for all runs with this key."""
        features = self.store.features(offline_walk_forward(self._run.config), self._run.pair)
        if features is None:
            raise SkillError(f"{self._run.pair}: has no candles of some include_timeframes")
        return self.pool.share(features)


def keep(run: SubRun, future: "Future[Outcome]") -> dict[str, float]:
    """Keep the predictions of a run whose job has ended.

    :return: The number of trainings, and the seconds of a core for all of them.
    :raises SkillError: If a training failed; FreqAI goes on with zeros, a comparison must not.
    """
    if isinstance(future.exception(), BrokenExecutor):
        raise SkillError(f"{run.identifier}: {KILLED}")
    outcome = future.result()
    windows = plan_windows(dict(run.config), run.pair)
    for window in windows:
        artefacts = outcome.artefacts.get(window.model_filename)
        problem = outcome.errors.get(window.model_filename, "no candle could be predicted")
        if artefacts is None or not _has_predictions(artefacts.prediction):
            raise SkillError(
                f"{run.identifier}: every training window must have predictions, the one that ends "
                f"{pd.Timestamp(window.start, unit='s')} has none: {problem}"
            )
    path = identifier_folder(run.config)
    folder = IdentifierFolder(path, saves_models=False)
    for window in windows:
        folder.store(window, outcome.artefacts[window.model_filename])
    known = {"trainings": len(windows), "core_seconds": outcome.core_seconds}
    with replacing(path / _FINISHED) as temporary:
        temporary.write_text(json.dumps(known), encoding="utf-8")
    return known


def _has_predictions(content: bytes) -> bool:
    return bool((pd.read_feather(BytesIO(content))["do_predict"] == 1).any())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what FreqAI tells of each frame from between the progress bars."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
