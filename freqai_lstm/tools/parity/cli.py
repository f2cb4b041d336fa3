"""Check that a live or dry-run bot predicted, signalled and traded what a backtest does.

Predicts its candles once more, from stored candles and with the same models, and compares
predictions and signals candle by candle. Then backtests the strategy on the predictions that the
bot recorded, and compares the trades of its database with it, in tables and a page with a plot.
Needs the candles of that time in the data directory: freqtrade download-data gets them. Takes
freqtrade's own options: use the bot's.
"""

import argparse
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from freqai_lstm.bridge.incidents import INCIDENTS_NAME, read_incidents
from freqai_lstm.regressor import MODEL_TIMESTAMP
from freqai_lstm.score import spread_columns
from freqai_lstm.tools.command import add_bot_options, freqai_configuration, print_table
from freqai_lstm.tools.parity.comparison import compare_trades, missing_database
from freqai_lstm.tools.parity.page import print_trades, write_trades
from freqai_lstm.tools.parity.replayed import LiveRecord, Replay, live_records, read_history

# Sums in another order, and averages that forget a start 300 candles ago; nothing larger.
TOLERANCE = 1e-5
# A factor makes the spread of an ensemble as large as its error, and so what rounding does to it.
SPREAD_TOLERANCE = 1e-4
_HEADERS = (
    *("Pair", "Candles", "Models", "Model gone", "Largest difference", "Apart"),
    *("Predicted by one", "Signals", "Given by one"),
)


@dataclass(frozen=True)
class Comparison:
    """One pair, candle by candle.

    :param candles: Candles compared.
    :param models: Models that predicted them.
    :param gone: Candles whose model FreqAI has deleted since (``purge_old_models``).
    :param largest: Largest absolute difference of a predicted label; labels are in standard
        deviations.
    :param apart: Candles with a difference of a label or a spread above its tolerance, or another
        class.
    :param unlike: Candles that only one of the two predicted.
    :param signals: Entries and exits that both gave on candles that both predicted.
    :param missed: Signals that only one of the two gave there.
    """

    pair: str
    candles: int
    models: int
    gone: int
    largest: float
    apart: int
    unlike: int
    signals: int
    missed: int

    @property
    def is_equal(self) -> bool:
        """Whether live was what the backtest is."""
        return self.apart == self.unlike == self.missed == 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bot_options(parser)
    parser.add_argument(
        "--db-url", metavar="URL", help="the bot's database, as in its db_url (freqtrade's default)"
    )
    parser.add_argument(
        "--dry-run-wallet",
        type=float,
        metavar="MONEY",
        help="the money that the backtest starts with (dry_run_wallet)",
    )
    parser.add_argument(
        "--timeframe-detail", metavar="TIMEFRAME", help="let the backtest exit on shorter candles"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the page of the trades; a JSON file gets its name (plot/parity-IDENTIFIER.html)",
    )
    parser.set_defaults(run=run_parity)


def run_parity(args: argparse.Namespace) -> int:
    """Print tables of the differences, and one of what failed while the bot ran.

    :return: 1 if predictions or signals differ. Trades meet a market, and may.
    :raises ParityError: If there is nothing to compare, or candles are missing.
    """
    output, args.output = args.output, None
    config = freqai_configuration(vars(args))
    replay = Replay(config)
    history = read_history(replay.folder, args.pairs)
    comparisons = [compare(record, replay) for record in live_records(history)]
    if comparisons:
        print_table(
            f"PARITY: live predictions against a backtest's, tolerance {TOLERANCE:g}",
            _HEADERS,
            [[_cell(value) for value in astuple(comparison)] for comparison in comparisons],
        )
    else:
        model = config["freqaimodel"]
        print(f"Predictions are not compared: {model} does not record which model made them.")
    if incidents := read_incidents(replay.folder / INCIDENTS_NAME):
        print_table(
            "INCIDENTS: what failed while the bot ran on",
            ("Pair", "Failed", "Count", "First", "Last", "Latest message"),
            map(astuple, incidents),
        )
    else:
        print("No incidents: nothing failed while the bot ran.")
    if url := missing_database(config):
        print(f"Trades are not compared: {url} was not found; --db-url names the bot's database.")
    else:
        trades = compare_trades(args, config, history)
        print_trades(trades)
        page = (
            output or Path(config["user_data_dir"]) / "plot" / f"parity-{replay.folder.name}.html"
        )
        write_trades(trades, config, page)
        print(f"Trades: {page} and {page.with_suffix('.json').name}")
    return 0 if all(comparison.is_equal for comparison in comparisons) else 1


def _cell(value: Any) -> Any:
    return f"{value:.2g}" if isinstance(value, float) else value


def compare(record: LiveRecord, replay: Replay) -> Comparison:
    """Compare what a bot did live with what a backtest of the same models does."""
    again, gone = replay.predict(record)
    live = record.candles[record.candles["date"].isin(again["date"])].reset_index(drop=True)
    again = again.sort_values("date").reset_index(drop=True)
    predicted = live.columns.drop(["date", "do_predict", MODEL_TIMESTAMP])
    labels = [name for name in predicted if pd.api.types.is_numeric_dtype(again[name])]
    classes = [name for name in predicted if name not in labels]
    both = (live["do_predict"] == 1) & (again["do_predict"] == 1)
    spreads = set(spread_columns(labels))
    tolerance = [SPREAD_TOLERANCE if name in spreads else TOLERANCE for name in labels]
    difference = (live.loc[both, labels].astype(float) - again.loc[both, labels]).abs()
    others = (live.loc[both, classes] != again.loc[both, classes]).any(axis=1)
    allowed = tolerance * (1 + again.loc[both, labels].abs())
    startup = int(replay.strategy.startup_candle_count)
    shown = replay.signals(record.pair, live[both], candles_known=startup + 1)
    tested = replay.signals(record.pair, again[both])
    return Comparison(
        pair=record.pair,
        candles=len(live),
        models=int(live[MODEL_TIMESTAMP].nunique()),
        gone=gone,
        largest=float(difference.drop(columns=spreads & set(labels)).to_numpy().max(initial=0.0)),
        apart=int(((difference > allowed).any(axis=1) | others).sum()),
        unlike=int((live["do_predict"] != again["do_predict"]).sum()),
        signals=int((shown & tested).to_numpy().sum()),
        missed=int((shown ^ tested).to_numpy().sum()),
    )
