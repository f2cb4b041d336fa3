"""The command line of the parity check."""

import argparse
from typing import Any

from freqai_lstm.freqtrade_options import add_bot_options, freqai_configuration
from freqai_lstm.incidents import INCIDENTS_NAME, read_incidents
from freqai_lstm.tables import print_table

from .comparison import TOLERANCE, Comparison, compare
from .live_record import read_live_records
from .replayed import Replay

_HEADERS = (
    "Pair",
    "Candles",
    "Models",
    "Model gone",
    "Largest difference",
    "Apart",
    "Predicted by one",
    "Signals",
    "Given by one",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``parity``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Predict the candles that a live or dry-run bot predicted once more, from stored "
        "candles and with the same models, as a backtest does, and compare predictions and "
        "signals candle by candle. Needs the candles of that time in the data directory: "
        "freqtrade download-data gets them. Takes freqtrade's own options: use the bot's."
    )
    add_bot_options(parser)
    parser.set_defaults(run=run_parity)


def run_parity(args: argparse.Namespace) -> int:
    """Print a table of the differences, and one of what failed while the bot ran.

    :raises ParityError: If there are no live predictions, or candles are missing.
    """
    config = freqai_configuration(vars(args))
    replay = Replay(config)
    records = read_live_records(replay.folder, args.pairs)
    comparisons = [compare(record, replay) for record in records]
    print_table(
        f"PARITY: live predictions against a backtest's, tolerance {TOLERANCE:g}",
        _HEADERS,
        [_row(comparison) for comparison in comparisons],
    )
    incidents = read_incidents(replay.folder / INCIDENTS_NAME)
    if incidents:
        print_table(
            "INCIDENTS: what failed while the bot ran on",
            ("Pair", "Failed", "Count", "First", "Last", "Latest message"),
            [
                (each.pair, each.kind, each.count, each.first, each.last, each.message)
                for each in incidents
            ],
        )
    else:
        print("No incidents: nothing failed while the bot ran.")
    return 0 if all(comparison.is_equal for comparison in comparisons) else 1


def _row(comparison: Comparison) -> list[Any]:
    return [
        comparison.pair,
        comparison.candles,
        comparison.models,
        comparison.gone,
        f"{comparison.largest:.2g}",
        comparison.apart,
        comparison.unlike,
        comparison.signals,
        comparison.missed,
    ]
