"""What a live bot predicted, and the same candles predicted once more, as a backtest does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
from pandas import DataFrame

from freqai_lstm.bridge.folders import HISTORY, model_folder
from freqai_lstm.bridge.kitchen import WindowedDataKitchen
from freqai_lstm.bridge.offline import load_offline_strategy
from freqai_lstm.exceptions import ParityError
from freqai_lstm.regressor import MODEL_TIMESTAMP
from freqai_lstm.tools.parity.trades import TIME

SIGNALS = ("enter_long", "enter_short", "exit_long", "exit_short")


@dataclass(frozen=True)
class LiveRecord:
    """The live predictions of one pair.

    :param candles: A row for each candle that a live model was asked for, oldest first; columns
        ``date``, the labels, ``do_predict`` and ``model_timestamp``.
    """

    pair: str
    candles: DataFrame


def read_history(folder: Path, pairs: list[str] | None = None) -> dict[str, DataFrame]:
    """Read what a bot predicted live.

    :param pairs: Only these pairs; all by default.
    :return: By pair the rows of candles that a model was asked for, with all that FreqAI records.
    :raises ParityError: If no bot predicted anything with these models.
    """
    path = folder / HISTORY
    if not path.is_file():
        raise ParityError(
            f"{path}: must hold the predictions of a live or dry-run bot, was not found; the bot "
            f"writes it after each training, every five minutes and when it stops"
        )
    history: dict[str, DataFrame] = cloudpickle.loads(path.read_bytes())
    asked = {pair: _asked(history[pair]) for pair in history if pairs is None or pair in pairs}
    found = {pair: frame for pair, frame in asked.items() if len(frame)}
    if not found:
        wanted = f" of {', '.join(pairs)}" if pairs else ""
        raise ParityError(f"{path}: holds no candle{wanted} that a model predicted live")
    return found


def _asked(frame: DataFrame) -> DataFrame:
    # What FreqAI fills in for candles before the first start, or for a bot that was away, is zero
    # all along; 2 stands for an expired model.
    asked = frame["do_predict"].isin([0, 1]) & (frame["high_price"] > 0)
    if MODEL_TIMESTAMP in frame:
        asked &= frame[MODEL_TIMESTAMP] > 0
    return frame[asked & (frame["do_predict"] == 1).cummax()]


def live_records(history: Mapping[str, DataFrame]) -> list[LiveRecord]:
    """Return the predictions that can be made again: those that say which model made them."""
    return [
        LiveRecord(pair, _labelled(frame))
        for pair, frame in history.items()
        if MODEL_TIMESTAMP in frame
    ]


def _labelled(frame: DataFrame) -> DataFrame:
    # Numbers have statistics, a class has none.
    labels = [
        name
        for name in frame.columns
        if f"{name}_mean" in frame
        or (name.startswith("&") and not name.endswith(("_mean", "_std")))
    ]
    found = frame[["date_pred", *labels, "do_predict", MODEL_TIMESTAMP]]
    return found.rename(columns={"date_pred": "date"}).reset_index(drop=True)


class Replay:
    """Predicts a live bot's candles from stored ones, with the bot's own models."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.strategy = load_offline_strategy(config)
        self.regressor = self.strategy.freqai
        self.strategy.freqai = self
        self._predictions = DataFrame()

    @property
    def folder(self) -> Path:
        """The identifier's folder."""
        return Path(self.regressor.full_path)

    @property
    def class_names(self) -> list[str]:
        """The classes, which the strategy names on its model."""
        return list(self.regressor.class_names)

    @class_names.setter
    def class_names(self, names: list[str]) -> None:
        self.regressor.class_names = names

    def predict(self, record: LiveRecord) -> tuple[DataFrame, int]:
        """Predict the candles of a live record again.

        :return: The same rows and columns, without those whose model is gone, and how many those
            were.
        :raises ParityError: If stored candles are missing.
        """
        candles = self._candles(record)
        kitchen = WindowedDataKitchen(self.config, True, record.pair, history_candles=0)
        features = kitchen.use_strategy_to_populate_indicators(
            self.strategy, prediction_dataframe=candles, pair=record.pair
        )
        found, gone = [], 0
        for timestamp, live in record.candles.groupby(record.candles[MODEL_TIMESTAMP].astype(int)):
            if not model_folder(self.folder, record.pair, timestamp).is_dir():
                gone += len(live)
                continue
            found.append(self._predicted_by(timestamp, live["date"], features, record.pair))
        return pd.concat(found, ignore_index=True) if found else record.candles.iloc[:0], gone

    def signals(self, pair: str, predictions: DataFrame, *, candles_known: int = 0) -> DataFrame:
        """Return the signals that the strategy gives on predictions.

        :param predictions: As :meth:`predict` returns them.
        :param candles_known: How many candles the strategy is shown for each, as it is live; all
            stored ones, once, by default.
        :return: A column for each kind of signal, 0 or 1, a row for each prediction.
        """
        self._predictions = predictions
        candles = self.strategy.dp.get_pair_dataframe(pair, self.config["timeframe"])
        if not candles_known:
            return self._signals(pair, candles, predictions["date"])
        rows = []
        for date in predictions["date"]:
            known = candles[candles["date"] <= date].tail(candles_known).reset_index(drop=True)
            rows.append(self._signals(pair, known, pd.Series([date])))
        return pd.concat(rows, ignore_index=True)

    def start(self, dataframe: DataFrame, metadata: dict[str, Any], strategy: Any) -> DataFrame:
        """Stand in for FreqAI: give the strategy the predictions to judge."""
        filled = dataframe.merge(self._predictions, how="left", on="date")
        filled["do_predict"] = filled["do_predict"].fillna(0)
        return filled

    def _signals(self, pair: str, candles: DataFrame, dates: pd.Series) -> DataFrame:
        metadata = {"pair": pair}
        frame = self.strategy.populate_indicators(candles, metadata)
        frame = self.strategy.populate_entry_trend(frame, metadata)
        frame = self.strategy.populate_exit_trend(frame, metadata)
        frame = frame.set_index("date").reindex(dates)
        columns = {name: frame.get(name, np.nan) for name in SIGNALS}
        return DataFrame(columns, index=frame.index).eq(1).astype(int).reset_index(drop=True)

    def _candles(self, record: LiveRecord) -> DataFrame:
        candles = self.strategy.dp.get_pair_dataframe(record.pair, self.config["timeframe"])
        missing = ~record.candles["date"].isin(candles["date"] if len(candles) else [])
        if missing.any():
            first, last = record.candles["date"].iloc[[0, -1]]
            timeframes = " ".join(self.config["freqai"]["feature_parameters"]["include_timeframes"])
            raise ParityError(
                f"{self.config['datadir']}: must hold the candles of {record.pair} from "
                f"{first:{TIME}} to {last:{TIME}}, {missing.sum()} are "
                f"missing; freqtrade download-data --timeframes {timeframes} with the bot's "
                f"configuration gets them"
            )
        return candles

    def _predicted_by(
        self, timestamp: int, dates: pd.Series, features: DataFrame, pair: str
    ) -> DataFrame:
        kitchen = WindowedDataKitchen(self.config, True, pair, history_candles=0)
        kitchen.set_paths(pair, timestamp)
        kitchen.set_new_model_names(pair, timestamp)
        # The files of this very model, not what the pair has now.
        kitchen.live = False
        self.regressor.dd.get_pair_dict_info(pair)
        self.regressor.model = self.regressor.dd.load_data(pair, kitchen)
        asked = features["date"].isin(dates)
        first = int(np.flatnonzero(asked)[0])
        part = features.iloc[max(0, first - self.regressor.window_size + 1) :]
        part = part.iloc[: int(np.flatnonzero(part["date"].isin(dates))[-1]) + 1]
        predictions, do_predict = self.regressor.predict(part.reset_index(drop=True), kitchen)
        predictions["date"] = part["date"].reset_index(drop=True)
        predictions["do_predict"], predictions[MODEL_TIMESTAMP] = do_predict, timestamp
        return predictions[predictions["date"].isin(dates)]
