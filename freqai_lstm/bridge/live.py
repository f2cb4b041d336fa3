"""FreqAI's live loop, so that it goes on for weeks: nothing stale, nothing lost, nothing silent."""

import logging
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from freqtrade.configuration import TimeRange
from freqtrade.constants import DEFAULT_DATAFRAME_COLUMNS
from freqtrade.data.converter import ohlcv_to_dataframe
from freqtrade.enums import TRADE_MODES
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.freqai.torch.PyTorchDataConvertor import (
    DefaultPyTorchDataConvertor,
    PyTorchDataConvertor,
)
from pandas import DataFrame

from freqai_lstm.bridge.drawer import SafeDataDrawer, salvage_folder
from freqai_lstm.bridge.folders import MODEL, identifier_folder, model_file, trained_at
from freqai_lstm.bridge.incidents import INCIDENTS_NAME, IncidentLog, described
from freqai_lstm.bridge.internals import OpenRegressor, fetch_candles
from freqai_lstm.bridge.kitchen import WindowedDataKitchen
from freqai_lstm.bridge.roster import Roster, queue_up
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import SECONDS_PER_DAY

logger = logging.getLogger(__name__)


class LiveRegressor(OpenRegressor):
    """What every FreqAI regressor needs to run live without supervision.

    * What a killed process or a damaged disk left half-written is moved aside at the start.
    * Every file is written whole; a model becomes the pair's own only with all that belongs to it.
    * A training that fails keeps the former model, and is tried again with the next candle.
    * Candles that came late are not traded on.
    * Pairs may join and leave while the bot runs.
    * Failures are counted in ``incidents.json`` and told in one line each.
    """

    dd: SafeDataDrawer

    def __init__(self, **kwargs: Any) -> None:
        config = kwargs["config"]
        folder = identifier_folder(config)
        if config.get("runmode") in TRADE_MODES:
            check_candles_join()
            keep_names_in_python()
            salvage_folder(folder)
        super().__init__(**kwargs)
        self.incidents = IncidentLog(folder / INCIDENTS_NAME)
        drawer = SafeDataDrawer(self.full_path, self.config, self.incidents)
        drawer.model_type, drawer.current_candle = self.dd.model_type, self.dd.current_candle
        self.dd = drawer
        self._roster = Roster(config)
        self._failed_at: dict[str, Any] = {}
        self._asked_again: dict[tuple[str, str], pd.Timestamp] = {}

    @property
    def data_convertor(self) -> PyTorchDataConvertor:
        """The conversion of frames to tensors."""
        return DefaultPyTorchDataConvertor(target_tensor_type=torch.float)

    def start_live(
        self, dataframe: DataFrame, metadata: dict[str, Any], strategy: Any, dk: FreqaiDataKitchen
    ) -> FreqaiDataKitchen:
        """Predict the newest candle of a pair; without a signal if others are late."""
        pair = metadata["pair"]
        self.dk = kitchen = WindowedDataKitchen(self.config, True, pair, history_candles=0)
        kitchen.all_pairs = self._roster.call(strategy, pair, dataframe["date"].iloc[-1])
        _, _, needed = kitchen.check_if_new_training_required(0)
        self._roster.let_in(strategy, kitchen, self.dd, needed)
        self._roster.let_go(kitchen.all_pairs, self.dd)
        queue_up(self.train_queue, strategy.dp.current_whitelist())
        if self.dd.historic_data and self._history_is_torn(strategy, kitchen):
            self._fetch_history_again(strategy, kitchen.all_pairs)
        kitchen.stale = self._late_candles(strategy, pair, dataframe["date"].iloc[-1])
        if kitchen.stale:
            problem = f"no candle yet of {', '.join(kitchen.stale)}; no signal on this candle"
            self.incidents.record(pair, "prediction", problem)
        finished = super().start_live(dataframe, metadata, strategy, kitchen)
        if kitchen.stale:
            # The features of correlated pairs are kept for the other pairs of a candle: not these.
            self.forget_correlated_features()
        return finished

    def build_strategy_return_arrays(
        self, dataframe: DataFrame, dk: FreqaiDataKitchen, pair: str, trained_timestamp: int
    ) -> None:
        """Predict the newest candle, also right after a start.

        FreqAI shows its past then, and would leave that candle without a prediction.
        """
        starts = pair not in self.dd.model_return_values
        super().build_strategy_return_arrays(dataframe, dk, pair, trained_timestamp)
        if starts:
            super().build_strategy_return_arrays(dataframe, dk, pair, trained_timestamp)

    def extract_data_and_train_model(
        self,
        new_trained_timerange: TimeRange,
        pair: str,
        strategy: Any,
        dk: FreqaiDataKitchen,
        data_load_timerange: TimeRange,
    ) -> None:
        """Train a pair; if that fails, keep its former model and wait for the next candle."""
        candle = self.dd.current_candle
        if self._failed_at.get(pair) == candle:
            return
        before = self.dd.pair_dict[pair]["trained_timestamp"]
        try:
            super().extract_data_and_train_model(
                new_trained_timerange, pair, strategy, dk, data_load_timerange
            )
        except Exception as error:
            # FreqAI has set the time already, though the model is still the former one.
            self.dd.pair_dict[pair]["trained_timestamp"] = before
            self._failed_at[pair] = candle
            kept = "the former model stays in use until it expires" if before else "it has no model"
            problem = f"{described(error)}; {kept}, tried again with the next candle"
            self.incidents.record(pair, "training", problem)
            logger.debug(f"{pair}: training failed", exc_info=True)
        else:
            self._failed_at.pop(pair, None)
        finally:
            if (tb_logger := getattr(self, "tb_logger", None)) is not None:
                tb_logger.close()

    def keep_scanning(self, scan: Callable[[], None]) -> None:
        """Train pair after pair until the bot stops, whatever happens between two trainings."""
        while not self.is_stopping:
            try:
                scan()
            except Exception as error:  # noqa: BLE001 - a dead thread would never train again
                problem = f"{described(error)}; it goes on"
                self.incidents.record("all pairs", "training thread", problem)
                self.wait_for_stop(1)

    def model_exists(self, dk: FreqaiDataKitchen) -> bool:
        """Tell whether the model of a backtest's training window is there and can be used."""
        return super().model_exists(dk) and self.dd.can_load(dk.pair, dk)

    def previous_model(self, dk: FreqaiDataKitchen) -> Any:
        """Return the model that a training starts from, with FreqAI's ``continual_learning``.

        Live that is the pair's present one; in a backtest that of the window before, so that a
        walk-forward that was interrupted or is gone on with trains the same models.

        :return: None if there is none, or it cannot be used.
        """
        if not self.continual_learning:
            return None
        if self.live:
            present = self.dd.pair_dict[dk.pair]
            file = Path(present["data_path"]) / f"{present['model_filename']}_{MODEL}"
        else:
            period = int(self.freqai_info["backtest_period_days"] * SECONDS_PER_DAY)
            file = model_file(self.full_path, dk.pair, trained_at(dk.data_path) - period)
        return self.dd.load_model(dk.pair, file)

    def _late_candles(self, strategy: Any, pair: str, newest: pd.Timestamp) -> list[str]:
        """Return what has not arrived though it was asked for again, e.g. ``BTC/USDT:USDT 4h``."""
        late = late_candles(strategy, pair, newest, self.config)
        # freqtrade gives up on a candle 15 seconds after it closed, and asks again when the next
        # has closed, or half an hour later: a late 4h candle would cost every prediction until
        # then. Once a candle: where nothing answers, each request takes its time.
        if again := [names for names in late if self._asked_again.get(names) != newest]:
            self._asked_again.update(dict.fromkeys(again, newest))
            fetch_candles(strategy, [(*names, self.config["candle_type_def"]) for names in again])
            late = late_candles(strategy, pair, newest, self.config)
        return [" ".join(names) for names in late]

    def _history_is_torn(self, strategy: Any, dk: FreqaiDataKitchen) -> bool:
        """Tell whether candles are missing between those in memory and those of the exchange."""
        for pair in dk.all_pairs:
            for timeframe in self.ft_params["include_timeframes"]:
                fresh = strategy.dp.get_pair_dataframe(pair, timeframe)
                known = self.dd.historic_data[pair][timeframe]
                if not fresh.empty and known["date"].iloc[-1] < fresh["date"].iloc[0]:
                    return True
        return False

    def _fetch_history_again(self, strategy: Any, pairs: list[str]) -> None:
        """Load the candles of all pairs anew: the exchange was away for longer than it gives."""
        logger.warning("Candles are missing since the last ones: all history is downloaded again")
        self._roster.download(strategy, pairs)
        with self.dd.history_lock:
            self.dd.historic_data.clear()


