"""Write what a finished backtest earned, and how well it predicted.

Writes an HTML page that needs no network, and a JSON file beside it. Takes freqtrade's own options:
use the ones of the backtest.
"""

import argparse
from pathlib import Path

from freqai_lstm.tools.command import add_freqtrade_options, freqai_configuration
from freqai_lstm.tools.report.gather import gather_report
from freqai_lstm.tools.report.page import write_json, write_page
from freqai_lstm.tools.skill import print_skill


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_freqtrade_options(parser)
    parser.add_argument(
        "--backtest-result",
        type=Path,
        metavar="FILE",
        help="freqtrade's result with the trades (the newest that matches in backtest_results)",
    )
    parser.add_argument(
        "--ridge",
        metavar="IDENTIFIER",
        help="of the same backtest with RidgeRegressor, to judge the forecast of returns by",
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
    report = gather_report(config, args.backtest_result, args.ridge)
    name = f"report-{report.identifier}-{report.timerange}.html"
    page = args.output or Path(config["user_data_dir"]) / "plot" / name
    page.parent.mkdir(parents=True, exist_ok=True)
    write_page(report, page)
    write_json(report, page.with_suffix(".json"))
    print_skill(
        {label.label: [pair.predictions for pair in label.pairs] for label in report.labels}
    )
    for verdict in [*report.verdicts, *(one for label in report.labels for one in label.verdicts)]:
        print(verdict.text)
    if isinstance(report.trading, str):
        print(report.trading)
    print(f"Report: {page} and {page.with_suffix('.json').name}")
    return 0
