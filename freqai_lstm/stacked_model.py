"""Many networks of one shape as a single one: stacked weights, batched matrix products.

A small LSTM leaves a GPU idle, since launching a kernel takes longer than running it. Stacked, M
networks take as many launches as one. ``torch.func.vmap`` cannot go over ``nn.LSTM``, so its steps
are written out.

Shapes: M networks, B windows in a batch of each, T candles, F features, H hidden units, L labels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import stack_module_state

from freqai_lstm.model import PyTorchLSTMModel


class StackedLSTMModel:
    """Networks of one shape, each with weights and batches of its own.

    None of them influences another, and each computes what it would compute alone, but for
    rounding and for the dropout's random numbers.

    :param models: The networks. They keep their weights until :meth:`unstack`.
    """

    def __init__(self, models: Sequence[PyTorchLSTMModel]) -> None:
        self.models: Sequence[Any] = models
        self.window_size = models[0].window_size
        self.parameters, self.buffers = stack_module_state(list(models))
        self.training = True

    def __call__(self, x: Tensor, valid: Tensor) -> Tensor:
        """Predict the labels of the last candle of each window.

        :param x: Scaled features, shape ``(M, B, T, F)``, oldest first.
        :param valid: Which windows count, shape ``(M, B)``, bool. The others fill up the batch of a
            network that has fewer; they influence nothing.
        :return: Scaled labels, shape ``(M, B, L)``.
        """
        hidden = self._layer(0, x, valid)
        for depth in range(1, len(self.models[0].layers)):
            hidden = hidden + self._layer(depth, hidden, valid)
        last = torch.relu(self._linear("head.0", hidden[:, :, -1]))
        dropout = self.models[0].head[2]
        last = nn.functional.alpha_dropout(last, dropout.p, self.training)
        labels = self._linear("head.3", last)
        if self.models[0].skip is None:
            return labels
        return labels + torch.bmm(x[:, :, -1], self.parameters["skip.weight"].mT)

    def unstack(self) -> None:
        """Give each network its weights."""
        for number, model in enumerate(self.models):
            model.load_state_dict(
                {name: stack[number] for name, stack in (self.parameters | self.buffers).items()}
            )

    def _layer(self, depth: int, x: Tensor, valid: Tensor) -> Tensor:
        """Run LSTM, batch normalisation and dropout: ``(M, B, T, inputs)`` to ``(M, B, T, H)``."""
        lstm = f"layers.{depth}.lstm"
        models, batch, steps, _ = x.shape
        bias = self.parameters[f"{lstm}.bias_ih_l0"] + self.parameters[f"{lstm}.bias_hh_l0"]
        inputs = torch.baddbmm(
            bias.unsqueeze(1), x.flatten(1, 2), self.parameters[f"{lstm}.weight_ih_l0"].mT
        ).view(models, batch, steps, -1)
        recurrent = self.parameters[f"{lstm}.weight_hh_l0"].mT
        hidden = cell = x.new_zeros(models, batch, recurrent.shape[1])
        outputs = []
        for step in range(steps):
            gates = torch.baddbmm(inputs[:, :, step], hidden, recurrent)
            let_in, forget, new, out = gates.chunk(4, dim=-1)
            cell = forget.sigmoid() * cell + let_in.sigmoid() * new.tanh()
            hidden = out.sigmoid() * cell.tanh()
            outputs.append(hidden)
        normalised = self._normalise(depth, torch.stack(outputs, dim=2), valid)
        dropout = self.models[0].layers[depth].dropout
        return nn.functional.dropout(normalised, dropout.p, self.training)

    def _normalise(self, depth: int, x: Tensor, valid: Tensor) -> Tensor:
        """Normalise each feature over the candles of the valid windows."""
        name, norm = f"layers.{depth}.norm", self.models[0].layers[depth].norm
        if self.training:
            counted = valid[:, :, None, None].to(x.dtype)
            count = (valid.sum(dim=1) * x.shape[2])[:, None, None, None]
            mean = (x * counted).sum(dim=(1, 2), keepdim=True) / count.clamp(min=1)
            square = ((x - mean).square() * counted).sum(dim=(1, 2), keepdim=True)
            variance = square / count.clamp(min=1)
            with torch.no_grad():
                share = norm.momentum * valid.any(dim=1).to(x.dtype).unsqueeze(1)
                unbiased = square / (count - 1).clamp(min=1)
                for statistic, new in (("mean", mean), ("var", unbiased)):
                    self.buffers[f"{name}.running_{statistic}"].lerp_(new[:, 0, 0], share)
                self.buffers[f"{name}.num_batches_tracked"] += valid.any(dim=1)
        else:
            mean = self.buffers[f"{name}.running_mean"][:, None, None]
            variance = self.buffers[f"{name}.running_var"][:, None, None]
        scale = self.parameters[f"{name}.weight"][:, None, None] * (variance + norm.eps).rsqrt()
        normalised: Tensor = (x - mean) * scale + self.parameters[f"{name}.bias"][:, None, None]
        return normalised

    def _linear(self, name: str, x: Tensor) -> Tensor:
        weight = self.parameters[f"{name}.weight"]
        return torch.baddbmm(self.parameters[f"{name}.bias"].unsqueeze(1), x, weight.mT)
