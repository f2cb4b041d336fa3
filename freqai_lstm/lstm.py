"""One layer of the network on a CPU, by hand: LSTM, batch normalisation and dropout.

The numbers are those of torch's ``nn.LSTM``, ``nn.BatchNorm1d`` and ``nn.Dropout``; the time is
not. A network this small spends most of it between the matrix products, so everything that can be
done for all time steps at once is, and what remains per time step works in memory that is laid out
once.

Shapes: T time steps, B windows, I inputs, H hidden units. Rows are time steps and windows, time
first: N = T * B. Gates lie side by side in torch's order: input, forget, cell, output.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input

_UNIT = 2**16
"""A random number of 16 bits decides what is dropped: quick to draw, and the share is exact to
1/65536. Kept values are scaled by the very share that is kept."""


def advance(gates: Tensor, weight_hh: Tensor, hidden: Tensor, cell: Tensor) -> None:
    """Advance an LSTM by one time step, in place, without gradients.

    :param gates: Projected input with both biases, shape ``(B, 4 * H)``; overwritten.
    :param weight_hh: Weights of the recurrence, shape ``(4 * H, H)``.
    :param hidden: Hidden state, shape ``(B, H)``; overwritten.
    :param cell: Cell state, shape ``(B, H)``; overwritten.
    """
    in_gate, forget_gate, candidate, out_gate = gates.addmm_(hidden, weight_hh.t()).chunk(4, dim=1)
    cell.mul_(forget_gate.sigmoid_()).addcmul_(in_gate.sigmoid_(), candidate.tanh_())
    torch.mul(out_gate.sigmoid_(), cell.tanh(), out=hidden)


class LayerMemory:
    """Working memory of a layer, taken for a training step and given back when its graph is gone.

    Two graphs never share any. A copy of it, and what is unpickled, starts empty.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[Any, ...], list[_Memory]] = {}

    def take(self, *shape: Any) -> "_Lease":
        """Return free memory for T, B, H and a dtype."""
        return _Lease(self._free.setdefault(shape, []), *shape)

    def clear(self) -> None:
        """Let go of all free memory."""
        self._free = {}

    def __reduce__(self) -> tuple[type["LayerMemory"], tuple[()]]:
        return LayerMemory, ()


class _Lease:
    """Holds memory for as long as the graph of one training step lives."""

    def __init__(self, free: list["_Memory"], *shape: Any) -> None:
        self.free = free
        self.memory = free.pop() if free else _Memory(*shape)

    def __del__(self) -> None:
        self.free.append(self.memory)


