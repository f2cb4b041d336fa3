"""The command line of the search."""

import argparse
import json
import os
import re
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any

import optuna
from freqtrade.util import get_progress_tracker
from optuna.trial import FrozenTrial, TrialState

from freqai_lstm.evaluate.walk import prepare_worker
from freqai_lstm.exceptions import SettingsError, SkillError
from freqai_lstm.freqtrade_options import add_freqtrade_options, freqai_configuration
from freqai_lstm.tables import print_table
from freqai_lstm.tune.objective import WalkForwardObjective
from freqai_lstm.tune.plan import OBJECTIVES, TuningPlan
from freqai_lstm.tune.space import NAMES, overlay, search_space
from freqai_lstm.tune.study import FINISHED, open_study, remove_runs, study_file

_SHOWN = 10
_NOTE = """\
Objective: mean over pairs and seeds ± standard deviation over seeds. Gain: correlation less that of
persistence (the present score taken as the forecast) ± Newey-West standard error. The best of many
trials is partly luck: judge it on candles that the search has not seen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tune``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Search parameters of the network and of its training for the best skill out of sample, "
        "walk-forward over the timerange. Needs candles on disk and no exchange. The study is "
        "kept in tune/NAME.sqlite3 of the user directory: the same command goes on where it was "
        "stopped or killed. Choose a timerange that you will not judge the model on."
    )
    add_freqtrade_options(parser)
    parser.add_argument("--name", default="study", metavar="NAME", help="(%(default)s)")
    parser.add_argument(
        "--trials",
        type=_positive,
        default=50,
        metavar="N",
        help="trials that the study has in the end (%(default)s)",
    )
    parser.add_argument(
        "--objective",
        choices=list(OBJECTIVES),
        default="correlation",
        help=(
            "correlation of the predicted with the true score, or rank correlation of the return "
            "head with the return (%(default)s)"
        ),
    )
    parser.add_argument(
        "--parameters", nargs="+", metavar="NAME", help=f"only these of: {', '.join(NAMES)}"
    )
    parser.add_argument(
        "--train-period-days",
        nargs=2,
        type=int,
        metavar=("MIN", "MAX"),
        help="search the training period as well",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1], metavar="N", help="train with each (1)"
    )
    parser.add_argument(
        "-j", "--jobs", type=_positive, default=1, metavar="N", help="(%(default)s)"
    )
    parser.set_defaults(run=run_tune)


def run_tune(args: argparse.Namespace) -> int:
    """Run the trials that are missing, and print the best ones and what to configure.

    :return: 0, or 1 if no trial could be finished.
    :raises SettingsError: If something asked for cannot be searched.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", args.name):
        raise SettingsError(f"--name: must be of letters, digits, - and _, was {args.name!r}")
    options = vars(args) | dict.fromkeys(("name", "trials", "objective", "parameters"))
    space = search_space(args.parameters, args.train_period_days)
    plan = TuningPlan(args.name, freqai_configuration(options), args.objective, args.seeds, space)
    plan.check()
    with open_study(plan) as study:
        _search(plan, study, args.trials, args.jobs)
        return _show(plan, study)


def _search(plan: TuningPlan, study: optuna.Study, trials: int, jobs: int) -> None:
    """Run trials until the study has enough, with a progress bar over their runs."""
    finished = len(study.get_trials(states=FINISHED))
    if finished >= trials:
        return
    # Read by the libraries of the processes to come.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    log = str(study_file(plan).with_suffix(".log"))
    runs = len(plan.pairs) * len(plan.seeds)
    with ExitStack() as stack:
        pool = stack.enter_context(
            ProcessPoolExecutor(
                jobs, mp_context=get_context("spawn"), initializer=prepare_worker, initargs=(log,)
            )
        )
        progress = stack.enter_context(get_progress_tracker())
        task = progress.add_task("Tuning", total=trials * runs, completed=finished * runs)
        objective = WalkForwardObjective(
            plan, pool, lambda done: progress.update(task, advance=done)
        )
        # Optuna warns of configured values out of the range that it looks for others in.
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="Fixed parameter", category=UserWarning)
        try:
            study.optimize(
                objective,
                n_trials=trials - finished,
                n_jobs=jobs,
                catch=SkillError,
                callbacks=[lambda _, trial: remove_runs(plan, str(trial.number))],
            )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _show(plan: TuningPlan, study: optuna.Study) -> int:
    """Print the best trials, what became of the others, and the configuration of the best."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    failed = [
        trial
        for trial in study.get_trials(states=(TrialState.FAIL,))
        if "failure" in trial.user_attrs
    ]
    for trial in failed[:3]:
        print(f"Trial {trial.number} failed: {trial.user_attrs['failure']}")
    if not complete:
        print(f"No trial was finished. Log: {study_file(plan).with_suffix('.log')}")
        return 1
    complete.sort(key=lambda trial: -trial.values[0])
    best = complete[:_SHOWN]
    best += [trial for trial in complete[_SHOWN:] if "configured" in trial.user_attrs]
    names = [parameter.name for parameter in plan.space]
    print_table(
        f"{plan.objective.upper()} {plan.horizon} CANDLE(S) AHEAD, {plan.tuned_on}",
        ("Trial", "Objective", "Pairs", "Gain", *names),
        [_cells(trial, names) for trial in best],
    )
    print(_NOTE)
    pruned = len(study.get_trials(states=(TrialState.PRUNED,)))
    print(
        f"{len(complete)} trials finished, {pruned} given up early, {len(failed)} failed. "
        f"Persistence: {complete[0].user_attrs['persistence']:.3f}. Study: {study_file(plan)}"
    )
    identifier = f"{plan.config['freqai']['identifier']}-{plan.name}"
    found = overlay(identifier, plan.tuned_on, plan.space, complete[0].params)
    print("The best trial, to put into the configuration or a file of its own:\n")
    print(json.dumps(found, indent=4))
    return 0


def _cells(trial: FrozenTrial, names: Sequence[str]) -> list[Any]:
    attributes = trial.user_attrs
    pairs = attributes["pairs"].values()
    spread = attributes["seed_std"]
    gain, error = attributes["gain"], attributes["gain_error"]
    return [
        f"{trial.number}{' (as configured)' if 'configured' in attributes else ''}",
        f"{trial.values[0]:.3f}" + ("" if spread is None else f" ± {spread:.3f}"),
        f"{min(pairs):.3f} .. {max(pairs):.3f}",
        "-" if gain is None or error is None else f"{gain:.3f} ± {error:.3f}",
        *(f"{trial.params[name]:.3g}" for name in names),
    ]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, was {number}")
    return number
