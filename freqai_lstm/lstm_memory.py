"""The working memory of a training step on a CPU, laid out once and used again.

Making a view of a tensor takes as long as a small operation on it, so the views of each time step
are made with the memory.

Shapes: T time steps, B windows, H hidden units; N = T * B rows, time first.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


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
