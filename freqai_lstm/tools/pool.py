"""Worker processes of this machine, and jobs that are worked off by them."""

import gc
import importlib
import logging
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool

from freqai_lstm.tools.features import PairFeatures

KILLED = "the worker process was killed, perhaps for want of memory"
"""What a ``BrokenExecutor`` means."""

# Read when the libraries load; later calls cannot lower all of them.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """A call to make in a pool; ``task`` is what the caller knows it by.

    ``alone`` says that no other one may run beside it.
    """

    task: Any
    call: tuple[Any, ...]
    alone: bool = False


def work_off(pool: "Pool", jobs: Iterator[Job]) -> Iterator[tuple[Any, "Future[Any]"]]:
    """Run jobs, each as there is room for it, and give the task and the future of each that ends.

    A job whose worker process died with others beside it runs once more, alone, to know which of
    them it was.

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


class Pool:
    """Processes of this machine, started by loky, with so many ``threads`` each.

    ``capacity`` jobs are best submitted at a time. A future ends with ``BrokenExecutor`` if a
    process died that may have run its job.

    :param log: File that they write their logs to; they are quiet if omitted.
    """

    _executor: ProcessPoolExecutor

    def __init__(self, count: int, threads: int = 1, log: Path | None = None) -> None:
        self.count, self.threads, self.log = count, threads, log
        # A worker that is done finds its next task waiting.
        self.capacity = 2 * count

    def share(self, features: PairFeatures) -> Any:
        """Return features as a job takes them: the workers map their file into memory."""
        return features

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Run a function in a worker process, a new one if the former ones were lost."""
        try:
            return self._executor.submit(function, *arguments)
        except BrokenProcessPool:
            self._executor.shutdown(kill_workers=True)
            self._executor = self._start()
            return self._executor.submit(function, *arguments)

    def __enter__(self) -> Self:
        self._executor = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(kill_workers=True)

    def _start(self) -> ProcessPoolExecutor:
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        executor = ProcessPoolExecutor(
            self.count, initializer=_prepare, initargs=(os.getpid(), self.log), env=threads
        )
        # The first call starts the processes, which load their libraries while the parent computes
        # features.
        executor.submit(int)
        return executor


def _prepare(parent: int, log: Path | None) -> None:
    """Make a new process ready for its first task, and let it live no longer than its parent."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if log is None:
        be_quiet()
    else:
        line = "%(asctime)s - %(process)d - %(name)s - %(levelname)s - %(message)s"
        logging.basicConfig(filename=log, level=logging.INFO, format=line, force=True)
        logging.captureWarnings(True)
    # torch loads the second one with the first optimizer.
    for library in ("freqai_lstm.regressor", "torch._dynamo"):
        importlib.import_module(library)
    # What the libraries are made of stays: no collection has to go over it again.
    gc.collect()
    gc.freeze()


def _end_with(parent: int) -> None:
    """Wait for the parent to end, even if it is killed: nobody would take what this works on."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def be_quiet() -> None:
    """Keep this process's log and warnings off the terminal: errors are reported at the end."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
