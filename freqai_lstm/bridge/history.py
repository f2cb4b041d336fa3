"""The predictions that a bot recorded, made fit for FreqAI whatever became of them.

FreqAI takes the last row for the newest one, joins rows and candles by date, and writes into the
columns there are. A row from the future, dates in several forms or a column that is missing cost
every prediction from then on, rows out of order or without a date those that were recorded.
"""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
from pandas import DataFrame, Series, Timestamp

from freqai_lstm.files import replacing

logger = logging.getLogger(__name__)

DATE = "date_pred"


def mend_history(path: Path) -> None:
    """Mend a file of recorded predictions.

    Where something is dropped, a line of the log says so, and the file as it was stays beside.
    """
    history: dict[str, DataFrame] = cloudpickle.loads(path.read_bytes())
    now = datetime.now(UTC)
    mended, dropped = {}, Counter[str]()
    for pair, frame in history.items():
        found, lost = mend(frame, now)
        dropped += lost
        # Without a row, FreqAI takes the pair for a new one.
        if len(found):
            mended[pair] = found
    if dropped:
        kept = path.with_name(f"{path.name}.before-mending-{time.time_ns()}")
        shutil.copy(path, kept)
        lost_text = ", ".join(f"{count} {what}" for what, count in dropped.items())
        logger.warning(f"{path} was mended: dropped {lost_text}; as it was it is in {kept.name}")
    if mended.keys() != history.keys() or any(
        not frame.equals(history[pair]) for pair, frame in mended.items()
    ):
        with replacing(path) as temporary:
            temporary.write_bytes(cloudpickle.dumps(mended))


def mend(frame: DataFrame, now: datetime) -> tuple[DataFrame, Counter[str]]:
    """Return recorded predictions with a row for each date, oldest first.

    Of several rows of a date the last one stays that a model predicted, not the zeros that FreqAI
    fills in for a bot that was away.

    :param frame: The rows of a pair.
    :param now: No candle is newer.
    :return: The rows, and how much was dropped, by what it was.
    """
    dropped = Counter[str]()
    doubled = frame.columns.duplicated()
    dropped["column(s) that were there twice"] = int(doubled.sum())
    frame = frame.loc[:, ~doubled].reset_index(drop=True)
    dates = _dates(frame[DATE] if DATE in frame else Series(None, frame.index, dtype=object))
    dropped["row(s) without a date"] = int(dates.isna().sum())
    dropped["row(s) of the future"] = int((dates > now).sum())
    frame = frame.assign(**{DATE: dates})[dates <= now]
    predicted = _was_predicted(frame)
    frame = frame.iloc[np.lexsort((predicted, frame[DATE]))]
    superseded = frame[DATE].duplicated(keep="last")
    dropped["row(s) of a date that has another one"] = int((superseded & predicted).sum())
    return frame[~superseded].reset_index(drop=True), +dropped


def with_columns(frame: DataFrame, numbers: Iterable[str], texts: Iterable[str] = ()) -> DataFrame:
    """Return recorded predictions with all columns that FreqAI is going to write into.

    :param numbers: Columns of numbers; those that are missing are zero.
    :param texts: Columns of classes; zero, as FreqAI fills them in, where they are missing.
    """
    missing = {name: 0.0 for name in numbers if name not in frame}
    classes = {
        name: frame.get(name, Series(0.0, frame.index)).astype(object)
        for name in texts
        if name not in frame or pd.api.types.is_numeric_dtype(frame[name])
    }
    return frame.assign(**missing, **classes) if missing or classes else frame


def _was_predicted(frame: DataFrame) -> "Series[bool]":
    """Tell which rows a model predicted; those that FreqAI fills in are zero all along."""
    if "high_price" in frame:
        return frame["high_price"] > 0
    return frame.drop(columns=DATE).ne(0).any(axis="columns")


def _dates(dates: "Series[Any]") -> "Series[Timestamp]":
    """Return dates in UTC, whatever they are now; NaT for what is none."""
    if not pd.api.types.is_datetime64_any_dtype(dates):
        # FreqAI once filled in zeros for dates, too.
        dates = dates.astype(object).where(~dates.map(pd.api.types.is_number), None)
    return pd.to_datetime(dates, utc=True, errors="coerce", format="mixed").dt.as_unit("ms")
