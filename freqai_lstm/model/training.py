"""The training loop: torch only, no avoidable work, nothing kept of the data.

The features of a split live once on the device; a batch is a gather of its windows by index, and
nothing is copied to the host before the end of an epoch.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from freqai_lstm.exceptions import TrainingError
from freqai_lstm.model.network import PyTorchLSTMModel
from freqai_lstm.model.windows import gather_windows
from freqai_lstm.settings import TrainerSettings

PREDICTION_WINDOWS = 64
"""Windows predicted at once, always as many: a matrix product rounds differently with another
number of rows, and a candle must get the same prediction alone, live, as among others."""


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


Loss = Callable[[Tensor, Tensor], Tensor]
"""From predictions and labels to the loss of each row, shape ``(rows,)``."""


def squared_error(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error of each row, of numbers; all shapes ``(rows, labels)``."""
    return (predicted - labels).square().mean(dim=1)


def huber_error(deltas: Tensor) -> Loss:
    """Return a loss that few wild rows do not decide: up to delta it is the squared error.

    Beyond, it grows in a straight line. Shapes are those of :func:`squared_error`. Source: Huber
    (1964).

    :param deltas: That of each label, in units of the scaled labels, so their standard deviations;
        infinite where the squared error stays. Shape ``(labels,)``.
    """

    def error(predicted: Tensor, labels: Tensor) -> Tensor:
        errors = (predicted - labels).abs()
        small = torch.minimum(errors, deltas)
        return (small * (2 * errors - small)).mean(dim=1)

    return error


def cross_entropy(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each row, of logits and of classes with a 1 in their column."""
    return nn.functional.cross_entropy(predicted, labels, reduction="none")


class TrainingStep:
    """Fits the network to a batch of windows, and adds up losses and gradient norms on the device.

    :param max_grad_norm: Norm the gradient is clipped to; None for no clipping.
    """

    def __init__(
        self,
        model: PyTorchLSTMModel,
        optimizer: Optimizer,
        split: Split,
        max_grad_norm: float | None,
        loss: Loss = squared_error,
    ) -> None:
        self.model, self.optimizer, self.split = model, optimizer, split
        self.max_grad_norm, self.loss = max_grad_norm, loss
        self.parameters = list(model.parameters())
        self.sums = torch.zeros(2, device=split.features.device)

    def __call__(self, ends: Tensor) -> None:
        """Train on the windows that end at the given rows, shape ``(batch,)``."""
        split = self.split
        for parameter in self.parameters:
            parameter.grad = None
        predicted = self.model(gather_windows(split.features, ends, self.model.window_size))
        loss = (self.loss(predicted, split.labels[ends]) * split.weights[ends]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
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


@dataclass
class TrainingHistory:
    """What happened in each epoch, in order.

    Losses are mean squared errors of scaled labels, or cross-entropies of classes.
    ``test_correlation`` is the correlation of the test split's predictions with its labels, the
    mean over all labels; it is the skill of an epoch.
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_correlation: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)

    def record(self, **figures: float | None) -> None:
        """Add the figures of an epoch; None is not recorded."""
        for name, value in figures.items():
            if value is not None:
                getattr(self, name).append(value)

    def latest(self) -> dict[str, float]:
        """Return the figures of the last epoch by name."""
        return {name: values[-1] for name, values in vars(self).items() if values}


