"""The drop-in that FreqAI loads with ``--freqaimodel PyTorchLSTMClassifier``."""

from freqai_lstm.classifier import LSTMClassifier


class PyTorchLSTMClassifier(LSTMClassifier):
    """An LSTM per pair for a label of classes; see :class:`freqai_lstm.classifier.LSTMClassifier`.

    Defined here because freqtrade accepts only classes of the file itself.
    """
