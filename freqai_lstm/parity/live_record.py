"""What a live bot predicted: FreqAI's historic predictions, split by the model that made them."""

from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import pandas as pd
from pandas import DataFrame

from freqai_lstm.exceptions import ParityError
from freqai_lstm.regressor import MODEL_TIMESTAMP

HISTORY_NAME = "historic_predictions.pkl"


@dataclass(frozen=True)
class LiveRecord:
    """The live predictions of one pair.

    :param pair: The pair.
    :param candles: A row for each candle that a live model was asked for, oldest first; columns
        ``date``, the labels, ``do_predict`` and ``model_timestamp``.
    """

    pair: str
    candles: DataFrame

    def timestamps(self) -> list[int]:
        """Return the timestamps of the models, oldest first."""
        return sorted(self.candles[MODEL_TIMESTAMP].astype(int).unique())


def read_live_records(folder: Path, pairs: list[str] | None = None) -> list[LiveRecord]:
    """Read what a bot predicted live.

    :param folder: The identifier's folder.
    :param pairs: Only these pairs; all by default.
    :raises ParityError: If no bot predicted anything with these models.
    """
    path = folder / HISTORY_NAME
    if not path.is_file():
        raise ParityError(
            f"{path}: must hold the predictions of a live or dry-run bot, was not found; the bot "
            f"writes it after each training, every five minutes and when it stops"
        )
    history: dict[str, DataFrame] = cloudpickle.loads(path.read_bytes())
    records = [
        LiveRecord(pair, _predicted(frame))
        for pair, frame in history.items()
        if pairs is None or pair in pairs
    ]
    records = [record for record in records if len(record.candles)]
    if not records:
        wanted = f" of {', '.join(pairs)}" if pairs else ""
        raise ParityError(f"{path}: holds no candle{wanted} that a model predicted live")
    return records


def _predicted(frame: DataFrame) -> DataFrame:
    if MODEL_TIMESTAMP not in frame:
        return frame.iloc[:0]
    # What FreqAI fills in for candles before the first start, or for a bot that was away, is zero
    # all along; 2 stands for an expired model.
    asked = (frame[MODEL_TIMESTAMP] > 0) & frame["do_predict"].isin([0, 1])
    asked &= frame["high_price"] > 0
    asked &= frame.index >= _first_live(frame)
    labels = [name for name in frame.columns if f"{name}_mean" in frame]
    found = frame.loc[asked, ["date_pred", *labels, "do_predict", MODEL_TIMESTAMP]]
    return found.rename(columns={"date_pred": "date"}).reset_index(drop=True)


def _first_live(frame: DataFrame) -> int:
    """Return the first row that a model predicted live; FreqAI fills in those before."""
    live = frame.index[frame["do_predict"] == 1]
    return int(live[0]) if len(live) else len(frame)


def as_utc(timestamp: float) -> str:
    """Return a time for people."""
    return f"{pd.Timestamp(timestamp, unit='s', tz='UTC'):%Y-%m-%d %H:%M}"
