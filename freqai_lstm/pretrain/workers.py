"""Worker processes on this machine."""

import importlib
import uuid
import weakref
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool
from pandas import DataFrame

from freqai_lstm.pretrain.plan import Task
from freqai_lstm.pretrain.project import Project
from freqai_lstm.pretrain.worker import Outcome, be_quiet, train_task

# Read when the libraries load; later calls cannot lower all of them.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Workers(Protocol):
    """Where tasks run. ``capacity`` of them are best submitted at a time.

    A future ends with ``BrokenExecutor`` if a worker process died that may have run its task.
    """

    capacity: int

    def share(self, features: DataFrame) -> Any:
        """Return a reference to a frame that tasks can be given; the frame goes with the last."""

    def submit(self, features: Any, task: Task) -> "Future[Outcome]":
        """Run a task on shared features."""

    def flush(self) -> None:
        """See to it that what was submitted runs."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(self, *_: object) -> None:
        """Stop all workers, whatever they do."""


class LocalWorkers:
    """Processes of this machine, started by loky.

    :param project: The strategy and its regressor.
    :param count: Number of processes.
    :param threads: CPU threads of each.
    """

    _folder: "TemporaryDirectory[str]"
    _executor: ProcessPoolExecutor

    def __init__(self, project: Project, count: int, threads: int) -> None:
        self.project = project
        self.count = count
        # A worker that is done finds its next task waiting.
        self.capacity = 2 * count
        self.threads = threads

    def share(self, features: DataFrame) -> Any:
        """Write a frame to a file, which the workers map into their memory.

        :param features: The frame.
        :return: The file; it is removed when nothing refers to this any more.
        """
        return _SharedFrame(Path(self._folder.name), features)

    def submit(self, features: Any, task: Task) -> "Future[Outcome]":
        """Run a task on shared features."""
        arguments = (_train, self.project, str(features.path), task)
        future: Future[Outcome]
        try:
            future = self._executor.submit(*arguments)
        except BrokenProcessPool:
            self._executor.shutdown(kill_workers=True)
            self._executor = self._start()
            future = self._executor.submit(*arguments)
        return future

    def flush(self) -> None:
        """Do nothing: tasks run as they are submitted."""

    def __enter__(self) -> Self:
        """Start the processes."""
        self._folder = TemporaryDirectory(prefix="freqai-lstm-")
        self._executor = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the processes and remove the shared frames."""
        self._executor.shutdown(kill_workers=True)
        self._folder.cleanup()

    def _start(self) -> ProcessPoolExecutor:
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        executor = ProcessPoolExecutor(self.count, initializer=_prepare, env=threads)
        # The first call starts the processes, which load their libraries while the parent computes
        # features.
        executor.submit(int)
        return executor


class _SharedFrame:
    """A frame in a file that lasts as long as this object."""

    def __init__(self, folder: Path, frame: DataFrame) -> None:
        self.path = folder / f"{uuid.uuid4().hex}.joblib"
        joblib.dump(frame, self.path)
        weakref.finalize(self, self.path.unlink, missing_ok=True)


def _prepare() -> None:
    """Make a new process ready for its first task."""
    be_quiet()
    importlib.import_module("freqai_lstm.regressor")


def _train(project: Project, features: str, task: Task) -> Outcome:
    return train_task(project, joblib.load(features, mmap_mode="r"), task)