def late_candles(
    strategy: Any, pair: str, last_candle: pd.Timestamp, config: dict[str, Any]
) -> list[tuple[str, str]]:
    """Return the pairs and timeframes whose candles have not arrived yet.

    The features of a candle take the last candle of every timeframe, and of every pair of
    ``include_corr_pairlist``, that had closed when it closed. FreqAI fills in an older one.

    :param last_candle: Opening time of its newest candle.
    """
    parameters = config["freqai"]["feature_parameters"]
    closed = last_candle.timestamp() + timeframe_to_seconds(config["timeframe"])
    late = []
    for name in dict.fromkeys([pair, *parameters["include_corr_pairlist"]]):
        for timeframe in parameters["include_timeframes"]:
            seconds = timeframe_to_seconds(timeframe)
            due = (closed // seconds - 1) * seconds
            dates = strategy.dp.get_pair_dataframe(name, timeframe)["date"]
            if dates.empty or dates.iloc[-1].timestamp() < due:
                late.append((name, timeframe))
    return late


def check_candles_join() -> None:
    """Refuse a pandas that cannot join stored candles with fresh ones.

    Where their dates become objects, every live training from the first new candle on fails, and
    FreqAI only logs it.

    :raises SettingsError: If it cannot.
    """
    candle = [1_700_000_000_000, 1.0, 1.0, 1.0, 1.0, 1.0]
    fresh = ohlcv_to_dataframe([candle], "1h", "check", fill_missing=False, drop_incomplete=False)
    file = BytesIO()
    fresh.astype({"date": "datetime64[ms, UTC]"}).to_feather(file)
    file.seek(0)
    stored = pd.read_feather(file)
    stored["date"] = stored["date"].dt.as_unit("ms")
    joined = pd.concat([stored, fresh], ignore_index=True)[DEFAULT_DATAFRAME_COLUMNS]
    if not isinstance(joined["date"].dtype, pd.DatetimeTZDtype):
        raise SettingsError(
            f"pandas must join the dates of stored candles ({stored['date'].dtype}) and of fresh "
            f"ones ({fresh['date'].dtype}) as dates for live trading, was pandas {pd.__version__}, "
            f"which makes them {joined['date'].dtype}; install pandas>=3.0,<3.1"
        )


def keep_names_in_python() -> None:
    """Let pandas keep column names as Python's strings.

    Otherwise it turns all names of a frame from Arrow's strings into Python's for each column that
    is added, which is a third of what a live candle takes.
    """
    pd.set_option("mode.string_storage", "python")
