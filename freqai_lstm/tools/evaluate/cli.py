"""Train and predict with several models of FreqAI, and compare what they know of the labels.

All get the same candles, windows, features and labels, and are compared with persistence, or of
classes with base rates. Needs candles on disk and no exchange. Finished runs are kept in
models/evaluate-*, so that an interrupted comparison goes on where it was.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freqtrade.exchange import timeframe_to_seconds
from freqtrade.util import get_progress_tracker

from freqai_lstm.bridge.configuration import read_ridge_settings, read_settings
from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.files import replacing
from freqai_lstm.tools import command
from freqai_lstm.tools.candles import closed_timerange
from freqai_lstm.tools.cluster import open_pool
from freqai_lstm.tools.evaluate import plan
from freqai_lstm.tools.evaluate.comparison import compare
from freqai_lstm.tools.evaluate.runs import Runner, finished, keep
from freqai_lstm.tools.evaluate.tables import print_comparison
from freqai_lstm.tools.features import open_store
from freqai_lstm.tools.pool import work_off
from freqai_lstm.tools.predictions import asked_for
from freqai_lstm.tools.statistics import plain
from freqai_lstm.tools.truths import sample_labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_freqtrade_options(parser)
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help="lstm, ridge, lightgbm, transformer (all)"
    )
    parser.add_argument(
        "--candidates",
        type=Path,
        metavar="FILE",
        help="JSON with further models by name: freqaimodel, model_training_parameters, conv_width",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N")
    parser.add_argument(
        "--horizons",
        nargs="+",
        type=int,
        metavar="H",
        help="label_period_candles to try (the configured one; 1 4 12 where that is 0)",
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="NAME",
        help="show these labels (all, or the score in place of its components); the JSON has all",
    )
    command.add_pool_options(parser, jobs=1)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="JSON with all figures (evaluate/evaluation-TIMERANGE.json in the user directory)",
    )
    parser.set_defaults(run=run_evaluate)


def run_evaluate(args: argparse.Namespace) -> int:
    """Run what is not finished yet, print the table and write the figures.

    :raises SettingsError: If the configuration, the timerange, the candidates, the labels or the
        output are wrong.
    :raises SkillError: If a training fails.
    """
    config = command.freqai_configuration({**vars(args), "output": None})
    output = args.output or (
        Path(config["user_data_dir"]) / "evaluate" / f"evaluation-{args.timerange}.json"
    )
    if args.candidates and output.resolve() == args.candidates.resolve():
        raise SettingsError(f"--output: must be another file than --candidates, was {output} too")
    closed_timerange(args.timerange)
    strategy = load_labelling_strategy(config)
    labels = sample_labels(strategy, config)
    if unknown := sorted(set(args.labels or ()) - set(labels)):
        raise SettingsError(f"--labels: must be of {', '.join(labels)}, was {', '.join(unknown)}")
    known = plan.default_candidates(config, is_of_classes=bool(strategy.freqai.class_names))
    if args.candidates:
        known |= plan.read_candidates(args.candidates)
    candidates = plan.choose_candidates(known, args.models)
    configured = config["freqai"]["feature_parameters"].get("label_period_candles", 0)
    horizons = args.horizons or ([configured] if configured else [1, 4, 12])
    _check_settings(config, candidates, horizons)
    output.parent.mkdir(parents=True, exist_ok=True)
    sub_runs = plan.plan_sub_runs(config, candidates, args.seeds, horizons)
    costs = _run_all(sub_runs, args, output.with_suffix(".log"))
    comparison = compare(sub_runs)
    information = comparison.information()
    shown = args.labels or asked_for(row.label for row in comparison.rows)
    print_comparison(comparison.rows, information, shown, args.timerange)
    seconds = {candidate.name: _core_seconds(candidate, costs) for candidate in candidates}
    for name, cost in seconds.items():
        print(f"{name}: {cost:.1f} s of a core for a training")
    content = {
        "timerange": args.timerange,
        "seeds": args.seeds,
        "models": {candidate.name: candidate for candidate in candidates},
        "core_seconds_per_training": seconds,
        "rows": comparison.rows,
        "information": information,
    }
    with replacing(output) as temporary:
        temporary.write_text(json.dumps(plain(content), indent=2) + "\n", encoding="utf-8")
    print(f"Figures: {output}")
    return 0


def _check_settings(
    config: dict[str, Any], candidates: Sequence[plan.Candidate], horizons: Sequence[int]
) -> None:
    """Refuse settings of this package's models, before anything is trained.

    :raises SettingsError: If there are problems.
    """
    for candidate, horizon in itertools.product(candidates, horizons):
        if candidate.freqaimodel == plan.RIDGE:
            read_ridge_settings(candidate.parameters)
        if candidate.freqaimodel in plan.OWN:
            features = config["freqai"]["feature_parameters"] | {"label_period_candles": horizon}
            section = config["freqai"] | {
                "feature_parameters": features,
                "model_training_parameters": candidate.parameters,
            }
            read_settings(section, timeframe_to_seconds(config["timeframe"]))


def _run_all(
    sub_runs: Sequence[plan.SubRun], args: argparse.Namespace, log: Path
) -> list[tuple[plan.SubRun, dict[str, float]]]:
    """Run what is not finished, with a progress bar, and return each run with what it cost."""
    known = [(run, finished(run)) for run in sub_runs]
    costs = [(run, cost) for run, cost in known if cost is not None]
    left = [run for run, cost in known if cost is None]
    if not left:
        return costs
    with (
        open_pool(args.jobs, args.ray, log=log) as pool,
        open_store(left[0].config, is_kept=args.cache) as store,
        get_progress_tracker() as progress,
    ):
        bar = progress.add_task("Walking forward", total=len(sub_runs), completed=len(costs))
        runner = Runner(pool, store)
        # What takes longest comes first, so that no process ends with it alone.
        left.sort(key=lambda run: run.config["freqaimodel"] in plan.OWN)
        for run, future in work_off(pool, map(runner.job, left)):
            costs.append((run, keep(run, future)))
            progress.update(bar, advance=1)
    return costs


def _core_seconds(
    candidate: plan.Candidate, costs: list[tuple[plan.SubRun, dict[str, float]]]
) -> float:
    own = [cost for sub_run, cost in costs if sub_run.candidate == candidate.name]
    return sum(cost["core_seconds"] for cost in own) / sum(cost["trainings"] for cost in own)
