"""The command line of the pretraining."""

import argparse
import logging
from time import perf_counter
from typing import Any

import joblib

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.freqtrade_options import add_freqtrade_options
from freqai_lstm.pretrain.batch import BatchWorkers
from freqai_lstm.pretrain.cluster import RayWorkers
from freqai_lstm.pretrain.features import WalkForward, load_walk_forward
from freqai_lstm.pretrain.project import pack_project
from freqai_lstm.pretrain.run import Account, pretrain
from freqai_lstm.pretrain.workers import LocalWorkers, Workers
from freqai_lstm.tables import print_table

logger = logging.getLogger(__name__)

# By the names of freqtrade's code; its backtesting takes them.
_FREQTRADE_OPTIONS = ("config", "timerange", "pairs", "datadir", "user_data_dir")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``pretrain``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Train in parallel the models that freqtrade backtesting or hyperopt would train one "
        "after another, and leave them and their predictions where these commands find them. "
        "Models that are there already are kept."
    )
    add_freqtrade_options(parser)
    parser.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="worker processes (one for each core)"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="train on the Ray cluster at this address; 'local' starts one on this machine",
    )
    parser.add_argument(
        "--batch-models",
        type=int,
        metavar="N",
        help="train N models together in this process, for a GPU; not with --jobs or --ray",
    )
    parser.set_defaults(run=run_pretrain)


def run_pretrain(args: argparse.Namespace) -> int:
    """Train what is missing, and say what was done.

    :return: 0 if all models are there, 1 if some failed.
    :raises SettingsError: If an option or the pairs cannot be used, or the identifier's models were
        trained with other settings.
    :raises OperationalException: If freqtrade cannot load markets, candles or the strategy.
    """
    for name, value in (("--jobs", args.jobs), ("--batch-models", args.batch_models)):
        if value is not None and value < 1:
            raise SettingsError(f"{name}: must be at least 1, was {value}")
    if args.batch_models is not None and (args.jobs is not None or args.ray is not None):
        raise SettingsError("--batch-models: must be given without --jobs and --ray, was not")
    started = perf_counter()
    options = {name: value for name, value in vars(args).items() if name in _FREQTRADE_OPTIONS}
    walk = load_walk_forward(options)
    with make_workers(walk, args.jobs, args.ray, args.batch_models) as workers:
        account = pretrain(walk, workers)
    _report(account, perf_counter() - started)
    return 1 if account.failures else 0


def make_workers(
    walk: WalkForward,
    jobs: int | None = None,
    ray_address: str | None = None,
    batch_models: int | None = None,
) -> Workers:
    """Return the workers for a walk-forward.

    :param walk: The strategy and its regressor.
    :param jobs: Worker processes; as many as there are cores for if omitted.
    :param ray_address: A Ray cluster's address; processes on this machine if omitted.
    :param batch_models: Models to train together in this process, if any.
    :raises SettingsError: If the Ray cluster cannot be used, or the models of a batch would need
        each other.
    """
    settings = walk.strategy.freqai.settings.model_training_parameters.trainer_kwargs
    threads = settings.num_threads
    if batch_models is not None:
        if walk.strategy.freqai.continual_learning:
            raise SettingsError(
                "freqai.continual_learning: must be false with --batch-models, since each model "
                "would need the one before it, was true"
            )
        return BatchWorkers(pack_project(walk.config, walk.strategy, threads), batch_models)
    if ray_address is not None:
        project = pack_project(walk.config, walk.strategy, threads)
        return RayWorkers(project, ray_address, jobs, threads, gpu=settings.device == "cuda")
    cores = joblib.cpu_count()
    jobs = jobs or max(cores // threads, 1)
    if jobs * threads > cores:
        threads = max(cores // jobs, 1)
    if threads < settings.num_threads:
        logger.warning(
            f"trainer_kwargs.num_threads: {threads} instead of {settings.num_threads}, since "
            f"{jobs} workers share {cores} cores"
        )
    return LocalWorkers(pack_project(walk.config, walk.strategy, threads), jobs, threads)


def _report(account: Account, seconds: float) -> None:
    if account.failures:
        rows: list[list[Any]] = [
            [failure.pair, failure.timerange, failure.error] for failure in account.failures
        ]
        print_table("FAILED MODELS", ["Pair", "Predicts", "Error"], rows)
    print(
        f"{account.trained} models trained, {account.found} found, "
        f"{len(account.failures)} failed, in {seconds:.0f} s"
    )
