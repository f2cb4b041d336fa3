"""The same candles predicted once more, as a backtest does: all at once, from stored candles."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from freqai_lstm.data_kitchen import WindowedDataKitchen
from freqai_lstm.exceptions import ParityError
from freqai_lstm.folders import model_folder
from freqai_lstm.offline import load_offline_strategy
from freqai_lstm.regressor import MODEL_TIMESTAMP

from .live_record import LiveRecord, as_utc

SIGNALS = ("enter_long", "enter_short", "exit_long", "exit_short")


class Replay:
    """Predicts a live bot's candles from stored ones, with the bot's own models.

    :param config: freqtrade's configuration.
    """

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

    def predict(self, record: LiveRecord) -> tuple[DataFrame, int]:
        """Predict the candles of a live record again.

        :param record: What the bot predicted.
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
        for timestamp in record.timestamps():
            live = record.candles[record.candles[MODEL_TIMESTAMP] == timestamp]
            if not model_folder(self.folder, record.pair, timestamp).is_dir():
                gone += len(live)
                continue
            found.append(self._predicted_by(timestamp, live["date"], features, record.pair))
        return pd.concat(found, ignore_index=True) if found else record.candles.iloc[:0], gone

    def signals(self, pair: str, predictions: DataFrame, *, candles_known: int = 0) -> DataFrame:
        """Return the signals that the strategy gives on predictions.

        :param pair: The pair.
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
        candles: DataFrame = self.strategy.dp.get_pair_dataframe(
            record.pair, self.config["timeframe"]
        )
        missing = ~record.candles["date"].isin(candles["date"] if len(candles) else [])
        if missing.any():
            first, last = record.candles["date"].iloc[[0, -1]]
            timeframes = " ".join(self.config["freqai"]["feature_parameters"]["include_timeframes"])
            raise ParityError(
                f"{self.config['datadir']}: must hold the candles of {record.pair} from "
                f"{as_utc(first.timestamp())} to {as_utc(last.timestamp())}, {missing.sum()} are "
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
        rows: DataFrame = predictions[predictions["date"].isin(dates)]
        return rows
