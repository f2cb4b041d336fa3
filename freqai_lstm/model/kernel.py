"""The training of the LSTM layers on a CPU, by hand: what torch's modules compute, in less time.

A network this small spends most of its time between the matrix products. So whatever can be done
for all time steps at once is, and what remains for each time step works in memory that is laid out
once, with the views of each time step: making one takes as long as a small operation on it.

Shapes: T time steps, B windows, I inputs, H hidden units. Rows are time steps and windows, time
first: N = T * B. Gates lie side by side in torch's order: input, forget, candidate, output.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_norm_backward = torch.ops.aten.native_batch_norm_backward

_UNIT = 2**16
"""A random number of 16 bits decides whether a value is dropped: quick to draw, and the share is
exact to 1/65536. What is kept is scaled by the very share that is kept."""


class TrainingMemory:
    """Working memory of a network, taken for a training step and given back with its graph.

    Two graphs never share any. A copy of it, and what is unpickled, starts empty.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[Any, ...], list[Memory]] = {}

    def take(self, *shape: Any) -> "Lease":
        """Return free memory for a number of layers, T, B, H and a dtype."""
        return Lease(self._free.setdefault(shape, []), *shape)

    def clear(self) -> None:
        """Let go of all free memory."""
        self._free = {}

    def __reduce__(self) -> tuple[type["TrainingMemory"], tuple[()]]:
        return TrainingMemory, ()


class Lease:
    """Holds memory for as long as the graph of one training step lives.

    :param free: Where the memory is taken from and given back to.
    :param shape: Number of layers, T, B, H and the dtype.
    """

    def __init__(self, free: list["Memory"], *shape: Any) -> None:
        self.free = free
        self.memory = free.pop() if free else Memory(*shape)

    def __del__(self) -> None:
        self.free.append(self.memory)


class ScratchStep(NamedTuple):
    """One time step of what the layers share: gates ``(B, 4 * H)``, and their parts."""

    gates: Tensor
    in_and_forget: Tensor
    candidate: Tensor
    out_gate: Tensor
    cell_gates: Tensor
    by_cell: Tensor
    by_hidden: Tensor
    cell_by_hidden: Tensor


class LayerStep(NamedTuple):
    """One time step of what a layer keeps: each ``(B, H)``, the first one both gates."""

    in_and_forget: Tensor
    in_gate: Tensor
    forget_gate: Tensor
    out_gate: Tensor
    candidate: Tensor
    last_cell: Tensor
    cell: Tensor
    tanh: Tensor
    hidden: Tensor


