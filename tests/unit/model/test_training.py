"""The training loop: what is trained on, for how long, how, and what is left behind."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from unit_rows import LABELS, TRAINING, WINDOW, equal_weights, make_model, make_split, weights_of

from freqai_lstm.model import PyTorchLSTMModel, training
from freqai_lstm.model.training import (
    Split,
    TrainingHistory,
    evaluate,
    huber_error,
    predict_windows,
    seeded,
    train_windows,
)
from freqai_lstm.settings import TrainerSettings

RATE = 0.01


class CountingAdam(torch.optim.Adam):
    """Counts its steps."""

    steps = 0

    def step(self, *arguments: Any, **named: Any) -> Any:
        self.steps += 1
        return super().step(*arguments, **named)


class Run:
    """One training of a small network, and what was seen of it."""

    def __init__(
        self,
        train: Split,
        test: Split | None = None,
        *,
        model: PyTorchLSTMModel | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = CountingAdam,
        rate: float = RATE,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.model = make_model() if model is None else model
        self.before = weights_of(self.model)
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.after_epoch: list[dict[str, Tensor]] = []
        self.optimizer = optimizer(self.model.parameters(), lr=rate)
        watching = self.model.register_forward_pre_hook(self._note_batch)
        self.history = train_windows(
            self.model,
            self.optimizer,
            TrainerSettings(**TRAINING | settings),
            train,
            test,
            seed=seed,
            on_epoch=self._note_epoch,
        )
        watching.remove()
        self.weights = weights_of(self.model)

    def _note_batch(self, model: nn.Module, inputs: tuple[Tensor]) -> None:
        if model.training:
            self.batches.append(len(inputs[0]))
            self.threads.add(torch.get_num_threads())

    def _note_epoch(self, epoch: int, history: TrainingHistory) -> None:
        assert epoch == len(self.after_epoch)
        self.after_epoch.append(weights_of(self.model))


@pytest.fixture
def test_losses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Split]:
    """Let the test losses of the epochs be the given ones."""

    def set_losses(*losses: float) -> Split:
        upcoming = iter(losses)
        monkeypatch.setattr(training, "evaluate", lambda *_: (next(upcoming), 0.5))
        return make_split(4)

    return set_losses


def with_label(split: Split, row: int, value: float) -> Split:
    labels = split.labels.clone()
    labels[row] = value
    return replace(split, labels=labels)


def trained_alike(first: Split, second: Split, **settings: Any) -> bool:
    return equal_weights(Run(first, **settings).weights, Run(second, **settings).weights)


# Learning


def test_one_small_batch_is_overfitted() -> None:
    train = make_split(16)
    run = Run(train, model=make_model(hidden_dim=16), rate=0.02, n_epochs=150, batch_size=16)
    assert evaluate(run.model, train)[0] < 0.01 * train.labels[train.ends].var()
    assert run.history.train_loss[-1] < 0.01 * run.history.train_loss[0]


def test_training_ends_in_evaluation_mode() -> None:
    assert not Run(make_split(8)).model.training


def test_same_seed_gives_the_same_weights() -> None:
    runs = [Run(make_split(20), model=make_model(dropout_percent=0.3), seed=5) for _ in range(2)]
    assert equal_weights(runs[0].weights, runs[1].weights)
    assert runs[0].history == runs[1].history


@pytest.mark.parametrize(
    ("windows", "dropout"), [(20, 0.0), (8, 0.3)], ids=["order of the windows", "dropout"]
)
def test_another_seed_gives_other_weights(windows: int, dropout: float) -> None:
    train = make_split(windows)
    first, second = (
        Run(train, model=make_model(dropout_percent=dropout), seed=seed) for seed in (5, 6)
    )
    assert not equal_weights(first.weights, second.weights)


def test_random_generators_of_the_process_are_left_alone() -> None:
    generators = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002
    Run(make_split(20), model=make_model(dropout_percent=0.3))
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert np.random.get_state()[1].tolist() == generators[1]  # noqa: NPY002
    assert random.getstate() == generators[2]


def test_random_generator_of_the_process_does_not_matter() -> None:
    weights = []
    for state in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(state)
            run = Run(make_split(20), model=make_model(dropout_percent=0.3))
            weights.append(run.weights)
    assert equal_weights(*weights)


def test_seeded_draws_the_same_and_restores_the_state() -> None:
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        second = torch.rand(4)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_restores_the_state_after_an_error() -> None:
    def fail() -> Iterator[None]:
        with seeded(3):
            torch.rand(4)
            raise KeyError

    before = torch.get_rng_state()
    with pytest.raises(KeyError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


# Steps, epochs, batches


@pytest.mark.parametrize(
    ("windows", "batches"),
    [
        (16, [8, 8]),
        (20, [8, 8, 4]),
        (18, [8, 8, 2]),
        # A batch of one window has no batch statistics.
        (17, [8, 8]),
        (9, [8]),
        (5, [5]),
        (2, [2]),
    ],
)
def test_epoch_is_every_window_once_in_batches(windows: int, batches: list[int]) -> None:
    run = Run(make_split(windows), n_epochs=3)
    assert run.batches == batches * 3
    assert run.optimizer.steps == len(batches) * 3
    assert len(run.history.train_loss) == 3


@pytest.mark.parametrize(("n_steps", "epochs"), [(1, 1), (3, 1), (4, 2), (7, 3), (9, 3)])
def test_n_steps_counts_the_steps_of_the_optimizer(n_steps: int, epochs: int) -> None:
    run = Run(make_split(20), n_steps=n_steps, n_epochs=None)
    assert run.optimizer.steps == n_steps
    assert len(run.history.train_loss) == epochs


def test_n_epochs_goes_before_n_steps() -> None:
    assert Run(make_split(20), n_steps=1, n_epochs=2).optimizer.steps == 6


@pytest.mark.parametrize("batch_size", [2, 5, 20, 21, 1000])
def test_batch_size_is_the_most_windows_of_a_step(batch_size: int) -> None:
    run = Run(make_split(20), batch_size=batch_size, n_epochs=1)
    assert run.batches == [min(batch_size, 20)] * (20 // min(batch_size, 20))


def test_epochs_may_be_counted_from_outside() -> None:
    asked = []

    def count(n_epochs: int) -> range:
        asked.append(n_epochs)
        return range(n_epochs)

    model = make_model()
    optimizer = torch.optim.Adam(model.parameters())
    settings = TrainerSettings(**TRAINING | {"n_epochs": 4})
    train_windows(model, optimizer, settings, make_split(8), None, seed=0, epochs=count)
    assert asked == [4]


def test_windows_are_shuffled_anew_in_each_epoch() -> None:
    newest: list[list[float]] = []
    model = make_model()
    model.register_forward_pre_hook(lambda _, inputs: newest.append(inputs[0][:, -1, 0].tolist()))
    train = make_split(8)
    Run(train, model=model, n_epochs=3)
    in_order = train.features[train.ends, 0].tolist()
    assert all(sorted(epoch) == sorted(in_order) for epoch in newest)
    assert len({tuple(epoch) for epoch in [*newest, in_order]}) == 4


# What is trained on


@pytest.mark.parametrize("row", range(WINDOW - 1, 10))
def test_every_window_is_trained_on_the_newest_one_too(row: int) -> None:
    train = make_split(8)
    assert len(train.labels) == 10
    assert not trained_alike(train, with_label(train, row, 5.0), n_epochs=1)


@pytest.mark.parametrize("row", range(10))
def test_every_candle_of_the_windows_is_trained_on(row: int) -> None:
    train = make_split(8)
    features = train.features.clone()
    features[row] += 1
    assert not trained_alike(train, replace(train, features=features), n_epochs=1)


def test_rows_that_end_no_window_are_not_trained_on() -> None:
    train = make_split(20)
    without = replace(train, ends=train.ends[train.ends != 9])
    assert trained_alike(without, with_label(without, 9, math.nan))
    assert trained_alike(train, with_label(train, 0, math.nan))


def test_labels_without_weight_have_no_effect() -> None:
    train = make_split(20)
    weights = train.weights.clone()
    weights[4] = 0
    train = replace(train, weights=weights)
    assert trained_alike(train, with_label(train, 4, 100.0))


def test_weight_of_a_row_scales_its_part_of_the_loss() -> None:
    train = make_split(8)
    weights = torch.linspace(0, 2, len(train.weights))
    weighted = Run(replace(train, weights=weights), n_epochs=1).history.train_loss[0]
    with torch.no_grad():
        model = make_model().train()
        windows = train.features.unfold(0, WINDOW, 1).transpose(1, 2)
        errors = (model(windows) - train.labels[train.ends]).square().mean(dim=1)
    assert weighted == pytest.approx((errors * weights[train.ends]).mean().item(), rel=1e-5)


def test_hubers_error_is_the_squared_one_up_to_delta_and_a_line_beyond() -> None:
    labels = torch.zeros(3, 2)
    predicted = torch.tensor([[0.0, 0.3], [0.5, -3.0], [-3.0, 2.0]], requires_grad=True)
    errors = huber_error(torch.tensor([0.5, math.inf]))(predicted, labels)
    # 2 * delta * |e| - delta ** 2 beyond.
    expected = [0.3**2, 0.5**2 + 3.0**2, (3.0 - 0.25) + 2.0**2]
    assert (2 * errors).tolist() == pytest.approx(expected)
    (2 * errors).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad.flatten().tolist() == pytest.approx([0, 0.6, 1, -6, -1, 4])


def test_test_split_is_watched_and_not_trained_on() -> None:
    train = make_split(20)
    with_test, alone = Run(train, make_split(6, seed=1)), Run(train)
    assert equal_weights(with_test.weights, alone.weights)
    assert len(with_test.history.test_loss) == len(with_test.history.train_loss)
    assert alone.history.test_loss == []


def test_test_loss_is_the_mean_squared_error_after_the_epoch() -> None:
    test = make_split(6, seed=1)
    run = Run(make_split(20), test)
    model = make_model()
    for weights, loss in zip(run.after_epoch, run.history.test_loss, strict=True):
        model.load_state_dict(weights)
        errors = predict_windows(model, test.features, test.ends) - test.labels[test.ends]
        assert loss == pytest.approx(errors.square().mean().item(), rel=1e-6)


def test_test_loss_is_unweighted() -> None:
    test, model = make_split(6), make_model()
    weighted = replace(test, weights=torch.linspace(0, 9, len(test.weights)))
    assert evaluate(model, weighted) == evaluate(model, test)


def test_skill_of_an_epoch_is_the_mean_correlation_with_the_test_labels() -> None:
    test = make_split(12, seed=1)
    run = Run(make_split(20), test)
    labels = test.labels[test.ends]
    model = make_model()
    for weights, skill in zip(run.after_epoch, run.history.test_correlation, strict=True):
        model.load_state_dict(weights)
        predicted = predict_windows(model, test.features, test.ends)
        each = [np.corrcoef(predicted[:, label], labels[:, label])[0, 1] for label in range(LABELS)]
        assert skill == pytest.approx(np.mean(each), abs=1e-5)


def test_label_that_never_changes_has_no_skill() -> None:
    test, model = make_split(12), make_model()
    labels = test.labels.clone()
    _, skill = evaluate(model, test)
    labels[:, 0] = 3.0
    _, without = evaluate(model, replace(test, labels=labels))
    labels[:, 1] = 3.0
    assert evaluate(model, replace(test, labels=labels))[1] == 0
    assert 0 < abs(without) < 1
    assert without != skill


# Early stopping


def test_early_stopping_restores_the_best_weights(test_losses: Callable[..., Split]) -> None:
    test = test_losses(3.0, 1.0, 2.0, 1.5, 0.1)
    run = Run(make_split(20), test, n_epochs=5, early_stopping_patience=2)
    assert run.history.test_loss == [3.0, 1.0, 2.0, 1.5]
    assert equal_weights(run.weights, run.after_epoch[1])
    assert not equal_weights(run.weights, run.after_epoch[-1])


def test_patience_begins_anew_with_every_better_epoch(test_losses: Callable[..., Split]) -> None:
    test = test_losses(3.0, 4.0, 2.0, 4.0, 1.0, 4.0)
    run = Run(make_split(20), test, n_epochs=6, early_stopping_patience=2)
    assert len(run.history.test_loss) == 6
    assert equal_weights(run.weights, run.after_epoch[4])


def test_best_weights_are_restored_if_training_ends_first(
    test_losses: Callable[..., Split],
) -> None:
    run = Run(make_split(20), test_losses(1.0, 3.0, 2.0), n_epochs=3, early_stopping_patience=9)
    assert equal_weights(run.weights, run.after_epoch[0])


def test_without_patience_training_goes_on_to_the_last_weights(
    test_losses: Callable[..., Split],
) -> None:
    run = Run(make_split(20), test_losses(1.0, 3.0, 2.0), n_epochs=3, early_stopping_patience=0)
    assert len(run.history.test_loss) == 3
    assert equal_weights(run.weights, run.after_epoch[-1])


def test_without_a_test_split_the_training_loss_is_watched() -> None:
    # Steps this large lead past the minimum.
    run = Run(
        make_split(20), optimizer=torch.optim.SGD, rate=0.3, n_epochs=30, early_stopping_patience=2
    )
    losses = run.history.train_loss
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 30
    assert equal_weights(run.weights, run.after_epoch[best])


# Learning rate, gradients, threads


def test_constant_schedule_keeps_the_learning_rate() -> None:
    run = Run(make_split(20), lr_schedule="constant", n_epochs=7)
    assert run.history.learning_rate == pytest.approx([RATE] * 7)


def test_cosine_schedule_falls_to_zero_over_all_steps() -> None:
    run = Run(make_split(20), lr_schedule="cosine", n_epochs=4)
    expected = [RATE * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in (1, 2, 3, 4)]
    assert run.history.learning_rate == pytest.approx(expected, abs=1e-12)


def test_cosine_schedule_of_n_steps_ends_at_zero_too() -> None:
    run = Run(make_split(20), lr_schedule="cosine", n_epochs=None, n_steps=7)
    assert run.history.learning_rate[-1] == pytest.approx(0, abs=1e-12)
    assert run.history.learning_rate[0] == pytest.approx(RATE * (1 + math.cos(math.pi * 3 / 7)) / 2)


def test_plateau_schedule_halves_the_rate_when_the_test_loss_stands_still(
    test_losses: Callable[..., Split],
) -> None:
    test = test_losses(2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    run = Run(make_split(20), test, lr_schedule="plateau", n_epochs=7)
    halvings = [0, 0, 0, 0, 1, 1, 2]
    assert run.history.learning_rate == [RATE / 2**halved for halved in halvings]


def test_plateau_schedule_keeps_the_rate_while_the_test_loss_falls(
    test_losses: Callable[..., Split],
) -> None:
    test = test_losses(6.0, 5.0, 4.0, 3.0, 2.0)
    run = Run(make_split(20), test, lr_schedule="plateau", n_epochs=5)
    assert run.history.learning_rate == [RATE] * 5


def norm_of_step(run: Run) -> float:
    """Return how far one step of gradient descent at rate 1 has gone."""
    moved = [
        (parameter - run.before[name]).flatten() for name, parameter in run.model.named_parameters()
    ]
    return torch.cat(moved).norm().item()


def test_gradient_is_clipped_to_its_largest_norm() -> None:
    one_step = {"optimizer": torch.optim.SGD, "rate": 1.0, "n_epochs": None, "n_steps": 1}
    free = Run(make_split(8), max_grad_norm=None, **one_step)
    clipped = Run(make_split(8), max_grad_norm=0.01, **one_step)
    unclipped = Run(make_split(8), max_grad_norm=1e6, **one_step)
    assert norm_of_step(free) > 0.1
    assert norm_of_step(clipped) == pytest.approx(0.01, rel=1e-3)
    assert equal_weights(unclipped.weights, free.weights)
    # The figure is that of the gradient itself.
    assert clipped.history.grad_norm == pytest.approx([norm_of_step(free)], rel=1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_training_uses_as_many_threads_as_asked_and_restores_their_number(count: int) -> None:
    before = torch.get_num_threads()
    assert Run(make_split(8), num_threads=count).threads == {count}
    assert torch.get_num_threads() == before


def test_number_of_threads_is_restored_after_an_error() -> None:
    def fail(epoch: int, history: TrainingHistory) -> None:
        assert torch.get_num_threads() == before + 1
        raise KeyError

    before = torch.get_num_threads()
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters())
    settings = TrainerSettings(**TRAINING | {"num_threads": before + 1})
    with pytest.raises(KeyError):
        train_windows(model, optimizer, settings, make_split(8), None, seed=0, on_epoch=fail)
    assert torch.get_num_threads() == before


# Predictions


@pytest.mark.parametrize("size", [{}, {"hidden_dim": 128, "num_lstm_layers": 3}])
def test_a_window_is_predicted_the_same_to_the_last_bit_alone_and_among_others(
    size: dict[str, int],
) -> None:
    model, split = make_model(**size).eval(), make_split(150)
    at_once = predict_windows(model, split.features, split.ends)
    for parts in (split.ends.split(7), split.ends.split(1)):
        in_parts = [predict_windows(model, split.features, ends) for ends in parts]
        assert torch.equal(torch.cat(in_parts), at_once)


def test_no_windows_have_no_predictions() -> None:
    nothing = torch.tensor([], dtype=torch.int64)
    assert predict_windows(make_model(), make_split(4).features, nothing).shape == (0, LABELS)


def test_predicting_does_not_change_the_network() -> None:
    model, split = make_model(dropout_percent=0.5).train(), make_split(8)
    before = weights_of(model)
    first = predict_windows(model, split.features, split.ends)
    assert torch.equal(first, predict_windows(model, split.features, split.ends))
    assert equal_weights(before, weights_of(model))


# History


def test_history_keeps_the_figures_of_each_epoch() -> None:
    history = TrainingHistory()
    history.record(train_loss=2.0, test_loss=None, learning_rate=0.1, grad_norm=1.0)
    history.record(train_loss=1.0, test_loss=None, learning_rate=0.2, grad_norm=3.0)
    assert history.train_loss == [2.0, 1.0]
    assert history.latest() == {"train_loss": 1.0, "learning_rate": 0.2, "grad_norm": 3.0}


def test_diverged_training_is_an_error() -> None:
    from freqai_lstm.exceptions import TrainingError

    model = PyTorchLSTMModel(2, 1, window_size=2, hidden_dim=4, num_lstm_layers=1)
    rows = torch.arange(16)
    split = Split(
        features=torch.randn(16, 2, generator=torch.Generator().manual_seed(1)),
        labels=torch.full((16, 1), float("inf")),
        weights=torch.ones(16),
        ends=rows[1:],
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(TrainingError, match=r"loss must be finite, was \w+ in epoch 1"):
        train_windows(model, optimizer, TrainerSettings(n_epochs=2), split, None, seed=0)
