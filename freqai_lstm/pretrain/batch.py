"""Trains the models of many tasks together, in this process.

Each task runs FreqAI's code in a thread of its own, one thread at a time. Where it would train, it
waits for the others; when all wait, their networks are trained together, and they go on.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from pandas import DataFrame

from freqai_lstm.exceptions import TrainingError
from freqai_lstm.model import PyTorchLSTMModel
from freqai_lstm.pretrain.plan import Task
from freqai_lstm.pretrain.project import Project
from freqai_lstm.pretrain.worker import Outcome, train_task
from freqai_lstm.settings import TrainerSettings
from freqai_lstm.stacked_training import Candidate, train_stacked
from freqai_lstm.trainer import TRAIN_WINDOWS
from freqai_lstm.training import TrainingHistory
from freqai_lstm.training_step import Split


@dataclass
class _Request:
    """A thread that waits for the training of its network."""

    candidate: Candidate
    settings: TrainerSettings
    result: TrainingHistory | Exception = field(
        default_factory=lambda: RuntimeError("the training of its batch failed")
    )
    done: threading.Event = field(default_factory=threading.Event)


class Batch:
    """Lets threads that train meet.

    :param count: Number of threads.
    """

    def __init__(self, count: int) -> None:
        self._baton = threading.Lock()
        self._changed = threading.Condition()
        self._running = count
        self._requests: list[_Request] = []

    def run(self, function: Callable[..., Outcome], *arguments: Any) -> Outcome:
        """Run a task in the present thread, alone but for where it waits to be trained."""
        TRAIN_WINDOWS.set(self._train)
        try:
            with self._baton:
                return function(*arguments)
        finally:
            self._stop_running()

    def serve(self) -> None:
        """Train whenever all threads wait, until all have ended."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running == 0)
                requests, self._requests = self._requests, []
                self._running = len(requests)
            if not requests:
                return
            try:
                _train_together(requests)
            finally:
                for request in requests:
                    request.done.set()

    def _train(
        self,
        model: PyTorchLSTMModel,
        optimizer: torch.optim.AdamW,
        settings: TrainerSettings,
        train: Split,
        test: Split | None,
        *,
        seed: int,
        **_: Any,
    ) -> TrainingHistory:
        """Wait until the network has been trained with the others."""
        request = _Request(Candidate(model, optimizer, train, test, seed), settings)
        self._baton.release()
        try:
            self._stop_running(request)
            request.done.wait()
        finally:
            self._baton.acquire()
        if isinstance(request.result, Exception):
            raise request.result
        return request.result

    def _stop_running(self, *requests: _Request) -> None:
        with self._changed:
            self._requests += requests
            self._running -= 1
            self._changed.notify_all()


class BatchWorkers:
    """Trains as many models together as it is told, in this process.

    :param project: The strategy and its regressor.
    :param capacity: Number of models.
    """

    def __init__(self, project: Project, capacity: int) -> None:
        self.project = project
        self.capacity = capacity
        self._submitted: list[tuple[DataFrame, Task, Future[Outcome]]] = []

    def share(self, features: DataFrame) -> Any:
        """Return the frame itself."""
        return features

    def submit(self, features: Any, task: Task) -> "Future[Outcome]":
        """Note a task; :meth:`flush` runs it."""
        future: Future[Outcome] = Future()
        self._submitted.append((features, task, future))
        return future

    def flush(self) -> None:
        """Run what was submitted, all of it together."""
        submitted, self._submitted = self._submitted, []
        batch = Batch(len(submitted))
        with ThreadPoolExecutor(len(submitted)) as threads:
            running = [
                threads.submit(batch.run, train_task, self.project, features, task)
                for features, task, _ in submitted
            ]
            batch.serve()
        for (_, _, future), ended in zip(submitted, running, strict=True):
            if (error := ended.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(ended.result())

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: no task runs between two calls."""


def _train_together(requests: list[_Request]) -> None:
    """Train the networks of each shape together; FreqAI drops features that were constant."""
    by_shape: dict[Any, list[_Request]] = defaultdict(list)
    for request in requests:
        split = request.candidate.train
        by_shape[split.features.shape[1], split.labels.shape[1]].append(request)
    for group in by_shape.values():
        results: list[TrainingHistory | TrainingError] = train_stacked(
            [request.candidate for request in group], group[0].settings
        )
        for request, result in zip(group, results, strict=True):
            request.result = result
