"""Trains many networks in one go: one set of settings, but data, seeds and ends of their own.

What :func:`~freqai_lstm.training.train_windows` does for one network after another, with the same
results but for rounding and, with dropout, other random numbers. A network that has fewer windows
than others, or has stopped, waits for them: its weights do not change meanwhile.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from freqai_lstm.exceptions import TrainingError
from freqai_lstm.model import PyTorchLSTMModel
from freqai_lstm.settings import TrainerSettings
from freqai_lstm.stacked_model import StackedLSTMModel
from freqai_lstm.stacked_optimizer import StackedAdamW, per_network
from freqai_lstm.training import LOWEST_RATE, TrainingHistory, seeded
from freqai_lstm.training_step import Split

_EVALUATION_BATCH = 256
"""Windows of each network predicted at once."""


@dataclass(frozen=True)
class Candidate:
    """A network with what it is to be trained on.

    ``optimizer`` is an unused AdamW of its parameters, and holds its state afterwards. ``train``
    has at least two windows; ``test`` is watched for early stopping and the plateau schedule.
    ``seed`` orders the windows.
    """

    model: PyTorchLSTMModel
    optimizer: torch.optim.AdamW
    train: Split
    test: Split | None
    seed: int


def train_stacked(
    candidates: Sequence[Candidate], settings: TrainerSettings
) -> list[TrainingHistory | TrainingError]:
    """Train networks of one shape together, each until its own end.

    Each ends with the weights of its best epoch if early stopping is on, else of its last.

    :param candidates: The networks, on one device, with equal numbers of features and labels.
    :param settings: How long and how to train.
    :return: For each, the figures of its epochs, or why it has none: a diverged network does not
        stop the others.
    """
    runs = [_Run(candidate, settings) for candidate in candidates]
    stacked = StackedLSTMModel([candidate.model for candidate in candidates])
    optimizer = StackedAdamW(stacked.parameters, [candidate.optimizer for candidate in candidates])
    train = _StackedSplit([candidate.train for candidate in candidates])
    test = _StackedSplit([candidate.test or candidate.train for candidate in candidates])
    weights = stacked.parameters | stacked.buffers
    best = {name: weight.detach().clone() for name, weight in weights.items()}
    with seeded(candidates[0].seed):
        while any(trained := [run.goes_on for run in runs]):
            losses, norms = _train_epoch(stacked, optimizer, train, runs, settings.max_grad_norm)
            test_losses = _mean_losses(stacked, test)
            kept = torch.tensor(
                [
                    was_trained and run.end_epoch(*figures)
                    for run, was_trained, *figures in zip(
                        runs, trained, losses, norms, test_losses, strict=True
                    )
                ],
                device=train.features.device,
            )
            for name, weight in weights.items():
                best[name] = torch.where(per_network(kept, weight), weight.detach(), best[name])
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(best[name])
    stacked.unstack()
    optimizer.unstack([run.rate for run in runs])
    for candidate in candidates:
        candidate.model.eval()
    return [run.error or run.history for run in runs]


class _Run:
    """How far the training of one network is."""

    def __init__(self, candidate: Candidate, settings: TrainerSettings) -> None:
        self.settings = settings
        self.ends = candidate.train.ends
        self.has_test = candidate.test is not None
        self.batch_size = min(settings.batch_size, len(self.ends))
        # A last batch of a single window would have no batch statistics.
        rest = len(self.ends) % self.batch_size
        self.batches_per_epoch = len(self.ends) // self.batch_size + (rest > 1)
        epochs = settings.n_epochs or 0
        self.n_steps = epochs * self.batches_per_epoch or settings.n_steps or 0
        self.step = 0
        self.order = torch.Generator().manual_seed(candidate.seed)
        self.history = TrainingHistory()
        self.error: TrainingError | None = None
        self.best_loss, self.epochs_since = float("inf"), 0
        self.first_rate: float = candidate.optimizer.param_groups[0]["lr"]
        # The schedule only needs something to set a rate on.
        self.rated = torch.optim.SGD([torch.zeros(1)], lr=self.first_rate)
        floor = LOWEST_RATE * candidate.optimizer.defaults["lr"]
        self.plateau = ReduceLROnPlateau(self.rated, factor=0.5, patience=1, min_lr=floor)

    @property
    def goes_on(self) -> bool:
        """Whether there is an epoch left."""
        patience = self.settings.early_stopping_patience
        stopped = patience > 0 and self.epochs_since >= patience
        return self.step < self.n_steps and not stopped and self.error is None

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        if self.settings.lr_schedule == "cosine":
            return self.first_rate * (1 + math.cos(math.pi * self.step / self.n_steps)) / 2
        rate: float = self.rated.param_groups[0]["lr"]
        return rate

    def batches(self) -> list[Tensor]:
        """Return the rows that the windows of the next epoch's batches end at."""
        if not self.goes_on:
            return []
        shuffled = self.ends[torch.randperm(len(self.ends), generator=self.order)]
        steps = min(self.batches_per_epoch, self.n_steps - self.step)
        return list(torch.split(shuffled, self.batch_size)[:steps])

    def end_epoch(self, loss: float, norm: float, test_loss: float) -> bool:
        """Take note of an epoch's figures, and say whether to keep its weights."""
        if not math.isfinite(loss):
            epoch = len(self.history.train_loss) + 1
            self.error = TrainingError(
                f"training diverged: the loss must be finite, was {loss} in epoch {epoch}; a lower "
                f"learning_rate or max_grad_norm helps"
            )
            return False
        watched = test_loss if self.has_test else loss
        self.history.record(
            train_loss=loss,
            test_loss=test_loss if self.has_test else None,
            learning_rate=self.rate,
            grad_norm=norm,
        )
        if self.settings.lr_schedule == "plateau":
            self.plateau.step(watched)
        better = watched < self.best_loss
        self.best_loss = min(watched, self.best_loss)
        self.epochs_since = 0 if better else self.epochs_since + 1
        return better or self.settings.early_stopping_patience == 0


