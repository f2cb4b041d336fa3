"""The drop-in that FreqAI loads with ``--freqaimodel RidgeRegressor``."""

from freqai_lstm.ridge import LinearRegressor


class RidgeRegressor(LinearRegressor):
    """Ridge regression per pair; see :class:`freqai_lstm.ridge.LinearRegressor` for its setting.

    Defined here because freqtrade accepts only classes of the file itself.
    """
