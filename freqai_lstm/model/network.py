"""The network: stacked LSTM layers over a window of candles, and a small head.

Shapes: B windows in a batch, T candles in a window, F features, H hidden units, L labels.
"""

from collections.abc import Mapping
from typing import Any, Self, cast

from torch import Tensor, nn

from freqai_lstm.exceptions import WindowError
from freqai_lstm.model.kernel import TrainingMemory, train_layers

MODEL_VERSION = 3
"""Raised whenever saved models of an older package would predict something else."""


def build_network(architecture: Mapping[str, Any]) -> "PyTorchLSTMModel":
    """Build an untrained network: the one place that knows which.

    :param architecture: Parameters of :class:`PyTorchLSTMModel` by name.
    """
    return PyTorchLSTMModel(**architecture)


class PyTorchLSTMModel(nn.Module):
    """Predict the labels of the last candle of each window.

    Each LSTM layer runs over the whole sequence and is followed by batch normalisation over its
    features and dropout, with a residual connection from the second layer on. The last step goes
    through Linear, ReLU, alpha dropout and a final Linear. Beside it, a linear skip leads from the
    last candle's features to the labels, since the gates of an LSTM saturate at rare large inputs
    that a label follows in proportion. In evaluation mode the rows of a batch do not influence
    each other.

    :param window_size: Number of candles T the network is trained on.
    :param hidden_dim: Number of hidden units H of each LSTM layer and of the head.
    :param dropout_percent: Share of features dropped after each LSTM layer, a fraction in [0, 1).
    :param alpha_dropout_percent: Share dropped by the head's alpha dropout, a fraction in [0, 1).
    :param linear_skip: Whether there is a linear skip; it starts at zero.

    Source of the skip: the autoregressive component of LSTNet (Lai et al., 2018).
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        window_size: int = 5,
        hidden_dim: int = 128,
        num_lstm_layers: int = 3,
        dropout_percent: float = 0.4,
        alpha_dropout_percent: float = 0.0,
        linear_skip: bool = True,
    ) -> None:
        super().__init__()
        self.input_dim, self.output_dim = input_dim, output_dim
        self.window_size = window_size
        self.dropout_percent = dropout_percent
        self._memory = TrainingMemory()
        self.layers = nn.ModuleList(
            _LSTMLayer(input_dim if depth == 0 else hidden_dim, hidden_dim, dropout_percent)
            for depth in range(num_lstm_layers)
        )
        self.head = nn.Sequential(
            nn.Linear(hidden_dim, hidden_dim),
            nn.ReLU(),
            nn.AlphaDropout(alpha_dropout_percent),
            nn.Linear(hidden_dim, output_dim),
        )
        self.skip = nn.Linear(input_dim, output_dim, bias=False) if linear_skip else None
        if self.skip is not None:
            nn.init.zeros_(self.skip.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Predict the labels of the last candle of each window.

        :param x: Scaled features, shape ``(batch, window, features)``, float32, oldest first.
        :return: Scaled labels, shape ``(batch, labels)``.
        :raises WindowError: If the window or the number of features differs from what the network
            was built for.
        """
        if x.shape[1:] != (self.window_size, self.input_dim):
            raise WindowError(
                f"the network was built for windows of shape (window, features) = "
                f"({self.window_size}, {self.input_dim}), was {tuple(x.shape[1:])}"
            )
        if self.training and x.device.type == "cpu":
            lstms, norms = zip(*((layer.lstm, layer.norm) for layer in self._stack), strict=True)
            last = train_layers(x, lstms, norms, self.dropout_percent, self._memory)
        else:
            first, *deeper = self._stack
            hidden = first(x)
            for layer in deeper:
                hidden = hidden + layer(hidden)
            last = hidden[:, -1]
        labels: Tensor = self.head(last)
        return labels if self.skip is None else labels + self.skip(x[:, -1])

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation, which needs no working memory."""
        self._memory.clear()
        return super().train(mode)

    @property
    def _stack(self) -> "list[_LSTMLayer]":
        return cast("list[_LSTMLayer]", list(self.layers))


class _LSTMLayer(nn.Module):
    """One LSTM over the whole sequence, batch normalisation over its features, dropout."""

    def __init__(self, input_size: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.norm = nn.BatchNorm1d(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, T, input_size)`` to ``(B, T, H)``."""
        sequence = self.lstm(x)[0]
        # The statistics of a feature are taken over batch and time alike.
        normalised = self.norm(sequence.flatten(0, 1)).view_as(sequence)
        return self.dropout(normalised)
