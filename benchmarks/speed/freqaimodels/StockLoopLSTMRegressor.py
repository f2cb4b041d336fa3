"""The drop-in that lets freqtrade find :class:`benchmarks.speed.stock_regressor`."""

from benchmarks.speed.stock_regressor import StockLoopRegressor


class StockLoopLSTMRegressor(StockLoopRegressor):
    """Stock FreqAI's loops around this package's network."""