class _StackedSplit:
    """The same split of all networks, with rows of zeros where one has fewer than others."""

    def __init__(self, splits: Sequence[Split]) -> None:
        self.ends = [split.ends for split in splits]
        self.features = _padded([split.features for split in splits])
        self.labels = _padded([split.labels for split in splits])
        self.weights = _padded([split.weights for split in splits])
        self.numbers = torch.arange(len(splits), device=self.features.device).unsqueeze(1)

    def batch(self, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the ends of each network's windows, and which of them count, ``(M, B)`` both."""
        valid = _padded([torch.ones_like(ends, dtype=torch.bool) for ends in batches])
        # What fills up must be a whole window too.
        fill = torch.stack([ends[0] for ends in self.ends]).unsqueeze(1)
        return torch.where(valid, _padded(batches), fill), valid

    def windows(self, ends: Tensor, window_size: int) -> Tensor:
        """Return the windows that end at the given rows, ``(M, B, T, F)``."""
        offsets = torch.arange(1 - window_size, 1, device=ends.device)
        return self.features[self.numbers.unsqueeze(2), ends.unsqueeze(2) + offsets]

    def squared_error(self, predicted: Tensor, ends: Tensor) -> Tensor:
        """Return each window's squared error, the mean over its labels, ``(M, B)``."""
        return (predicted - self.labels[self.numbers, ends]).square().mean(dim=2)


def _train_epoch(
    stacked: StackedLSTMModel,
    optimizer: StackedAdamW,
    split: _StackedSplit,
    runs: Sequence[_Run],
    max_grad_norm: float | None,
) -> tuple[list[float], list[float]]:
    """Run one epoch and return each network's mean loss and mean gradient norm."""
    stacked.training = True
    sums = split.features.new_zeros(2, len(runs))
    batches = [run.batches() for run in runs]
    counts = split.features.new_tensor([len(own) for own in batches])
    for number in range(max(map(len, batches))):
        ends, valid = split.batch(
            [
                own[number] if number < len(own) else run.ends[:0]
                for run, own in zip(runs, batches, strict=True)
            ]
        )
        active = valid.any(dim=1)
        rates = split.features.new_tensor([run.rate for run in runs])
        predicted = stacked(split.windows(ends, stacked.window_size), valid)
        weighted = split.squared_error(predicted, ends) * split.weights[split.numbers, ends]
        losses = torch.where(valid, weighted, 0).sum(dim=1) / valid.sum(dim=1).clamp(min=1)
        torch.autograd.backward(losses.sum())
        norms = optimizer.step(active, rates, max_grad_norm)
        sums += torch.where(active, torch.stack([losses.detach(), norms]), 0)
        for run, own in zip(runs, batches, strict=True):
            run.step += number < len(own)
    means = sums / counts.clamp(min=1)
    losses_of, norms_of = means.tolist()
    return losses_of, norms_of


@torch.no_grad()
def _mean_losses(stacked: StackedLSTMModel, split: _StackedSplit) -> list[float]:
    """Return each network's mean squared error over all windows of its split, unweighted."""
    stacked.training = False
    ends, valid = split.batch(split.ends)
    total = split.features.new_zeros(len(split.ends))
    for chunk, counted in zip(
        torch.split(ends, _EVALUATION_BATCH, dim=1),
        torch.split(valid, _EVALUATION_BATCH, dim=1),
        strict=True,
    ):
        predicted = stacked(split.windows(chunk, stacked.window_size), counted)
        total += torch.where(counted, split.squared_error(predicted, chunk), 0).sum(dim=1)
    losses: list[float] = (total / valid.sum(dim=1)).tolist()
    return losses


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """Stack tensors of different length, with zeros at the ends of the shorter ones."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
