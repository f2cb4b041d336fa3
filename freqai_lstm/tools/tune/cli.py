"""Search parameters of the network and of its training for the best skill out of sample.

Walks forward over the timerange. Needs candles on disk and no exchange. The study is kept in
tune/NAME.sqlite3 of the user directory: the same command goes on where it was stopped or killed.
Choose a timerange that you will not judge the model on.
"""

import argparse
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from freqtrade.util import get_progress_tracker
from optuna.trial import FrozenTrial, TrialState

from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.score import RETURN_LABEL
from freqai_lstm.tools import command
from freqai_lstm.tools.cluster import open_pool
from freqai_lstm.tools.features import open_store
from freqai_lstm.tools.truths import sample_labels
from freqai_lstm.tools.tune.plan import NAMES, OBJECTIVES, USUAL, TuningPlan, overlay, search_space
from freqai_lstm.tools.tune.study import FINISHED, Search, open_study, study_file
from freqai_lstm.tools.tune.windows import search_luck

_SHOWN = 10
_NOTE = """\
Objective: mean over pairs and seeds ± standard deviation over seeds. Gain: correlation less that of
persistence (the newest known label taken as the forecast), or of classes what is saved of the base
rates' log loss, ± Newey-West standard error. The best of many trials is partly luck: judge it on
candles that the search has not seen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_freqtrade_options(parser)
    parser.add_argument("--name", default="study", metavar="NAME", help="(%(default)s)")
    parser.add_argument(
        "--trials",
        type=command.positive,
        default=50,
        metavar="N",
        help="trials that the study has in the end (%(default)s)",
    )
    parser.add_argument(
        "--label", metavar="NAME", help="the label that counts (the score, or the first one)"
    )
    parser.add_argument(
        "--objective",
        choices=list(OBJECTIVES),
        help=(
            "correlation of the predicted with the true label, rank correlation of the return head "
            "with the return, or log loss of classes (correlation, of classes log-loss)"
        ),
    )
    parser.add_argument(
        "--parameters",
        nargs="+",
        default=USUAL,
        metavar="NAME",
        help=f"of: {', '.join(NAMES)} (the first {len(USUAL)})",
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
    command.add_pool_options(parser, jobs=1)
    parser.set_defaults(run=run_tune)


def run_tune(args: argparse.Namespace) -> int:
    """Run the trials that are missing, and print the best ones and what to configure.

    :return: 0, or 1 if no trial could be finished.
    :raises SettingsError: If something asked for cannot be searched.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", args.name):
        raise SettingsError(f"--name: must be of letters, digits, - and _, was {args.name!r}")
    options = vars(args) | dict.fromkeys(("name", "trials", "label", "objective", "parameters"))
    config = command.freqai_configuration(options)
    label, objective = _aim(config, args.label, args.objective)
    learned = RETURN_LABEL if objective == "return-rank-ic" else label
    space = search_space(args.parameters, args.train_period_days, learned)
    plan = TuningPlan(args.name, config, label, objective, args.seeds, space)
    plan.check()
    with open_study(plan) as study:
        _search(plan, study, args)
        return _show(plan, study)


def _aim(config: Mapping[str, Any], label: str | None, objective: str | None) -> tuple[str, str]:
    """Return the label that counts, and what is searched of it.

    :raises SettingsError: If there is no such label, or the objective is not one of its kind.
    """
    strategy = load_labelling_strategy(config)
    labels = sample_labels(strategy, config)
    if label is not None and label not in labels:
        raise SettingsError(f"--label: must be one of {', '.join(labels)}, was {label!r}")
    of_classes = bool(strategy.freqai.class_names)
    usual = "log-loss" if of_classes else "correlation"
    if objective is not None and (objective == "log-loss") != of_classes:
        kind = "a label of classes" if of_classes else "a label that is a number"
        raise SettingsError(f"--objective: must be {usual} for {kind}, was {objective!r}")
    return label or labels[0], objective or usual


def _search(plan: TuningPlan, study: optuna.Study, args: argparse.Namespace) -> None:
    """Run trials until the study has enough, with a progress bar over their runs."""
    finished = len(study.get_trials(states=FINISHED))
    if finished >= args.trials:
        return
    log, runs = study_file(plan).with_suffix(".log"), len(plan.pairs) * len(plan.seeds)
    with (
        open_pool(args.jobs, args.ray, log=log) as pool,
        open_store(plan.config, is_kept=args.cache) as store,
        get_progress_tracker() as progress,
        warnings.catch_warnings(),
    ):
        # Optuna warns of configured values out of the range that it looks for others in.
        warnings.filterwarnings("ignore", message="Fixed parameter", category=UserWarning)
        bar = progress.add_task("Tuning", total=args.trials * runs, completed=finished * runs)
        search = Search(
            plan, study, pool, store, args.jobs, lambda done: progress.update(bar, advance=done)
        )
        search.run(args.trials - finished)


def _show(plan: TuningPlan, study: optuna.Study) -> int:
    """Print the best trials, what became of the others, and the configuration of the best."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    ended = study.get_trials(states=(TrialState.FAIL,))
    failed = [trial for trial in ended if "failure" in trial.user_attrs]
    for trial in failed[:3]:
        print(f"Trial {trial.number} failed: {trial.user_attrs['failure']}")
    if not complete:
        print(f"No trial was finished. Log: {study_file(plan).with_suffix('.log')}")
        return 1
    complete.sort(key=lambda trial: -trial.values[0])
    best = complete[:_SHOWN]
    best += [trial for trial in complete[_SHOWN:] if "configured" in trial.user_attrs]
    names = [parameter.name for parameter in plan.space]
    command.print_table(
        f"{plan.objective.upper()} OF {plan.label}, {plan.tuned_on}",
        ("Trial", "Objective", "Pairs", "Gain", *names),
        [_cells(trial, names) for trial in best],
    )
    print(_NOTE)
    pruned = len(study.get_trials(states=(TrialState.PRUNED,)))
    print(
        f"{len(complete)} trials finished, {pruned} given up early, {len(failed)} failed. "
        f"{_yardstick(complete[0])}. Study: {study_file(plan)}"
    )
    if (luck := search_luck(complete, pruned)) is not None:
        print(*luck.sentences("trial", "training window"), sep="\n")
    identifier = f"{plan.config['freqai']['identifier']}-{plan.name}"
    found = overlay(identifier, plan.tuned_on, plan.space, complete[0].params)
    print("The best trial, to put into the configuration or a file of its own:\n")
    print(json.dumps(found, indent=4))
    return 0


def _yardstick(trial: FrozenTrial) -> str:
    known = trial.user_attrs
    name, value = known.get("yardstick", "persistence"), known["persistence"]
    return f"{name.capitalize()}: {'-' if value is None else f'{value:.3f}'}"


def _cells(trial: FrozenTrial, names: Sequence[str]) -> list[Any]:
    attributes = trial.user_attrs
    pairs = attributes["pairs"].values()
    spread, gain, error = (attributes[name] for name in ("seed_std", "gain", "gain_error"))
    return [
        f"{trial.number}{' (as configured)' if 'configured' in attributes else ''}",
        f"{trial.values[0]:.3f}" + ("" if spread is None else f" ± {spread:.3f}"),
        f"{min(pairs):.3f} .. {max(pairs):.3f}",
        "-" if gain is None or error is None else f"{gain:.3f} ± {error:.3f}",
        *(f"{trial.params[name]:.3g}" for name in names),
    ]
