"""A deep ensemble: networks of one shape, each trained from a seed of its own.

Their mean is the prediction. Where they differ, the data did not decide what they learned, so how
far they differ says how uncertain the prediction is. They differ by less than they err, though:
what no network can know is the same for all of them. A factor for each label, measured on the test
split, makes up for that.

Shapes: N members, W windows, L labels. Source: Lakshminarayanan et al. (2017), deep ensembles.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from freqai_lstm.model.network import PyTorchLSTMModel, build_network
from freqai_lstm.model.training import TrainingHistory, predict_windows, seeded
from freqai_lstm.settings import ModelTrainingParameters


@dataclass(frozen=True)
class Member:
    """A network with its optimizer, and the seed of its weights, dropout and order of windows."""

    model: PyTorchLSTMModel
    optimizer: torch.optim.AdamW
    seed: int

    def state(self) -> dict[str, Any]:
        """Return what to save, every tensor on the CPU."""
        return {
            "model_state_dict": _on_cpu(self.model.state_dict()),
            "optimizer_state_dict": _on_cpu(self.optimizer.state_dict()),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a state, sharing nothing with where it came from."""
        self.model.load_state_dict(state["model_state_dict"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer_state_dict"]))


def make_members(
    network: dict[str, Any], parameters: ModelTrainingParameters, seed: int, device: str
) -> list[Member]:
    """Build untrained networks; the first one is that of an ensemble of one.

    :param parameters: How many, and the settings of their optimizers.
    :param seed: Seed of the first one; the others take those that follow.
    """
    members = []
    for own_seed in range(seed, seed + parameters.model_kwargs.ensemble_size):
        with seeded(own_seed):
            model = build_network(network).to(device)
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=parameters.learning_rate,
            weight_decay=parameters.trainer_kwargs.weight_decay,
            fused=device != "mps",
        )
        members.append(Member(model, optimizer, own_seed))
    return members


def predict_members(members: Sequence[Member], features: Tensor, ends: Tensor) -> Tensor:
    """Let each network predict the labels of the rows that end a whole window.

    :param features: Scaled features, shape ``(rows, features)``, float32.
    :param ends: Rows to predict, shape ``(W,)``, int64.
    :return: Scaled labels, shape ``(N, W, L)``.
    :raises WindowError: If the number of features differs from what the networks were built for.
    """
    return torch.stack([predict_windows(member.model, features, ends) for member in members])


def calibrate(predicted: Tensor, labels: Tensor) -> list[float]:
    """Return the factor on each label's spread that makes it as large as the error.

    On these windows, the mean square of the error is then that of the spread.

    :param predicted: Scaled labels of what the networks were not trained on, shape ``(N, W, L)``,
        N at least two.
    :param labels: The true ones, shape ``(W, L)``.
    :return: 1 for a label that all networks predict alike.
    """
    error = (predicted.mean(dim=0) - labels).square().mean(dim=0)
    variance = predicted.std(dim=0).square().mean(dim=0)
    return [
        math.sqrt(of_error / of_members) if of_members > 0 else 1.0
        for of_error, of_members in zip(error.tolist(), variance.tolist(), strict=True)
    ]


def mean_history(histories: Sequence[TrainingHistory]) -> TrainingHistory:
    """Return the mean figures of each epoch over the members that it still trained."""
    mean = TrainingHistory()
    for name in vars(mean):
        epochs = zip_longest(*(vars(each)[name] for each in histories))
        vars(mean)[name] = [fmean(x for x in epoch if x is not None) for epoch in epochs]
    return mean


def _on_cpu(state: Any) -> Any:
    """Return a state dictionary with every tensor on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: _on_cpu(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_on_cpu(value) for value in state]
    return state