class Memory:
    """What a training step writes: what each layer keeps for the way back, and shared scratch.

    ``gates`` (N, 4 * H) holds the gates before their activation on the way there and their
    gradients on the way back; ``by_cell``, ``by_hidden`` and ``cell_by_hidden`` hold derivatives,
    ``grad`` (N, H) the gradient of a layer's output.
    """

    def __init__(
        self, layers: int, steps: int, batch: int, hidden_size: int, dtype: torch.dtype
    ) -> None:
        shape = (batch, hidden_size)
        self.gates = torch.empty(steps * batch, 4 * hidden_size, dtype=dtype)
        self.by_cell = torch.empty(steps, 3, *shape, dtype=dtype)
        self.by_hidden, self.cell_by_hidden = torch.empty(2, steps, *shape, dtype=dtype)
        self.grad_cell = torch.empty(shape, dtype=dtype)
        self.grad = torch.empty(steps * batch, hidden_size, dtype=dtype)
        self.bits = torch.empty(-(-self.grad.numel() // 4), dtype=torch.int64)
        gates = self.gates.view(steps, batch, 4, hidden_size).transpose(1, 2)
        self.each_step = list(
            map(
                ScratchStep,
                self.gates.view(steps, batch, -1),
                *(gates[:, :2], gates[:, 2], gates[:, 3], gates[:, :3]),
                *(self.by_cell, self.by_hidden, self.cell_by_hidden),
            )
        )
        self.layers = [LayerMemory(steps, shape, dtype) for _ in range(layers)]


class LayerMemory:
    """What one layer keeps for the way back.

    ``active`` (T, 3, B, H) holds input, forget and output gate. ``inner`` (T + 1, 2, B, H) holds
    the candidate of a time step and the cell before it, as input and forget gate multiply them; the
    first cell stays zero.
    """

    def __init__(self, steps: int, shape: tuple[int, int], dtype: torch.dtype) -> None:
        self.active = torch.empty(steps, 3, *shape, dtype=dtype)
        self.inner = torch.zeros(steps + 1, 2, *shape, dtype=dtype)
        self.tanh, self.hidden = torch.empty(2, steps, *shape, dtype=dtype)
        self.mask = torch.zeros(steps, *shape, dtype=dtype)
        self.rows: Tensor = self.hidden.flatten(0, 1)
        candidates, cells = self.inner.unbind(1)
        self.each_step = list(
            map(
                LayerStep,
                *(self.active[:, :2], *self.active.unbind(1)),
                *(candidates[:-1], cells[:-1], cells[1:]),
                *(self.tanh, self.hidden),
            )
        )


def train_layers(
    x: Tensor,
    lstms: Sequence[nn.LSTM],
    norms: Sequence[nn.BatchNorm1d],
    dropout: float,
    memory: TrainingMemory,
) -> Tensor:
    """Run stacked layers in training mode and return the output of the last time step.

    Each layer is an LSTM, batch normalisation over all rows and dropout; from the second one on the
    input of the layer is added to its output. The running statistics of the normalisation are
    updated, and the masks of the dropout are drawn from torch's generator.

    :param x: Input, shape ``(B, T, I)``, on the CPU; quickest if time comes first in memory.
    :param lstms: The LSTM of each layer, with biases, all of H hidden units.
    :param norms: The batch normalisation of each layer.
    :param dropout: Share of each layer's output to drop, in [0, 1).
    :param memory: Where the working memory is kept from step to step.
    :return: Last output of the last layer, shape ``(B, H)``.
    """
    parameters = [
        parameter
        for lstm, norm in zip(lstms, norms, strict=True)
        for parameter in (*lstm.all_weights[0], norm.weight, norm.bias)
    ]
    return _TrainLayers.apply(x, norms, dropout, memory, *parameters)  # type: ignore[no-untyped-call]


class _TrainLayers(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        norms: Sequence[nn.BatchNorm1d],
        dropout: float,
        training_memory: TrainingMemory,
        *parameters: Tensor,
    ) -> Tensor:
        batch, steps, inputs = x.shape
        lease = training_memory.take(len(norms), steps, batch, parameters[1].shape[1], x.dtype)
        memory: Memory = lease.memory
        kept = max(round((1 - dropout) * _UNIT), 1) / _UNIT
        rows = x.transpose(0, 1).reshape(-1, inputs)
        ctx.saved = []
        for depth, (layer, norm) in enumerate(zip(memory.layers, norms, strict=True)):
            weight_ih, weight_hh, bias_ih, bias_hh, weight, bias = parameters[6 * depth :][:6]
            torch.addmm(bias_ih + bias_hh, rows, weight_ih.t(), out=memory.gates)
            hidden = _run_forward(memory, layer, weight_hh)
            # What is kept is scaled up as a part of the normalisation, where it costs nothing.
            scale = weight * (1 / kept)
            output, *statistics = torch.native_batch_norm(
                hidden,
                scale,
                bias * (1 / kept),
                norm.running_mean,
                norm.running_var,
                training=True,
                momentum=norm.momentum or 0.0,
                eps=norm.eps,
            )
            norm.get_buffer("num_batches_tracked").add_(1)
            ctx.saved.append((rows, scale, *statistics))
            if kept < 1:
                # Of the last layer only the last time step goes on.
                needed = layer.mask if depth < len(norms) - 1 else layer.mask[-1:]
                _draw_mask(memory, needed, kept)
                output.mul_(layer.mask.view_as(output))
            rows = output if depth == 0 else output.add_(rows)
        ctx.lease, ctx.kept, ctx.shape, ctx.eps = lease, kept, x.shape, norms[0].eps
        ctx.save_for_backward(*parameters)
        return rows[-batch:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        memory: Memory = ctx.lease.memory
        batch, steps, inputs = ctx.shape
        parameters = ctx.saved_tensors
        gradients: list[Tensor] = []
        gates, grad = memory.gates, memory.grad
        grad[:-batch].zero_()
        grad[-batch:] = grad_output
        for depth in reversed(range(len(memory.layers))):
            layer, (rows, scale, *statistics) = memory.layers[depth], ctx.saved[depth]
            weight_ih, weight_hh = parameters[6 * depth :][:2]
            hidden, masked = layer.rows, grad
            if ctx.kept < 1:
                masked = grad * layer.mask.view_as(grad)
            grad_hidden, grad_scale, grad_shift = _norm_backward(
                masked, hidden, scale, None, None, *statistics, True, ctx.eps, [True] * 3
            )
            _run_backward(memory, layer, weight_hh, grad_hidden)
            grad_bias = gates.sum(0)
            gradients[:0] = [
                gates.t() @ rows,
                # The hidden state of a time step reaches the gates of the next one.
                gates[batch:].t() @ hidden[:-batch],
                grad_bias,
                grad_bias.clone(),
                grad_scale.mul_(1 / ctx.kept),
                grad_shift.mul_(1 / ctx.kept),
            ]
            if depth > 0:
                grad.addmm_(gates, weight_ih)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (gates @ parameters[0]).view(steps, batch, inputs).transpose(0, 1)
        return grad_x, None, None, None, *gradients


def _run_forward(memory: Memory, layer: LayerMemory, weight_hh: Tensor) -> Tensor:
    """Turn projected inputs into hidden states ``(N, H)``, one time step after another."""
    recurrence, last = weight_hh.t(), None
    for scratch, kept in zip(memory.each_step, layer.each_step, strict=True):
        if last is not None:
            scratch.gates.addmm_(last, recurrence)
        torch.sigmoid(scratch.in_and_forget, out=kept.in_and_forget)
        torch.tanh(scratch.candidate, out=kept.candidate)
        torch.sigmoid(scratch.out_gate, out=kept.out_gate)
        torch.mul(kept.in_gate, kept.candidate, out=kept.cell)
        kept.cell.addcmul_(kept.forget_gate, kept.last_cell)
        last = torch.mul(kept.out_gate, torch.tanh(kept.cell, out=kept.tanh), out=kept.hidden)
    return layer.rows


def _run_backward(memory: Memory, layer: LayerMemory, weight_hh: Tensor, grad_rows: Tensor) -> None:
    """Turn the gradient of hidden states into that of the gates, the last time step first."""
    active, inner, out_gate = layer.active, layer.inner[:-1], layer.active[:, 2]
    # How the cell and the hidden state depend on the gates is known for all time steps at once.
    _sigmoid_backward(inner, active[:, :2], grad_input=memory.by_cell[:, :2])
    _tanh_backward(active[:, 0], inner[:, 0], grad_input=memory.by_cell[:, 2])
    _sigmoid_backward(layer.tanh, out_gate, grad_input=memory.by_hidden)
    _tanh_backward(out_gate, layer.tanh, grad_input=memory.cell_by_hidden)
    grad_cell = memory.grad_cell.zero_()
    next_gates = next_forget = None
    grads = grad_rows.view_as(layer.hidden).unbind()
    for grad, scratch, kept in zip(
        reversed(grads), reversed(memory.each_step), reversed(layer.each_step), strict=True
    ):
        if next_gates is not None and next_forget is not None:
            grad.addmm_(next_gates, weight_hh)
            grad_cell.mul_(next_forget)
        grad_cell.addcmul_(grad, scratch.cell_by_hidden)
        torch.mul(scratch.by_cell, grad_cell, out=scratch.cell_gates)
        torch.mul(scratch.by_hidden, grad, out=scratch.out_gate)
        next_gates, next_forget = scratch.gates, kept.forget_gate


def _draw_mask(memory: Memory, mask: Tensor, kept: float) -> None:
    """Draw a mask: 1 for each value that is kept, 0 for the others."""
    bits = memory.bits[: -(-mask.numel() // 4)].random_(-(2**63), None).view(torch.int16)
    threshold = round(kept * _UNIT) - _UNIT // 2
    torch.lt(bits[: mask.numel()].view_as(mask), threshold, out=mask)
