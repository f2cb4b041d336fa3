"""Where the tools work: processes of this machine, or those of a Ray cluster."""

import importlib
import logging
import os
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool
from pandas import DataFrame

from freqai_lstm.tools.cluster import RayPool, be_quiet

logger = logging.getLogger(__name__)

KILLED = "the worker process was killed, perhaps for want of memory"
"""What a ``BrokenExecutor`` means."""

# Read when the libraries load; later calls cannot lower all of them.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Pool(Protocol):
    """Where tasks run, with so many ``threads`` each. ``capacity`` are best submitted at a time.

    A future ends with ``BrokenExecutor`` if a worker process died that may have run its task.
    """

    capacity: int
    threads: int

    def share(self, frame: DataFrame) -> Any:
        """Return what stands for a frame among the arguments of tasks."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Run a function of this package elsewhere."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(self, *_: object) -> None:
        """Stop all workers, whatever they do."""


def open_pool(
    jobs: int | None,
    ray_address: str | None,
    *,
    threads: int = 1,
    gpu: bool = False,
    log: Path | None = None,
) -> Pool:
    """Return the workers that a command asks for.

    :param jobs: Worker processes; as many as there are cores for if omitted.
    :param ray_address: A Ray cluster's address; processes on this machine if omitted.
    :param threads: CPU threads that each would have, on this machine less if the cores are fewer.
    :param gpu: Whether each needs a GPU, on a cluster.
    :param log: File for what the processes of this machine log; nothing is kept if omitted.
    :raises SettingsError: If the Ray cluster cannot be used.
    """
    if ray_address is not None:
        return RayPool(ray_address, jobs, threads, gpu)
    cores = joblib.cpu_count()
    jobs = jobs or max(cores // threads, 1)
    allowed = min(threads, max(cores // jobs, 1))
    if allowed < threads:
        logger.warning(
            f"trainer_kwargs.num_threads: {allowed} instead of {threads}, since {jobs} workers "
            f"share {cores} cores"
        )
    return LocalPool(jobs, allowed, log)


@dataclass(frozen=True)
class Job:
    """A call to make in a pool; ``task`` is what the caller knows it by.

    ``alone`` says that no other one may run beside it.
    """

    task: Any
    call: tuple[Any, ...]
    alone: bool = False


def work_off(pool: Pool, jobs: Iterator[Job]) -> Iterator[tuple[Any, "Future[Any]"]]:
    """Run jobs, each as there is room for it, and give the task and the future of each that ends.

    A job whose worker process died with others beside it runs once more, alone, to know which of
    them it was.

    :param pool: Where to run them.
    :param jobs: What to run; the next one is asked for when there is room for it, and again after
        there was none when something has ended.
    """
    running: dict[Future[Any], Job] = {}
    suspects: deque[Job] = deque()
    while True:
        if suspects and not running:
            job = suspects.popleft()
            running[pool.submit(*job.call)] = job
        while not suspects and len(running) < pool.capacity and (next_job := next(jobs, None)):
            running[pool.submit(*next_job.call)] = next_job
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            job = running.pop(future)
            if isinstance(future.exception(), BrokenExecutor) and not job.alone:
                suspects.append(replace(job, alone=True))
            else:
                yield job.task, future


class LocalPool:
    """Processes of this machine, started by loky.

    :param count: Number of processes.
    :param threads: CPU threads of each.
    :param log: File that they write their logs to; they are quiet if omitted.
    """

    _folder: "TemporaryDirectory[str]"
    _executor: ProcessPoolExecutor

    def __init__(self, count: int, threads: int = 1, log: Path | None = None) -> None:
        self.count = count
        self.log = log
        # A worker that is done finds its next task waiting.
        self.capacity = 2 * count
        self.threads = threads

    def share(self, frame: DataFrame) -> Any:
        """Write a frame to a file, which the workers map into their memory.

        The file is removed when nothing refers to what this returns any more.
        """
        return _SharedFrame(Path(self._folder.name), frame)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Run a function in a worker process, a new one if the former ones were lost."""
        future: Future[Any]
        try:
            future = self._executor.submit(function, *arguments)
        except BrokenProcessPool:
            self._executor.shutdown(kill_workers=True)
            self._executor = self._start()
            future = self._executor.submit(function, *arguments)
        return future

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
        executor = ProcessPoolExecutor(
            self.count, initializer=_prepare, initargs=(os.getpid(), self.log), env=threads
        )
        # The first call starts the processes, which load their libraries while the parent computes
        # features.
        executor.submit(int)
        return executor


class _SharedFrame:
    """A frame in a file that lasts as long as this object; unpickled, it is the frame."""

    def __init__(self, folder: Path, frame: DataFrame) -> None:
        self.path = folder / f"{uuid.uuid4().hex}.joblib"
        joblib.dump(frame, self.path)
        weakref.finalize(self, self.path.unlink, missing_ok=True)

    def __reduce__(self) -> tuple[Callable[..., DataFrame], tuple[str, str]]:
        return joblib.load, (str(self.path), "r")


def _prepare(parent: int, log: Path | None) -> None:
    """Make a new process ready for its first task, and let it live no longer than its parent."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if log is None:
        be_quiet()
    else:
        line = "%(asctime)s - %(process)d - %(name)s - %(levelname)s - %(message)s"
        logging.basicConfig(filename=log, level=logging.INFO, format=line, force=True)
        logging.captureWarnings(True)
    importlib.import_module("freqai_lstm.regressor")


def _end_with(parent: int) -> None:
    """Wait for the parent to end, even if it is killed: nobody would take what this works on."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
