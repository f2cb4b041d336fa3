"""The drop-in that FreqAI loads with ``--freqaimodel PyTorchLSTMRegressor``."""

from freqai_lstm.regressor import LSTMRegressor


class PyTorchLSTMRegressor(LSTMRegressor):
    """An LSTM per pair; see :class:`freqai_lstm.regressor.LSTMRegressor` for its settings.

    Defined here because freqtrade accepts only classes of the file itself.
    """
