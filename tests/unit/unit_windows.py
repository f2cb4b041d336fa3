"""Windows of a walk-forward, and what FreqAI saves of them."""

from pathlib import Path

import pandas as pd
from pandas import DataFrame

from freqai_lstm.bridge.folders import Artefacts, Window

HOUR = 3600
DATES = pd.Series(pd.date_range("2024-02-10", "2024-02-12", freq="h", tz="UTC", inclusive="left"))
START = int(DATES[0].timestamp())


def window(number: int = 0, pair: str = "BTC/USDT:USDT") -> Window:
    """A window of a day."""
    start = START + number * 24 * HOUR
    return Window(pair=pair, start=start, stop=start + 24 * HOUR, trained_timestamp=start - HOUR)


def artefacts(tmp_path: Path, of: Window) -> Artefacts:
    """Files with the names that FreqAI gives them, and predictions of the window's candles."""
    suffixes = ("model.zip", "metadata.json", "feature_pipeline.pkl", "label_pipeline.pkl")
    suffixes += ("trained_df.pkl", "trained_dates_df.pkl")
    seconds = range(of.start, of.stop, HOUR)
    dates = pd.Series(pd.to_datetime(list(seconds), unit="s", utc=True))
    file = tmp_path / "prediction.feather"
    DataFrame({"date": dates}).to_feather(file)
    files = {f"{of.model_filename}_{suffix}": suffix.encode() for suffix in suffixes}
    return Artefacts(files | {"tensorboard/events": b"events"}, file.read_bytes())
