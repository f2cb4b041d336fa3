"""AdamW over stacked weights, as if each network had an optimizer of its own."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class StackedAdamW:
    """Steps each network by its own gradient norm, learning rate and count of steps.

    :param parameters: Stacked weights by name, each of shape ``(M, ...)``.
    :param optimizers: An AdamW of each network, unused so far; they give the settings, which are
        the same for all.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], optimizers: Sequence[torch.optim.AdamW]
    ) -> None:
        self.parameters = list(parameters.values())
        self.optimizers = optimizers
        self.averages = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = self.parameters[0].new_zeros(len(optimizers))

    @torch.no_grad()
    def step(self, active: Tensor, rates: Tensor, max_grad_norm: float | None) -> Tensor:
        """Step by the gradients and clear them.

        :param active: Which networks step, shape ``(M,)``, bool; the others stay as they are.
        :param rates: The learning rate of each, shape ``(M,)``.
        :param max_grad_norm: Norm that each network's gradient is clipped to; None for no clipping.
        :return: The norm of each network's gradient before clipping, shape ``(M,)``.
        """
        gradients = [_gradient(parameter) for parameter in self.parameters]
        norms = sum(
            (gradient.flatten(1).square().sum(dim=1) for gradient in gradients),
            start=torch.zeros_like(rates),
        ).sqrt()
        clip = torch.ones_like(norms)
        if max_grad_norm is not None:
            clip = (max_grad_norm / (norms + 1e-6)).clamp(max=1)
        settings = self.optimizers[0].param_groups[0]
        (beta1, beta2), epsilon = settings["betas"], settings["eps"]
        self.steps += active
        taken = self.steps.clamp(min=1)
        size, root = rates / (1 - beta1**taken), (1 - beta2**taken).sqrt()
        for parameter, gradient, average, square in zip(
            self.parameters, gradients, self.averages, self.squares, strict=True
        ):
            clipped = gradient * per_network(clip, gradient)
            steps = per_network(active, parameter)
            average.copy_(torch.where(steps, average.lerp(clipped, 1 - beta1), average))
            square.copy_(torch.where(steps, square.lerp(clipped.square(), 1 - beta2), square))
            decayed = parameter * (1 - per_network(rates, parameter) * settings["weight_decay"])
            spread = square.sqrt() / per_network(root, parameter) + epsilon
            stepped = decayed - per_network(size, parameter) * average / spread
            parameter.copy_(torch.where(steps, stepped, parameter))
            parameter.grad = None
        return norms

    def unstack(self, rates: Sequence[float]) -> None:
        """Give each network's optimizer its state, and its last learning rate."""
        for number, (optimizer, rate) in enumerate(zip(self.optimizers, rates, strict=True)):
            (group,) = optimizer.param_groups
            group["lr"] = rate
            for parameter, average, square in zip(
                group["params"], self.averages, self.squares, strict=True
            ):
                optimizer.state[parameter] = {
                    "step": self.steps[number].clone(),
                    "exp_avg": average[number].clone(),
                    "exp_avg_sq": square[number].clone(),
                }


def per_network(values: Tensor, stack: Tensor) -> Tensor:
    """Return a value for each network, shape ``(M,)``, in a shape that broadcasts over a stack."""
    return values.view(-1, *[1] * (stack.dim() - 1))


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
