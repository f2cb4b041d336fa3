"""A backtest through freqtrade's own classes, without an exchange."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from freqtrade.configuration import TimeRange
from freqtrade.data.history import load_pair_history

from freqai_lstm.bridge.offline import load_offline_strategy
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.trainer import PyTorchLSTMTrainer

# Features of an outer merge and FreqAI's own frames are built column by column.
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")


class Backtest:
    """What freqtrade's backtesting does before it simulates trades.

    :param config: freqtrade's configuration.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.strategy = load_offline_strategy(config)
        self.freqai = self.strategy.freqai
        config["startup_candle_count"] = self.strategy.startup_candle_count

    def candles(self, pair: str) -> pd.DataFrame:
        """Return the candles of the timerange, with those before it for training and warm-up."""
        timerange = TimeRange.parse_timerange(self.config["timerange"])
        training = self.config["freqai"]["train_period_days"] * 24
        timerange.subtract_start((training + self.strategy.startup_candle_count) * 3600)
        return load_pair_history(
            pair,
            self.config["timeframe"],
            self.config["datadir"],
            timerange=timerange,
            candle_type=self.config["candle_type_def"],
        )

    def indicators(self, pair: str) -> pd.DataFrame:
        """Let the strategy populate its indicators, and so FreqAI train and predict."""
        return self.strategy.populate_indicators(self.candles(pair), {"pair": pair})

    def run(self, pair: str) -> pd.DataFrame:
        """Return the analysed candles of the timerange."""
        metadata = {"pair": pair}
        analysed = self.strategy.populate_entry_trend(self.indicators(pair), metadata)
        analysed = self.strategy.populate_exit_trend(analysed, metadata)
        timerange = TimeRange.parse_timerange(self.config["timerange"])
        tested = (analysed["date"] >= timerange.startdt) & (analysed["date"] < timerange.stopdt)
        return analysed[tested].reset_index(drop=True)


@pytest.fixture
def backtest() -> Callable[[dict[str, Any]], Backtest]:
    """Build a backtest of a configuration."""
    return Backtest


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the pair of every training in this process."""
    trained: list[str] = []
    fit = PyTorchLSTMTrainer.fit

    def counted(self: PyTorchLSTMTrainer, *args: Any) -> None:
        trained.append(self.description)
        fit(self, *args)

    monkeypatch.setattr(PyTorchLSTMTrainer, "fit", counted)
    return trained


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> list[tuple[pd.DataFrame, Any, Any]]:
    """Record the frame, the kitchen and the model of every prediction."""
    seen: list[tuple[pd.DataFrame, Any, Any]] = []
    predict = LSTMRegressor.predict

    def spied(self: LSTMRegressor, frame: pd.DataFrame, dk: Any, **kwargs: Any) -> Any:
        seen.append((frame.copy(), dk, self.model))
        return predict(self, frame, dk, **kwargs)

    monkeypatch.setattr(LSTMRegressor, "predict", spied)
    return seen
