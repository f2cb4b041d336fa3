"""One step of the training: torch only, and on CUDA captured as a graph.

Nothing in a step waits for the device: losses and norms are summed up where they arise. On CUDA the
many kernels of a small network take longer to launch than to run, and a graph launches all of a
step at once.
"""

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from freqai_lstm.model import PyTorchLSTMModel
from freqai_lstm.windows import gather_windows

logger = logging.getLogger(__name__)

_WARM_UP_STEPS = 3
"""Steps before a capture, in which libraries choose their algorithms and allocate their memory."""


@dataclass(frozen=True)
class Split:
    """One split of the data on the device: features of all rows, and the windows over them.

    Shapes: ``features`` (rows, features), ``labels`` (rows, labels), ``weights`` (rows,), ``ends``
    (windows,).
    """

    features: Tensor
    labels: Tensor
    weights: Tensor
    ends: Tensor


class TrainingStep:
    """Fits the network to a batch of windows, and adds up losses and gradient norms on the device.

    :param model: The network, in training mode.
    :param optimizer: The optimizer of its parameters.
    :param split: What to train on.
    :param max_grad_norm: Norm the gradient is clipped to; None for no clipping.
    """

    def __init__(
        self,
        model: PyTorchLSTMModel,
        optimizer: Optimizer,
        split: Split,
        max_grad_norm: float | None,
    ) -> None:
        self.model, self.optimizer, self.split = model, optimizer, split
        self.max_grad_norm = max_grad_norm
        self.parameters = list(model.parameters())
        self.sums = torch.zeros(2, device=split.features.device)

    def __call__(self, ends: Tensor) -> None:
        """Train on the windows that end at the given rows, shape ``(batch,)``."""
        split = self.split
        for parameter in self.parameters:
            parameter.grad = None
        predicted = self.model(gather_windows(split.features, ends, self.model.window_size))
        squared_error = (predicted - split.labels[ends]).square().mean(dim=1)
        loss = (squared_error * split.weights[ends]).mean()
        loss.backward()
        self.sums += torch.stack([loss.detach(), self._clip_and_step()])

    def take_sums(self) -> list[float]:
        """Return the sums of losses and gradient norms since the last call."""
        sums: list[float] = self.sums.tolist()
        self.sums.zero_()
        return sums

    def _clip_and_step(self) -> Tensor:
        """Let the optimizer step with a clipped gradient, and return the norm it had before."""
        norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.max_grad_norm is None:
            self.optimizer.step()
        elif self.optimizer.defaults.get("fused"):
            # A fused optimizer divides the gradient on its way, without a pass of its own.
            scale = (norm / self.max_grad_norm).clamp(min=1).float()
            self.optimizer.grad_scale = scale  # type: ignore[attr-defined]
            self.optimizer.step()
            self.optimizer.grad_scale = None  # type: ignore[attr-defined]
        else:
            clip_grads_with_norm_(self.parameters, self.max_grad_norm, norm)
            self.optimizer.step()
        return norm


class CapturedStep(TrainingStep):
    """The same step on CUDA, captured as a graph after a few steps and replayed from then on.

    Batches of another size than the first one, and all batches where the capture fails, run as they
    would without a graph.
    """

    def __init__(
        self,
        model: PyTorchLSTMModel,
        optimizer: Optimizer,
        split: Split,
        max_grad_norm: float | None,
    ) -> None:
        super().__init__(model, optimizer, split, max_grad_norm)
        self._warm_up_left = _WARM_UP_STEPS
        self._ends: Tensor | None = None
        self._rates: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._fails = False

    def __call__(self, ends: Tensor) -> None:
        """Train on the windows that end at the given rows, shape ``(batch,)``."""
        if self._ends is None:
            self._ends = ends.clone()
        if self._fails or len(ends) != len(self._ends):
            super().__call__(ends)
        elif self._warm_up_left > 0:
            self._warm_up_left -= 1
            self._run_aside(ends)
        else:
            self._ends.copy_(ends)
            self._replay(self._ends)

    def _run_aside(self, ends: Tensor) -> None:
        """Run a step on a stream of its own, as a capture will."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            super().__call__(ends)
        torch.cuda.current_stream().wait_stream(stream)

    def _replay(self, ends: Tensor) -> None:
        if self._graph is None:
            try:
                self._graph = self._capture(ends)
            except RuntimeError as error:
                logger.warning(f"Training without a CUDA graph, since its capture failed: {error}")
                self._fails = True
                super().__call__(ends)
                return
        for rate, group in zip(self._rates, self.optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        self._graph.replay()

    def _capture(self, ends: Tensor) -> torch.cuda.CUDAGraph:
        """Capture a step on what ``ends`` will hold, without running it."""
        groups = self.optimizer.param_groups
        kept: list[dict[str, Any]] = [
            {str(key): group[key] for key in ("lr", "capturable") if key in group}
            for group in groups
        ]
        # The schedule changes the learning rate on the host; a graph can only read the device.
        self._rates = [torch.tensor(group["lr"], device=ends.device) for group in groups]
        graph = torch.cuda.CUDAGraph()
        for group, rate in zip(groups, self._rates, strict=True):
            group.update(dict.fromkeys(group.keys() & {"capturable"}, True), lr=rate)
        try:
            with torch.cuda.graph(graph):
                super().__call__(ends)
        finally:
            for group, values in zip(groups, kept, strict=True):
                group.update(values)
        return graph
