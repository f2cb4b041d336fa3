"""Train ahead, in parallel, the models that freqtrade backtesting or hyperopt would train in turn.

They and their predictions are left where these commands find them. Models that are there already
are kept.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import astuple, dataclass, field, replace
from itertools import chain
from time import perf_counter
from typing import Any

from freqai_lstm.bridge.folders import Artefacts, IdentifierFolder, Window
from freqai_lstm.bridge.incidents import described
from freqai_lstm.bridge.kitchen import plan_windows
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.settings import SECONDS_PER_DAY
from freqai_lstm.tools.cluster import open_pool
from freqai_lstm.tools.command import (
    BOT_OPTIONS,
    add_freqtrade_options,
    add_pool_options,
    print_table,
)
from freqai_lstm.tools.features import FeatureStore, open_store
from freqai_lstm.tools.loading import WalkForward, load_walk_forward
from freqai_lstm.tools.pool import KILLED, Job, Pool, work_off
from freqai_lstm.tools.progress import WorkBar, work_bar
from freqai_lstm.tools.walk import Outcome, pack_project, walk

# By the names of freqtrade's code; its backtesting takes them.
_FREQTRADE_OPTIONS = ("timerange", *BOT_OPTIONS)
# Windows of a chain that a job trains: a chain can go on elsewhere after so many.
_PIECE = 4


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
    with (
        pool_for(loaded, args.jobs, args.ray) as pool,
        open_store(loaded.config, is_kept=args.cache) as store,
    ):
        account = pretrain(loaded, pool, store)
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


def missing_chains(
    windows: Sequence[Window], present: Iterable[Window], continual_learning: bool
) -> list[list[Window]]:
    """Return what is left to train of a pair, in chains that do not depend on each other.

    :param windows: All windows of the pair, oldest first.
    :param present: Those whose models are there.
    :param continual_learning: Whether each model starts from the one before it.
    """
    there = set(present)
    chains: list[list[Window]] = []
    before: Window | None = None
    for window in windows:
        if window not in there:
            if continual_learning and chains and before == chains[-1][-1]:
                chains[-1].append(window)
            else:
                chains.append([window])
        before = window
    return chains


def pretrain(loaded: WalkForward, pool: Pool, store: FeatureStore) -> Account:
    """Train the missing models of a walk-forward, and put each into the identifier's folder.

    The features of a pair are computed here while the models of others are being trained.

    :return: What was done; a failed model is noted and does not stop the others.
    """
    run = _Pretraining(loaded, pool, store)
    with work_bar("Training", sum(map(len, run.plan.values())), run.work) as bar:
        run.bar = bar
        for piece, future in work_off(pool, run):
            run.settle(piece, future)
    run.account.failures.sort(key=lambda failure: (failure.pair, failure.timerange))
    return run.account


@dataclass
class _Chain:
    """Windows of a pair that are trained one after the other.

    :ivar left: Those that no job has yet.
    """

    left: list[Window]
    features: Any


@dataclass(frozen=True)
class _Piece:
    """What one job trains of a chain."""

    chain: _Chain
    windows: list[Window]


class _Pretraining:
    """One run of :func:`pretrain`: gives the jobs that can run, and takes what comes of them.

    Pairs are begun first, and then the longest chain goes on, so that all end at the same time.
    """

    bar: WorkBar

    def __init__(self, loaded: WalkForward, pool: Pool, store: FeatureStore) -> None:
        self.loaded, self.pool, self.store = loaded, pool, store
        self.regressor = regressor = loaded.strategy.freqai
        self.folder = IdentifierFolder(regressor.full_path, regressor.save_backtest_models)
        self.plan = {
            pair: plan_windows(loaded.config, pair)
            for pair in loaded.config["exchange"]["pair_whitelist"]
        }
        self.work = sum(map(self._work, chain.from_iterable(self.plan.values())))
        self.project = pack_project(loaded.config, loaded.strategy, pool.threads)
        self.present: dict[str, list[Window]] = {}
        self.account = Account()
        self._pairs = iter(self.plan.items())
        self._waiting: list[_Chain] = []

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        """Give a job that may run now; after the last one there may be more."""
        while (begun := next(self._pairs, None)) is not None:
            if chains := self._begin(*begun):
                self._waiting += chains
                return self._job(chains[0])
        if not self._waiting:
            raise StopIteration
        return self._job(max(self._waiting, key=lambda chain: len(chain.left)))

    def _begin(self, pair: str, windows: list[Window]) -> list[_Chain]:
        """Prepare a pair, and return what is to be trained of it."""
        candles = self.loaded.candles.get(pair)
        if candles is None:
            self._advance(windows)
            self._fail(windows, f"no candles of {self.loaded.config['timeframe']}")
            return []
        present = [window for window in windows if self.folder.holds(window, candles["date"])]
        chains = missing_chains(windows, present, self.regressor.continual_learning)
        self.present[pair] = present
        self.folder.note_newest(present)
        self.account.found += len(present)
        self._advance(present)
        if not chains:
            return []
        features = self.store.features(self.loaded, pair)
        if features is None:
            left = [*chain.from_iterable(chains)]
            self._advance(left)
            self._fail(left, "no candles of some include_timeframes, see the log")
            return []
        shared = self.pool.share(features)
        return [_Chain(windows, shared) for windows in chains]

    def _job(self, chosen: _Chain) -> Job:
        """Take the next windows of a chain, which waits until they are trained."""
        self._waiting.remove(chosen)
        windows, chosen.left = chosen.left[:_PIECE], chosen.left[_PIECE:]
        previous = self._before(windows[0]) if self.regressor.continual_learning else None
        call = (walk, self.project, chosen.features, windows, None, previous)
        return Job(_Piece(chosen, windows), call)

    def _before(self, window: Window) -> tuple[Window, Artefacts] | None:
        """Return the model of the window before, if there is one."""
        period = int(self.loaded.config["freqai"]["backtest_period_days"] * SECONDS_PER_DAY)
        before = replace(window, start=window.start - period, stop=window.start)
        network = self.folder.network(before)
        return None if network is None else (before, network)

    def _work(self, window: Window) -> float:
        """Return how long a window takes, in epochs over a training period."""
        settings = self.regressor.settings
        training = settings.model_training_parameters.trainer_kwargs
        first = window == self.plan[window.pair][0]
        if first or not settings.continual_learning or training.n_epochs is None:
            return training.n_epochs or 1
        unseen = settings.backtest_period_days / settings.train_period_days
        # What is not training takes about half an epoch.
        return 0.5 + training.warm_start_epochs * unseen

    def _advance(self, windows: Sequence[Window]) -> None:
        self.bar.advance(len(windows), sum(map(self._work, windows)))

    def settle(self, piece: _Piece, future: "Future[Outcome]") -> None:
        """Store the models of a piece and note its failures; its chain can go on."""
        self._advance(piece.windows)
        error = future.exception()
        if error is not None:
            self._fail(
                piece.windows, KILLED if isinstance(error, BrokenExecutor) else described(error)
            )
        else:
            self._store(piece.windows, future.result())
        if piece.chain.left:
            self._waiting.append(piece.chain)

    def _store(self, windows: Sequence[Window], outcome: Outcome) -> None:
        present = self.present[windows[0].pair]
        for window in windows:
            artefacts = outcome.artefacts.get(window.model_filename)
            if artefacts is None:
                self._fail([window], outcome.errors[window.model_filename])
                continue
            self.folder.store(window, artefacts)
            self.account.trained += 1
            present.append(window)
        self.folder.note_newest(present)

    def _fail(self, windows: Iterable[Window], error: str) -> None:
        self.account.failures += [
            Failure(window.pair, window.timerange, error) for window in windows
        ]
