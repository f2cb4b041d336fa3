"""The command line of the report."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freqai_lstm.freqtrade_options import add_freqtrade_options, freqai_configuration
from freqai_lstm.report.backtest import gather_report
from freqai_lstm.report.json_file import write_json
from freqai_lstm.report.page import write_page
from freqai_lstm.report.skill import Skill, backtest_skill, pair_skill
from freqai_lstm.tables import print_table

_HEADERS = (
    "Pair",
    "Trainings",
    "Candles",
    "Predicted [%]",
    "Correlation",
    "R2",
    "Sign accuracy [%]",
    "Persistence",
)


def add_skill_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``skill``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Compare the predictions that a finished backtest left in its identifier's folder with "
        "the true score of the same candles. Takes freqtrade's own options: use the ones of "
        "the backtest."
    )
    add_freqtrade_options(parser)
    parser.set_defaults(run=run_skill)


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``report``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Write an HTML page that needs no network, and a JSON file beside it, on how well a "
        "finished backtest predicted and what it traded. Takes freqtrade's own options: use "
        "the ones of the backtest."
    )
    add_freqtrade_options(parser)
    parser.add_argument(
        "--backtest-result",
        type=Path,
        metavar="FILE",
        help="freqtrade's result with the trades (the newest in backtest_results)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the page; the JSON file gets its name (plot/report-IDENTIFIER-TIMERANGE.html)",
    )
    parser.set_defaults(run=run_report)


def run_report(args: argparse.Namespace) -> int:
    """Write the page and the JSON file, and print the skill, the verdicts and where they are.

    :raises SkillError: If the backtest left no predictions, or the given result is of another one.
    """
    config = freqai_configuration({**vars(args), "backtest_result": None, "output": None})
    report = gather_report(config, args.backtest_result)
    name = f"report-{report.identifier}-{report.timerange}.html"
    page = args.output or Path(config["user_data_dir"]) / "plot" / name
    page.parent.mkdir(parents=True, exist_ok=True)
    write_page(report, page)
    write_json(report, page.with_suffix(".json"))
    _print_skill([pair_skill(pair.predictions) for pair in report.pairs], report.horizon)
    for verdict in report.verdicts:
        print(verdict.text)
    print(f"Report: {page} and {page.with_suffix('.json').name}")
    return 0


def run_skill(args: argparse.Namespace) -> int:
    """Print a table of every pair's skill.

    :raises SkillError: If the backtest left no predictions.
    """
    config = freqai_configuration(vars(args))
    horizon = config["freqai"]["feature_parameters"].get("label_period_candles", 0)
    _print_skill(backtest_skill(config), horizon)
    return 0


def _print_skill(skills: Sequence[Skill], horizon: int) -> None:
    ahead = f"{horizon} candle(s) ahead" if horizon else "of the present candle"
    print_table(
        f"SKILL OUT OF SAMPLE: predicted against true score {ahead}",
        _HEADERS,
        [_row(skill) for skill in skills],
    )


def _row(skill: Skill) -> list[Any]:
    return [
        skill.pair,
        skill.windows,
        skill.candles,
        f"{100 * skill.predicted_share:.1f}",
        f"{skill.correlation:.3f}",
        f"{skill.r_squared:.3f}",
        f"{100 * skill.sign_accuracy:.1f}",
        f"{skill.persistence:.3f}",
    ]
