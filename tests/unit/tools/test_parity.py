"""How a live bot's predictions are compared with a backtest's, spreads included."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from freqai_lstm.regressor import MODEL_TIMESTAMP
from freqai_lstm.tools.parity.cli import compare
from freqai_lstm.tools.parity.replayed import LiveRecord


def predictions(**changed: float) -> pd.DataFrame:
    """Return three candles, the second one changed."""
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC"),
            "&-a": 0.5,
            "&-a_spread": 0.5,
            "do_predict": 1,
            MODEL_TIMESTAMP: 1_700_000_000,
        }
    )
    frame.loc[1, list(changed)] = list(changed.values())
    return frame


class Again:
    """Predicts the same candles again, with given differences."""

    strategy = SimpleNamespace(startup_candle_count=10)

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def predict(self, record: LiveRecord) -> tuple[pd.DataFrame, int]:
        return self.frame, 0

    def signals(self, pair: str, predictions: pd.DataFrame, **_: Any) -> pd.DataFrame:
        return pd.DataFrame({"enter_long": 1}, predictions.index)


@pytest.mark.parametrize(
    ("changed", "apart", "largest"),
    [
        ({}, 0, 0.0),
        ({"&-a": 0.500_01}, 0, 1e-5),
        ({"&-a": 0.500_02}, 1, 2e-5),
        ({"&-a_spread": 0.500_1}, 0, 0.0),
        ({"&-a_spread": 0.500_2}, 1, 0.0),
    ],
)
def test_label_and_spread_each_have_their_tolerance(
    changed: dict[str, float], apart: int, largest: float
) -> None:
    record = LiveRecord("BTC/USDT:USDT", predictions())
    comparison = compare(record, Again(predictions(**changed)))
    assert comparison.apart == apart
    assert comparison.largest == pytest.approx(largest, abs=1e-9)
    assert comparison.is_equal == (apart == 0)
