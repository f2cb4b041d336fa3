"""A PyTorch LSTM regressor and an aggregate T-score for freqtrade's FreqAI."""

__version__ = "0.1.0"
