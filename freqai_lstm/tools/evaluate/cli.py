"""Train and predict with several models of FreqAI, and compare what they know of the score.

All get the same candles, windows, features and labels, and are compared with persistence. Needs
candles on disk and no exchange. Finished runs are kept in models/evaluate-*, so that an interrupted
comparison goes on where it was.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freqtrade.exchange import timeframe_to_seconds
from freqtrade.util import get_progress_tracker

from freqai_lstm.files import replacing
from freqai_lstm.settings import read_settings
from freqai_lstm.tools import command
from freqai_lstm.tools.candles import closed_timerange
from freqai_lstm.tools.cluster import open_pool
from freqai_lstm.tools.evaluate import plan
from freqai_lstm.tools.evaluate.comparison import FIGURES, Row, Spread, compare
from freqai_lstm.tools.evaluate.runs import Runner, finished, keep
from freqai_lstm.tools.pool import work_off
from freqai_lstm.tools.statistics import plain

_HEADERS = (
    *("h", "Pair", "Model", "Correlation", "Gain", "Of a window", "R2"),
    *("Sign accuracy", "Rank IC score", "Rank IC return"),
)
_NOTE = """\
Mean ± standard deviation over seeds, on the candles that all models predicted. Gain: correlation
less that of persistence (the present score taken as the forecast) ± Newey-West standard error.
Of a window: mean of the correlations within each training window, since one with wild prices can
decide that over all.
Rank IC: rank correlation of the predicted score, and of the return head, with the return of the
next h candles. FreqAI's own Transformer puts each of its predictions one row late and predicts 0
for the first conv_width rows of a window; it is compared as it comes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_freqtrade_options(parser)
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help="lstm, lightgbm, transformer (all)"
    )
    parser.add_argument(
        "--candidates",
        type=Path,
        metavar="FILE",
        help="JSON with further models by name: freqaimodel, model_training_parameters, conv_width",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N")
    parser.add_argument("--horizons", nargs="+", type=int, default=[1, 4, 12], metavar="H")
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

    :raises SettingsError: If the configuration, the timerange or the candidates are wrong.
    :raises SkillError: If a training fails.
    """
    config = command.freqai_configuration({**vars(args), "output": None})
    closed_timerange(args.timerange)
    known = plan.default_candidates(config["freqai"])
    if args.candidates:
        known |= plan.read_candidates(args.candidates)
    candidates = plan.choose_candidates(known, args.models)
    for horizon in args.horizons:
        features = config["freqai"]["feature_parameters"] | {"label_period_candles": horizon}
        section = config["freqai"] | {"feature_parameters": features}
        read_settings(section, timeframe_to_seconds(config["timeframe"]))
    output = args.output or (
        Path(config["user_data_dir"]) / "evaluate" / f"evaluation-{args.timerange}.json"
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    sub_runs = plan.plan_sub_runs(config, candidates, args.seeds, args.horizons)
    costs = _run_all(sub_runs, args, output.with_suffix(".log"))
    rows = compare(sub_runs)
    command.print_table(
        f"WALK-FORWARD COMPARISON, {args.timerange}", _HEADERS, [_cells(row) for row in rows]
    )
    print(_NOTE)
    seconds = {candidate.name: _core_seconds(candidate, costs) for candidate in candidates}
    for name, cost in seconds.items():
        print(f"{name}: {cost:.1f} s of a core for a training")
    content = {
        "timerange": args.timerange,
        "seeds": args.seeds,
        "models": {candidate.name: candidate for candidate in candidates},
        "core_seconds_per_training": seconds,
        "rows": rows,
    }
    with replacing(output) as temporary:
        temporary.write_text(json.dumps(plain(content), indent=2) + "\n", encoding="utf-8")
    print(f"Figures: {output}")
    return 0


def _run_all(
    sub_runs: Sequence[plan.SubRun], args: argparse.Namespace, log: Path
) -> list[tuple[plan.SubRun, dict[str, float]]]:
    """Run what is not finished, with a progress bar, and return each run with what it cost."""
    known = [(run, finished(run)) for run in sub_runs]
    costs = [(run, cost) for run, cost in known if cost is not None]
    left = [run for run, cost in known if cost is None]
    if not left:
        return costs
    with open_pool(args.jobs, args.ray, log=log) as pool, get_progress_tracker() as progress:
        bar = progress.add_task("Walking forward", total=len(sub_runs), completed=len(costs))
        runner = Runner(pool)
        for run, future in work_off(pool, map(runner.job, left)):
            costs.append((run, keep(run, future)))
            progress.update(bar, advance=1)
    return costs


def _core_seconds(
    candidate: plan.Candidate, costs: list[tuple[plan.SubRun, dict[str, float]]]
) -> float:
    own = [cost for sub_run, cost in costs if sub_run.candidate == candidate.name]
    return sum(cost["core_seconds"] for cost in own) / sum(cost["trainings"] for cost in own)


def _cells(row: Row) -> list[Any]:
    gain = f"{row.gain.value:.3f} ± {row.gain.standard_error:.3f}"
    return [
        row.horizon,
        row.pair,
        row.model,
        _cell(row.figures["correlation"]),
        "-" if math.isnan(row.gain.standard_error) else gain,
        *(_cell(row.figures[name]) for name in FIGURES[1:]),
    ]


def _cell(spread: Spread) -> str:
    if math.isnan(spread.mean):
        return "-"
    return f"{spread.mean:.3f}" + ("" if math.isnan(spread.std) else f" ± {spread.std:.3f}")
