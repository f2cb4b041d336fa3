"""Runs freqtrade and writes down where its time went.

python -m benchmarks.speed.stopwatch OUT.json ARGUMENTS OF FREQTRADE ...
"""

import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

from datasieve.pipeline import Pipeline
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.freqai.prediction_models.PyTorchTransformerRegressor import (
    PyTorchTransformerRegressor,
)
from freqtrade.main import main as freqtrade

from benchmarks.speed.stock_regressor import StockLoopRegressor
from freqai_lstm.regressor import LSTMRegressor

FREQTRADE = "freqtrade itself"
PARTS = ("feature engineering", "pipeline", "training", "prediction", FREQTRADE)


class Stopwatch:
    """Counts each moment for the innermost part that is running."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._running = [FREQTRADE]
        self._since = time.perf_counter()

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Count a method of a class as a part."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def watched(*arguments: Any, **named: Any) -> Any:
            self._switch()
            self._running.append(part)
            try:
                return method(*arguments, **named)
            finally:
                self._switch()
                self._running.pop()

        setattr(owner, name, watched)

    def stop(self) -> dict[str, float]:
        """Return the seconds of all parts, without those before the stopwatch started."""
        self._switch()
        return dict(self.seconds)

    def _switch(self) -> None:
        now = time.perf_counter()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now


def main() -> None:
    """Run freqtrade with the stopwatch on."""
    stopwatch = Stopwatch()
    stopwatch.watch(FreqaiDataKitchen, "use_strategy_to_populate_indicators", "feature engineering")
    for name in ("fit", "fit_transform", "transform", "inverse_transform"):
        stopwatch.watch(Pipeline, name, "pipeline")
    for regressor in (LSTMRegressor, StockLoopRegressor):
        stopwatch.watch(regressor, "fit", "training")
    for regressor in (LSTMRegressor, PyTorchTransformerRegressor):
        stopwatch.watch(regressor, "predict", "prediction")
    out, *arguments = sys.argv[1:]
    try:
        freqtrade(arguments)
    finally:
        Path(out).write_text(json.dumps(stopwatch.stop()), encoding="utf-8")


if __name__ == "__main__":
    main()
