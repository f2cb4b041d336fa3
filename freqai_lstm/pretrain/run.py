"""Trains whatever is missing of a walk-forward, and keeps the account of it."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

from freqtrade.util import get_progress_tracker
from freqtrade.util.rich_progress import CustomProgress

from freqai_lstm.pretrain.features import WalkForward
from freqai_lstm.pretrain.folder import IdentifierFolder
from freqai_lstm.pretrain.plan import Task, Window, missing_tasks, plan_windows
from freqai_lstm.pretrain.worker import Outcome
from freqai_lstm.pretrain.workers import Workers


@dataclass(frozen=True)
class Failure:
    """A model that could not be trained, with the timerange it would have predicted."""

    pair: str
    timerange: str
    error: str


@dataclass
class Account:
    """How many models were found, how many trained, and which failed."""

    found: int = 0
    trained: int = 0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    """A task with the reference to its pair's features; ``alone`` if no other runs beside it."""

    task: Task
    features: Any
    alone: bool = False


def pretrain(walk: WalkForward, workers: Workers) -> Account:
    """Train the missing models of a walk-forward, and put each into the identifier's folder.

    The features of a pair are computed here while the models of others are being trained.

    :param walk: The strategy and the candles.
    :param workers: Where to train.
    :return: What was done; a failed model is noted and does not stop the others.
    """
    return _Pretraining(walk, workers).run()


class _Pretraining:
    """One run of :func:`pretrain`."""

    def __init__(self, walk: WalkForward, workers: Workers) -> None:
        self.walk = walk
        self.workers = workers
        regressor = walk.strategy.freqai
        self.folder = IdentifierFolder(regressor.full_path, regressor.save_backtest_models)
        self.continual_learning: bool = regressor.continual_learning
        self.plan = {
            pair: plan_windows(walk.config, pair)
            for pair in walk.config["exchange"]["pair_whitelist"]
        }
        self.present: dict[str, list[Window]] = {}
        self.account = Account()
        # Jobs that may have killed a worker process: each runs alone next time, to know which.
        self.suspects: deque[_Job] = deque()
        self.running: dict[Future[Outcome], _Job] = {}

    def run(self) -> Account:
        """Keep the workers busy until nothing is left."""
        with get_progress_tracker() as progress:
            bar = progress.add_task("Training", total=sum(map(len, self.plan.values())))
            jobs = self._jobs(progress, bar)
            while self._submit(jobs):
                self.workers.flush()
                done, _ = wait(self.running, return_when=FIRST_COMPLETED)
                for future in done:
                    job = self.running.pop(future)
                    error = future.exception()
                    if isinstance(error, BrokenExecutor) and not job.alone:
                        self.suspects.append(replace(job, alone=True))
                        continue
                    outcome = future.result() if error is None else _failed(job.task, error)
                    self._settle(job.task, outcome)
                    progress.update(bar, advance=len(job.task.windows))
        self.account.failures.sort(key=lambda failure: (failure.pair, failure.timerange))
        return self.account

    def _jobs(self, progress: CustomProgress, bar: Any) -> Iterator[_Job]:
        """Prepare pair after pair, and yield what is to be trained of it."""
        for pair, windows in self.plan.items():
            candles = self.walk.candles.get(pair)
            if candles is None:
                self._fail(windows, f"no candles of {self.walk.config['timeframe']}")
                progress.update(bar, advance=len(windows))
                continue
            present = [window for window in windows if self.folder.holds(window, candles["date"])]
            tasks = missing_tasks(windows, present, self.continual_learning)
            left = [window for task in tasks for window in task.windows]
            self.account.found += len(windows) - len(left)
            self.present[pair] = present
            self.folder.note_newest(present)
            progress.update(bar, advance=len(windows) - len(left))
            if not tasks:
                continue
            features = self.walk.features(pair)
            if features is None:
                self._fail(left, "no candles of some include_timeframes, see the log")
                progress.update(bar, advance=len(left))
                continue
            shared = self.workers.share(features)
            for task in tasks:
                yield _Job(task, shared)

    def _submit(self, jobs: Iterator[_Job]) -> bool:
        """Give the workers what they can take; say whether anything runs."""
        if self.suspects:
            if not self.running:
                self._start(self.suspects.popleft())
            return True
        while len(self.running) < self.workers.capacity and (job := next(jobs, None)):
            self._start(job)
        return bool(self.running)

    def _start(self, job: _Job) -> None:
        self.running[self.workers.submit(job.features, job.task)] = job

    def _settle(self, task: Task, outcome: Outcome) -> None:
        """Store the models of a task and note its failures."""
        for window in task.windows:
            artefacts = outcome.artefacts.get(window.model_filename)
            if artefacts is None:
                self._fail([window], outcome.errors[window.model_filename])
                continue
            self.folder.store(window, artefacts)
            self.account.trained += 1
            self.present[task.pair].append(window)
        self.folder.note_newest(self.present[task.pair])

    def _fail(self, windows: list[Window], error: str) -> None:
        self.account.failures += [
            Failure(window.pair, window.timerange, error) for window in windows
        ]


def _failed(task: Task, error: BaseException) -> Outcome:
    """Return the outcome of a task that ended with an error."""
    if isinstance(error, BrokenExecutor):
        text = "the worker process was killed, perhaps for want of memory"
    else:
        text = f"{type(error).__name__}: {error}"
    return Outcome(errors={window.model_filename: text for window in task.windows})
