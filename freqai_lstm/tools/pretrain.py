"""Train ahead, in parallel, the models that freqtrade backtesting or hyperopt would train in turn.

They and their predictions are left where these commands find them. Models that are there already
are kept.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import astuple, dataclass, field
from time import perf_counter
from typing import Any

from freqtrade.util import get_progress_tracker

from freqai_lstm.bridge.folders import IdentifierFolder, Window
from freqai_lstm.bridge.incidents import described
from freqai_lstm.bridge.kitchen import plan_windows
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.tools.cluster import open_pool
from freqai_lstm.tools.command import (
    BOT_OPTIONS,
    add_freqtrade_options,
    add_pool_options,
    print_table,
)
from freqai_lstm.tools.pool import KILLED, Job, Pool, work_off
from freqai_lstm.tools.walk import Outcome, WalkForward, load_walk_forward, pack_project, walk

# By the names of freqtrade's code; its backtesting takes them.
_FREQTRADE_OPTIONS = ("timerange", *BOT_OPTIONS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_freqtrade_options(parser)
    add_pool_options(parser)
    parser.set_defaults(run=run_pretrain)


def run_pretrain(args: argparse.Namespace) -> int:
    """Train what is missing, and say what was done.

    :return: 0 if all models are there, 1 if some failed.
    :raises SettingsError: If the pairs or the cluster cannot be used, or the identifier's models
        were trained with other settings.
    :raises OperationalException: If freqtrade cannot load markets, candles or the strategy.
    """
    started = perf_counter()
    options = {name: value for name, value in vars(args).items() if name in _FREQTRADE_OPTIONS}
    loaded = load_walk_forward(options)
    check_regressor(loaded.strategy)
    with pool_for(loaded, args.jobs, args.ray) as pool:
        account = pretrain(loaded, pool)
    if account.failures:
        print_table("FAILED MODELS", ["Pair", "Predicts", "Error"], map(astuple, account.failures))
    print(
        f"{account.trained} models trained, {account.found} found, "
        f"{len(account.failures)} failed, in {perf_counter() - started:.0f} s"
    )
    return 1 if account.failures else 0


def check_regressor(strategy: Any) -> None:
    """Refuse a prediction model that is not this package's.

    :raises SettingsError: If it is another one.
    """
    if not isinstance(strategy.freqai, LSTMRegressor):
        raise SettingsError(
            f"freqaimodel: must be PyTorchLSTMRegressor or another subclass of "
            f"freqai_lstm.regressor.LSTMRegressor, was {type(strategy.freqai).__name__}"
        )


def pool_for(loaded: WalkForward, jobs: int | None, ray_address: str | None) -> Pool:
    """Return the workers for a walk-forward, with the threads and the device of its settings."""
    settings = loaded.strategy.freqai.settings.model_training_parameters.trainer_kwargs
    gpu = settings.device == "cuda"
    return open_pool(jobs, ray_address, threads=settings.num_threads, gpu=gpu)


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


def missing_tasks(
    windows: Sequence[Window], present: Iterable[Window], continual_learning: bool
) -> list[list[Window]]:
    """Return what is left to train of a pair, in pieces that do not depend on each other.

    :param windows: All windows of the pair, oldest first.
    :param present: Those whose models are there.
    :param continual_learning: Whether each model starts from the one before it. All of them are
        then one piece, and all are trained again if one is missing.
    """
    left = [window for window in windows if window not in set(present)]
    if continual_learning:
        return [list(windows)] if left else []
    return [[window] for window in left]


def pretrain(loaded: WalkForward, pool: Pool) -> Account:
    """Train the missing models of a walk-forward, and put each into the identifier's folder.

    The features of a pair are computed here while the models of others are being trained.

    :return: What was done; a failed model is noted and does not stop the others.
    """
    run = _Pretraining(loaded, pool)
    with get_progress_tracker() as progress:
        bar = progress.add_task("Training", total=sum(map(len, run.plan.values())))
        for task, future in work_off(pool, run.jobs()):
            run.settle(task, future)
            progress.update(bar, completed=run.settled)
        progress.update(bar, completed=run.settled)
    run.account.failures.sort(key=lambda failure: (failure.pair, failure.timerange))
    return run.account


class _Pretraining:
    """One run of :func:`pretrain`."""

    def __init__(self, loaded: WalkForward, pool: Pool) -> None:
        self.loaded = loaded
        self.pool = pool
        regressor = loaded.strategy.freqai
        self.folder = IdentifierFolder(regressor.full_path, regressor.save_backtest_models)
        self.plan = {
            pair: plan_windows(loaded.config, pair)
            for pair in loaded.config["exchange"]["pair_whitelist"]
        }
        self.present: dict[str, list[Window]] = {}
        self.account = Account()

    @property
    def settled(self) -> int:
        """Models of which is known what became of them."""
        return self.account.found + self.account.trained + len(self.account.failures)

    def jobs(self) -> Iterator[Job]:
        """Prepare pair after pair, and yield what is to be trained of it."""
        project = pack_project(self.loaded.config, self.loaded.strategy, self.pool.threads)
        continual_learning: bool = self.loaded.strategy.freqai.continual_learning
        for pair, windows in self.plan.items():
            candles = self.loaded.candles.get(pair)
            if candles is None:
                self._fail(windows, f"no candles of {self.loaded.config['timeframe']}")
                continue
            present = [window for window in windows if self.folder.holds(window, candles["date"])]
            tasks = missing_tasks(windows, present, continual_learning)
            left = [window for task in tasks for window in task]
            self.account.found += len(windows) - len(left)
            self.present[pair] = present
            self.folder.note_newest(present)
            if not tasks:
                continue
            features = self.loaded.features(pair)
            if features is None:
                self._fail(left, "no candles of some include_timeframes, see the log")
                continue
            shared = self.pool.share(features)
            for task in tasks:
                yield Job(task, (walk, project, shared, task))

    def settle(self, task: list[Window], future: "Future[Outcome]") -> None:
        """Store the models of a task and note its failures."""
        error = future.exception()
        if error is not None:
            self._fail(task, KILLED if isinstance(error, BrokenExecutor) else described(error))
            return
        outcome = future.result()
        for window in task:
            artefacts = outcome.artefacts.get(window.model_filename)
            if artefacts is None:
                self._fail([window], outcome.errors[window.model_filename])
                continue
            self.folder.store(window, artefacts)
            self.account.trained += 1
            self.present[task[0].pair].append(window)
        self.folder.note_newest(self.present[task[0].pair])

    def _fail(self, windows: Iterable[Window], error: str) -> None:
        self.account.failures += [
            Failure(window.pair, window.timerange, error) for window in windows
        ]
