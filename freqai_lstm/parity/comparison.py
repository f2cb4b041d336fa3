"""How far live predictions and signals are from those of a backtest."""

from dataclasses import dataclass

from freqai_lstm.regressor import MODEL_TIMESTAMP
from freqai_lstm.spread import spread_columns

from .live_record import LiveRecord
from .replayed import Replay

# Sums in another order, and averages that forget a start 300 candles ago; nothing larger.
TOLERANCE = 1e-5
# A factor makes the spread of an ensemble as large as its error, and so what rounding does to it.
SPREAD_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Comparison:
    """One pair, candle by candle.

    :param pair: The pair.
    :param candles: Candles compared.
    :param models: Models that predicted them.
    :param gone: Candles whose model FreqAI has deleted since (``purge_old_models``).
    :param largest: Largest absolute difference of a predicted label; labels are in standard
        deviations.
    :param apart: Candles with a difference of a label or a spread above its tolerance.
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


def compare(record: LiveRecord, replay: Replay) -> Comparison:
    """Compare what a bot did live with what a backtest of the same models does.

    :param record: The bot's predictions of a pair.
    :param replay: What predicts them again.
    """
    again, gone = replay.predict(record)
    live = record.candles[record.candles["date"].isin(again["date"])].reset_index(drop=True)
    again = again.sort_values("date").reset_index(drop=True)
    labels = list(live.columns.drop(["date", "do_predict", MODEL_TIMESTAMP]))
    both = (live["do_predict"] == 1) & (again["do_predict"] == 1)
    spreads = set(spread_columns(labels))
    tolerance = [SPREAD_TOLERANCE if name in spreads else TOLERANCE for name in labels]
    difference = (live.loc[both, labels] - again.loc[both, labels]).abs()
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
        apart=int((difference > allowed).any(axis=1).sum()),
        unlike=int((live["do_predict"] != again["do_predict"]).sum()),
        signals=int((shown & tested).to_numpy().sum()),
        missed=int((shown ^ tested).to_numpy().sum()),
    )
