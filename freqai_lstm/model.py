"""The network: stacked LSTM layers over a window of candles, and a small head.

Shapes: B windows in a batch, T candles in a window, F features, H hidden units, L labels.
"""

from typing import Self, cast

import torch
from torch import Tensor, nn

from freqai_lstm.exceptions import WindowError
from freqai_lstm.lstm import run_projected, train_layers
from freqai_lstm.lstm_memory import TrainingMemory
from freqai_lstm.windows import window_rows

MODEL_VERSION = 1
"""Raised whenever saved models of an older package would predict something else."""


_MANY_WINDOWS = 64
"""From so many windows on, it pays to let the first layer see each row once."""


class PyTorchLSTMModel(nn.Module):
    """Predict the labels of the last candle of each window.

    Each LSTM layer runs over the whole sequence and is followed by batch normalisation over its
    features and dropout, with a residual connection from the second layer on. The last step goes
    through Linear, ReLU, alpha dropout and a final Linear. Beside it, a linear skip leads from the
    last candle's features to the labels, since the gates of an LSTM saturate at rare large inputs
    that a label follows in proportion. In evaluation mode the rows of a batch do not influence
    each other.

    :param input_dim: Number of features F.
    :param output_dim: Number of labels L.
    :param window_size: Number of candles T the network is trained on.
    :param hidden_dim: Number of hidden units H of each LSTM layer and of the head.
    :param num_lstm_layers: Number of stacked LSTM layers.
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
        self._check(*x.shape[1:])
        if self.training and x.device.type == "cpu":
            lstms, norms = zip(*((layer.lstm, layer.norm) for layer in self._stack), strict=True)
            last = train_layers(x, lstms, norms, self.dropout_percent, self._memory)
        else:
            first, *_ = self._stack
            last = self._deeper(first(x))[:, -1]
        return self._labels(last, x[:, -1])

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation, which needs no working memory."""
        self._memory.clear()
        return super().train(mode)

    def predict(self, features: Tensor, ends: Tensor) -> Tensor:
        """Predict the labels of the rows that end a window, in evaluation mode.

        Windows overlap. On a CPU the first layer, the one with the most inputs, sees each row once,
        however many windows share it.

        :param features: Scaled features of every row, shape ``(rows, features)``, float32.
        :param ends: Last row of each window, shape ``(windows,)``, int64.
        :return: Scaled labels, shape ``(windows, labels)``.
        :raises WindowError: If the number of features differs from what the network was built for.
        """
        self._check(self.window_size, features.shape[1])
        windows = window_rows(ends, self.window_size)
        if features.device.type != "cpu" or len(ends) < _MANY_WINDOWS:
            return self(features[windows].transpose(0, 1))  # type: ignore[no-any-return]
        rows, places = torch.unique(windows, return_inverse=True)
        first, *_ = self._stack
        hidden = self._deeper(first.run_shared(features[rows], places))
        return self._labels(hidden[:, -1], features[ends])

    def _deeper(self, hidden: Tensor) -> Tensor:
        """Run all layers but the first, ``(B, T, H)`` to ``(B, T, H)``."""
        for layer in self._stack[1:]:
            hidden = hidden + layer(hidden)
        return hidden

    @property
    def _stack(self) -> "list[_LSTMLayer]":
        return cast("list[_LSTMLayer]", list(self.layers))

    def _labels(self, hidden: Tensor, newest: Tensor) -> Tensor:
        """Return the labels for the last hidden state and the newest candle of each window."""
        labels: Tensor = self.head(hidden)
        return labels if self.skip is None else labels + self.skip(newest)

    def _check(self, window: int, features: int) -> None:
        if (window, features) != (self.window_size, self.input_dim):
            raise WindowError(
                f"the network was built for windows of shape (window, features) = "
                f"({self.window_size}, {self.input_dim}), was {(window, features)}"
            )


class _LSTMLayer(nn.Module):
    """One LSTM over the whole sequence, batch normalisation over its features, dropout."""

    def __init__(self, input_size: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.norm = nn.BatchNorm1d(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, T, input_size)`` to ``(B, T, H)``."""
        return self._normalise(self.lstm(x)[0])

    def run_shared(self, rows: Tensor, places: Tensor) -> Tensor:
        """Map rows ``(rows, input_size)``, at their places ``(T, B)``, to ``(B, T, H)``."""
        weight_ih, weight_hh, bias_ih, bias_hh = self.lstm.all_weights[0]
        projected = torch.addmm(bias_ih + bias_hh, rows, weight_ih.t())
        return self._normalise(run_projected(projected, places, weight_hh).transpose(0, 1))

    def _normalise(self, sequence: Tensor) -> Tensor:
        # The statistics of a feature are taken over batch and time alike.
        normalised = self.norm(sequence.flatten(0, 1)).view_as(sequence)
        return self.dropout(normalised)  # type: ignore[no-any-return]