def train_windows(
    model: PyTorchLSTMModel,
    optimizer: Optimizer,
    settings: TrainerSettings,
    train: Split,
    test: Split | None,
    *,
    seed: int,
    loss: Loss = squared_error,
    epochs: Callable[[int], Iterable[int]] = range,
    on_epoch: Callable[[int, TrainingHistory], None] | None = None,
) -> TrainingHistory:
    """Train a network on whole windows in random order.

    Ends with the weights of the best epoch if early stopping is on, else with those of the last.

    :param model: The network, on the device of the splits.
    :param train: What to train on, with at least two windows.
    :param test: What to watch for early stopping and the plateau schedule; the training loss if
        omitted.
    :param seed: Seed of the order of the windows and of the dropout.
    :param loss: What is minimised.
    :param epochs: Counts the epochs, e.g. with a progress bar.
    :param on_epoch: Called after each epoch with its number and the history.
    :return: The losses, skill, learning rate and gradient norm of each epoch.
    :raises TrainingError: If the loss is no longer finite.
    """
    batch_size = min(settings.batch_size, len(train.ends))
    # A last batch of a single window would have no batch statistics.
    batches_per_epoch = len(train.ends) // batch_size + (len(train.ends) % batch_size > 1)
    n_steps = (settings.n_epochs or 0) * batches_per_epoch or settings.n_steps or 0
    schedule = _make_schedule(optimizer, settings.lr_schedule, n_steps)
    order = torch.Generator().manual_seed(seed)
    history = TrainingHistory()
    best = _BestWeights(model, settings.early_stopping_patience)
    step = TrainingStep(model, optimizer, train, settings.max_grad_norm, loss)
    with seeded(seed), _cpu_threads(settings.num_threads):
        for epoch in epochs(-(-n_steps // batches_per_epoch)):
            shuffled = train.ends[torch.randperm(len(train.ends), generator=order)]
            steps = min(batches_per_epoch, n_steps - epoch * batches_per_epoch)
            batches = torch.split(shuffled, batch_size)[:steps]
            model.train()
            for ends in batches:
                step(ends)
                if not isinstance(schedule, ReduceLROnPlateau):
                    schedule.step()
            train_loss, grad_norm = (total / len(batches) for total in step.take_sums())
            if not math.isfinite(train_loss):
                raise TrainingError(
                    f"training diverged: the loss must be finite, was {train_loss} in epoch "
                    f"{epoch + 1}; a lower learning_rate or max_grad_norm helps"
                )
            test_loss, test_correlation = evaluate(model, test, loss) if test else (None, None)
            watched = train_loss if test_loss is None else test_loss
            history.record(
                train_loss=train_loss,
                test_loss=test_loss,
                test_correlation=test_correlation,
                learning_rate=optimizer.param_groups[0]["lr"],
                grad_norm=grad_norm,
            )
            if on_epoch is not None:
                on_epoch(epoch, history)
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(watched)
            if best.out_of_patience(watched):
                break
    best.restore()
    model.eval()
    return history


def predict_windows(model: PyTorchLSTMModel, features: Tensor, ends: Tensor) -> Tensor:
    """Predict the labels of the rows that end a whole window.

    What a row gets depends on its own window alone, to the last bit.

    :param features: Scaled features, shape ``(rows, features)``, float32.
    :param ends: Rows to predict, shape ``(windows,)``, int64.
    :return: Scaled labels, shape ``(windows, labels)``.
    :raises WindowError: If the number of features differs from what the network was built for.
    """
    model.eval()
    with torch.inference_mode():
        labels = features.new_empty(len(ends), model.output_dim)
        for first in range(0, len(ends), PREDICTION_WINDOWS):
            part = ends[first : first + PREDICTION_WINDOWS]
            padding = part[-1:].expand(PREDICTION_WINDOWS - len(part))
            windows = gather_windows(features, torch.cat([part, padding]), model.window_size)
            labels[first : first + len(part)] = model(windows)[: len(part)]
        return labels


def evaluate(
    model: PyTorchLSTMModel, split: Split, loss: Loss = squared_error
) -> tuple[float, float]:
    """Predict all windows of a split and compare them with its labels, unweighted.

    :return: The mean loss, and the mean over the labels of the correlation, in [-1, 1];
        a label or prediction that never changes has a correlation of 0.
    """
    predicted, labels = predict_windows(model, split.features, split.ends), split.labels[split.ends]
    correlation = nn.functional.cosine_similarity(
        predicted - predicted.mean(dim=0), labels - labels.mean(dim=0), dim=0
    ).mean()
    return loss(predicted, labels).mean().item(), correlation.item()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block and leave its global state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _cpu_threads(count: int) -> Iterator[None]:
    """Let torch use that many CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _make_schedule(optimizer: Optimizer, name: str, n_steps: int) -> LRScheduler:
    """Return the learning-rate schedule; all but the plateau one step with every batch."""
    if name == "plateau":
        return ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=n_steps)
    return ConstantLR(optimizer, factor=1.0)


class _BestWeights:
    """Early stopping: keeps the weights of the best epoch, and counts the epochs since."""

    def __init__(self, model: nn.Module, patience: int) -> None:
        self.model, self.patience = model, patience
        self.loss, self.epochs_since = math.inf, 0
        self.weights: dict[str, Tensor] | None = None

    def out_of_patience(self, loss: float) -> bool:
        """Take note of an epoch's loss and say whether to stop."""
        if self.patience == 0:
            return False
        if loss < self.loss:
            self.loss, self.epochs_since = loss, 0
            self.weights = {key: value.clone() for key, value in self.model.state_dict().items()}
            return False
        self.epochs_since += 1
        return self.epochs_since >= self.patience

    def restore(self) -> None:
        """Put the best weights back."""
        if self.weights is not None:
            self.model.load_state_dict(self.weights)