class _Memory:
    """What a training step of one layer writes, and the views of it for each time step."""

    def __init__(self, steps: int, batch: int, hidden_size: int, dtype: torch.dtype) -> None:
        rows, size = steps * batch, hidden_size
        self.gates, self.grad_gates = torch.empty(2, rows, 4 * size, dtype=dtype)
        states = torch.empty(6, rows, size, dtype=dtype)
        self.cell, self.cell_tanh, self.hidden, self.centred, self.mask, self.scratch = states
        self.bits = torch.empty(-(-rows * size // 4), dtype=torch.int64)
        self.grad_cell = torch.empty(batch, size, dtype=dtype)

        self.each_gate = self.gates.chunk(4, dim=1)
        self.each_grad = self.grad_gates.chunk(4, dim=1)
        in_gate, forget_gate, candidate, out_gate = self.each_gate
        self.forward_views = self._per_step(
            batch,
            *(self.gates, self.gates[:, : 2 * size]),
            *(in_gate, forget_gate, candidate, out_gate),
            *(self.cell, self.cell_tanh, self.hidden),
        )
        # The gradients of three gates follow from that of the cell, in one product.
        by_cell = self.grad_gates[:, : 3 * size].unflatten(1, (3, size))
        self.backward_views = self._per_step(
            batch, self.grad_gates, by_cell, self.each_grad[3], forget_gate, self.scratch
        )[::-1]
        self.grad_cell_of_gates = self.grad_cell.unsqueeze(1)

    @staticmethod
    def _per_step(batch: int, *rows: Tensor) -> list[tuple[Tensor, ...]]:
        return list(zip(*(part.split(batch) for part in rows), strict=True))


def train_layer(
    x: Tensor, lstm: nn.LSTM, norm: nn.BatchNorm1d, dropout: float, memory: LayerMemory
) -> Tensor:
    """Run a layer in training mode: LSTM, batch normalisation over all rows, dropout.

    The running statistics of the normalisation are updated. The mask of the dropout is drawn from
    torch's generator.

    :param x: Input, shape ``(T, B, I)``, on the CPU.
    :param lstm: One LSTM layer with biases.
    :param norm: Batch normalisation of its H outputs.
    :param dropout: Share of the outputs to drop, in [0, 1).
    :param memory: Where this layer keeps its working memory.
    :return: Output, shape ``(T, B, H)``.
    """
    weights = (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0)
    output: Tensor = _TrainLayer.apply(  # type: ignore[no-untyped-call]
        x, *weights, norm.weight, norm.bias, norm, dropout, memory
    )
    return output


class _TrainLayer(Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        norm: nn.BatchNorm1d,
        dropout: float,
        layer_memory: LayerMemory,
    ) -> Tensor:
        steps, batch, inputs = x.shape
        lease = layer_memory.take(steps, batch, weight_hh.shape[1], x.dtype)
        memory: _Memory = lease.memory
        x = x.reshape(-1, inputs)
        torch.addmm(bias_ih + bias_hh, x, weight_ih.t(), out=memory.gates)
        _run_forward(memory, weight_hh)

        rows = len(x)
        mean = memory.hidden.sum(0).div_(rows)
        centred = torch.sub(memory.hidden, mean, out=memory.centred)
        variance = torch.mul(centred, centred, out=memory.scratch).sum(0).div_(rows)
        _update_running_statistics(norm, mean, variance * (rows / (rows - 1)))
        # Scaling what is kept costs nothing as a part of the normalisation.
        kept = max(round((1 - dropout) * _UNIT), 1) / _UNIT
        deviation_inverse = variance.add_(norm.eps).rsqrt_()
        scale = (deviation_inverse * norm_weight).div_(kept)
        output = torch.addcmul(norm_bias / kept, centred, scale)
        if kept < 1:
            output.mul_(_draw_mask(memory, kept))

        ctx.lease, ctx.kept, ctx.shape = lease, kept, (steps, batch, inputs)
        ctx.save_for_backward(x, weight_ih, weight_hh, deviation_inverse, scale)
        return output.view(steps, batch, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight_ih, weight_hh, deviation_inverse, scale = ctx.saved_tensors
        memory: _Memory = ctx.lease.memory
        batch, rows = ctx.shape[1], len(x)
        grad = grad_output.reshape(rows, -1)
        if ctx.kept < 1:
            grad = grad * memory.mask
        grad_bias = grad.sum(0)
        grad_weight = torch.mul(grad, memory.centred, out=memory.scratch).sum(0)
        grad_weight.mul_(deviation_inverse)
        # Through the mean and the variance of the batch.
        by_mean = (grad_bias * scale).div_(-rows)
        by_variance = (grad_weight * scale).mul_(deviation_inverse).div_(-rows)
        grad_hidden = torch.addcmul(by_mean, grad, scale).addcmul_(memory.centred, by_variance)

        _run_backward(memory, weight_hh, grad_hidden, batch)
        grad_gates = memory.grad_gates
        grad_lstm_bias = grad_gates.sum(0)
        return (
            (grad_gates @ weight_ih).view(ctx.shape) if ctx.needs_input_grad[0] else None,
            grad_gates.t() @ x,
            # The hidden state of a step reaches the gates of the next one.
            grad_gates[batch:].t() @ memory.hidden[: rows - batch],
            grad_lstm_bias,
            grad_lstm_bias.clone(),
            grad_weight.div_(ctx.kept),
            grad_bias.div_(ctx.kept),
            *(None, None, None),
        )


def _run_forward(memory: _Memory, weight_hh: Tensor) -> None:
    """Turn the projected input into gates, cells and hidden states, one time step after another."""
    recurrence = weight_hh.t()
    last_cell = last_hidden = None
    for views in memory.forward_views:
        gates, in_and_forget, in_gate, forget_gate, candidate, out_gate, cell, tanh, hidden = views
        if last_hidden is not None:
            gates.addmm_(last_hidden, recurrence)
        in_and_forget.sigmoid_()
        torch.mul(in_gate, candidate.tanh_(), out=cell)
        if last_cell is not None:
            cell.addcmul_(forget_gate, last_cell)
        torch.mul(out_gate.sigmoid_(), torch.tanh(cell, out=tanh), out=hidden)
        last_cell, last_hidden = cell, hidden


def _run_backward(memory: _Memory, weight_hh: Tensor, grad_hidden: Tensor, batch: int) -> None:
    """Turn gradients of the hidden states into those of the gates, the last time step first."""
    in_gate, forget_gate, candidate, out_gate = memory.each_gate
    by_in, by_forget, by_candidate, by_out = memory.each_grad
    rows = len(forget_gate)
    # What each gate does to the cell, or to the hidden state, does not depend on other time steps.
    _sigmoid_backward(candidate, in_gate, grad_input=by_in)
    by_forget[:batch].zero_()
    _sigmoid_backward(
        memory.cell[: rows - batch], forget_gate[batch:], grad_input=by_forget[batch:]
    )
    _tanh_backward(in_gate, candidate, grad_input=by_candidate)
    _sigmoid_backward(memory.cell_tanh, out_gate, grad_input=by_out)
    _tanh_backward(out_gate, memory.cell_tanh, grad_input=memory.scratch)

    grad_cell = memory.grad_cell
    next_gates = next_forget = None
    for grad, views in zip(reversed(grad_hidden.split(batch)), memory.backward_views, strict=True):
        gates, by_cell, output, forget_gate, cell_of_hidden = views
        if next_gates is None or next_forget is None:
            torch.mul(grad, cell_of_hidden, out=grad_cell)
        else:
            grad.addmm_(next_gates, weight_hh)
            grad_cell.mul_(next_forget).addcmul_(grad, cell_of_hidden)
        by_cell.mul_(memory.grad_cell_of_gates)
        output.mul_(grad)
        next_gates, next_forget = gates, forget_gate


def _update_running_statistics(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """Let the statistics used in evaluation follow those of the batch."""
    momentum = norm.momentum or 0.0
    norm.get_buffer("running_mean").lerp_(mean, momentum)
    norm.get_buffer("running_var").lerp_(variance, momentum)
    norm.get_buffer("num_batches_tracked").add_(1)


def _draw_mask(memory: _Memory, kept: float) -> Tensor:
    """Draw a mask: 1 for each value that is kept, 0 for the others."""
    bits = memory.bits.random_(-(2**63), None).view(torch.int16)[: memory.mask.numel()]
    threshold = round(kept * _UNIT) - _UNIT // 2
    return torch.lt(bits.view_as(memory.mask), threshold, out=memory.mask)
