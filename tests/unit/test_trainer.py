"""The trainer as FreqAI uses it: fit, predict, save, load, continue."""

import copy
import logging
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from unit_rows import (
    BOTH,
    CANDLE_SECONDS,
    FEATURES,
    LABELS,
    WINDOW,
    equal_weights,
    hourly,
    labels_of,
    load_trainer,
    make_data,
    make_features,
    make_trainer,
    weights_of,
)

from freqai_lstm import trainer as trainer_module
from freqai_lstm.exceptions import WindowError
from freqai_lstm.model.windows import whole_window_ends
from freqai_lstm.trainer import PyTorchLSTMTrainer, resolve_device

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


class ScalarLog:
    """Stands in for FreqAI's TensorBoard logger."""

    def __init__(self) -> None:
        self.scalars: list[tuple[str, float, int]] = []

    def log_scalar(self, tag: str, scalar_value: float, step: int) -> None:
        self.scalars.append((tag, scalar_value, step))


@pytest.fixture
def trained() -> PyTorchLSTMTrainer:
    trainer = make_trainer()
    trainer.fit(make_data(), BOTH)
    return trainer


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Find every tensor in nested state."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from tensors_in(part)
    elif hasattr(value, "__dict__"):
        yield from tensors_in(vars(value))


def trained_weights(data: dict[str, Any], **settings: Any) -> dict[str, Tensor]:
    trainer = make_trainer(**settings)
    trainer.fit(data, BOTH)
    return weights_of(trainer.model)


def with_label(data: dict[str, Any], row: int, value: float) -> dict[str, Any]:
    changed = data["train_labels"].copy()
    changed.iloc[row] = value
    return data | {"train_labels": changed}


# Training


def test_fit_learns_the_labels() -> None:
    trainer = make_trainer(n_epochs=60, hidden_dim=16)
    trainer.fit(make_data(40), ["train"])
    assert trainer.history.train_loss[-1] < 0.1 * trainer.history.train_loss[0]


def test_how_wild_a_label_is_does_not_matter_with_hubers_error() -> None:
    data = make_data()
    wild, wilder = (with_label(data, 20, value) for value in (50.0, 500.0))
    for deltas, alike in (({"0": 0.2, "1": 0.2}, True), ({"0": 0.2}, False), ({}, False)):
        trained = (trained_weights(labels, huber_delta=deltas) for labels in (wild, wilder))
        assert equal_weights(*trained) == alike


def test_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    data = make_data()
    first, again, other = (trained_weights(data, seed=seed) for seed in (1, 1, 2))
    assert equal_weights(first, again)
    assert not equal_weights(first, other)


def test_weights_of_candles_may_be_a_view_from_back_to_front() -> None:
    data = make_data()
    weights = np.linspace(0.1, 1, len(data["train_labels"]))
    first = trained_weights(data | {"train_weights": weights})
    assert equal_weights(
        first, trained_weights(data | {"train_weights": weights[::-1].copy()[::-1]})
    )


def test_weights_start_from_the_seed_alone() -> None:
    before = torch.get_rng_state()
    first = make_trainer(seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert equal_weights(weights_of(first.model), weights_of(make_trainer(seed=1).model))
    assert not equal_weights(weights_of(first.model), weights_of(make_trainer(seed=2).model))


def test_newest_training_row_is_trained_on() -> None:
    data = make_data()
    assert not equal_weights(trained_weights(data), trained_weights(with_label(data, -1, 9.0)))


def test_windows_over_a_gap_are_not_trained_on() -> None:
    data = make_data()
    late = data["train_timestamps"].copy()
    late.iloc[15:] += CANDLE_SECONDS
    data["train_timestamps"] = late
    without = trained_weights(data)
    for row in (0, 1, 15, 16):
        assert equal_weights(without, trained_weights(with_label(data, row, np.nan)))
    for row in (2, 14, 17):
        assert not equal_weights(without, trained_weights(with_label(data, row, 9.0)))


def test_rows_without_weight_are_not_learned_from() -> None:
    data = make_data()
    data["train_weights"][7] = 0
    with_zero = trained_weights(data)
    assert equal_weights(with_zero, trained_weights(with_label(data, 7, 100.0)))
    assert not equal_weights(with_zero, trained_weights(make_data()))


def test_scale_of_the_weights_does_not_matter() -> None:
    data = make_data()
    data["train_weights"] = np.linspace(0.1, 2, 30)
    scaled = data | {"train_weights": data["train_weights"] * 1e-3}
    for name, value in trained_weights(data).items():
        torch.testing.assert_close(value, trained_weights(scaled)[name], rtol=1e-3, atol=1e-4)


def test_equal_weights_leave_the_loss_as_it_is() -> None:
    data = make_data()
    data["train_weights"][:] = 7
    trainer = make_trainer(n_epochs=1, batch_size=30)
    model = copy.deepcopy(trainer.model).train()
    trainer.fit(data, ["train"])
    windows = torch.tensor(data["train_features"].to_numpy()).unfold(0, WINDOW, 1).transpose(1, 2)
    labels = torch.tensor(data["train_labels"].to_numpy())[WINDOW - 1 :]
    expected = (model(windows) - labels).square().mean().item()
    assert trainer.history.train_loss == pytest.approx([expected], rel=1e-5)


def test_test_split_is_watched_only_when_asked_for() -> None:
    watching, blind = make_trainer(), make_trainer()
    watching.fit(make_data(), BOTH)
    data = {name: value for name, value in make_data().items() if name.startswith("train")}
    blind.fit(data, ["train"])
    assert len(watching.history.test_loss) == 2
    assert blind.history.test_loss == []
    assert equal_weights(weights_of(watching.model), weights_of(blind.model))


def test_test_split_without_a_whole_window_is_not_watched() -> None:
    trainer = make_trainer()
    trainer.fit(make_data(test_rows=WINDOW - 1), BOTH)
    assert trainer.history.test_loss == []
    assert len(trainer.history.train_loss) == 2


@pytest.mark.parametrize(("rows", "windows"), [(WINDOW - 1, 0), (WINDOW, 1)])
def test_too_few_windows_are_refused_by_name(rows: int, windows: int) -> None:
    expected = (
        rf"^BTC/USDT:USDT: training needs at least 2 whole windows of {WINDOW} consecutive "
        rf"candles, {rows} training rows hold {windows}$"
    )
    with pytest.raises(WindowError, match=expected):
        make_trainer().fit(make_data(rows), BOTH)


def test_two_windows_are_enough() -> None:
    trainer = make_trainer()
    trainer.fit(make_data(WINDOW + 1), BOTH)
    assert np.isfinite(trainer.history.train_loss).all()


def test_scalars_are_logged_once_per_epoch() -> None:
    log = ScalarLog()
    trainer = make_trainer(tb_logger=log, n_epochs=3, batch_size=4)
    trainer.fit(make_data(), BOTH)
    names = ["train_loss", "test_loss", "test_correlation", "learning_rate", "grad_norm"]
    expected = [
        (name, getattr(trainer.history, name)[epoch], epoch) for epoch in range(3) for name in names
    ]
    assert log.scalars == expected


@pytest.mark.parametrize(
    ("wanted", "terminal", "shown"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
def test_progress_is_shown_on_a_terminal_if_wanted(
    monkeypatch: pytest.MonkeyPatch, *, wanted: bool, terminal: bool, shown: bool
) -> None:
    disabled = []

    def track(**options: Any) -> AbstractContextManager[Any]:
        disabled.append(options["disable"])
        return nullcontext(SimpleNamespace(track=lambda numbers, description: numbers))

    monkeypatch.setattr(trainer_module, "get_progress_tracker", track)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    make_trainer(progress_bar=wanted).fit(make_data(), BOTH)
    assert disabled == [not shown]


# Prediction


def test_prediction_of_a_row_is_that_of_its_window_alone(
    trained: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    features, ends = rows
    at_once = trained.predict(features, ends)
    assert at_once.shape == (len(ends), LABELS)
    last = torch.tensor([WINDOW - 1])
    alone = [trained.predict(features[end - WINDOW + 1 : end + 1], last) for end in ends]
    torch.testing.assert_close(at_once, torch.cat(alone), rtol=0, atol=1e-6)


def test_prediction_of_a_row_uses_no_later_row(
    trained: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    features, ends = rows
    later = features.clone()
    later[20:] += 5
    before, after = trained.predict(features, ends), trained.predict(later, ends)
    changed = (before != after).any(dim=1)
    assert ends[changed].tolist() == list(range(20, 40))


def test_rows_of_other_features_cannot_be_predicted(trained: PyTorchLSTMTrainer) -> None:
    expected = rf"= \({WINDOW}, {FEATURES}\), was \({WINDOW}, {FEATURES + 1}\)"
    with pytest.raises(WindowError, match=expected):
        trained.predict(torch.zeros(9, FEATURES + 1), torch.tensor([5]))


# Saving and loading


@pytest.mark.parametrize("device", DEVICES)
def test_loaded_trainer_predicts_the_same(
    tmp_path: Path, rows: tuple[Tensor, Tensor], device: str
) -> None:
    trainer = make_trainer(device=device, num_lstm_layers=2)
    trainer.fit(make_data(), BOTH)
    trainer.save(tmp_path / "model.zip")
    loaded = load_trainer(tmp_path / "model.zip")
    assert loaded is not trainer
    assert loaded.device == device
    assert torch.equal(loaded.predict(*rows), trainer.predict(*rows))
    assert loaded.history == trainer.history


def test_loaded_trainer_predicts_the_same_in_another_process(
    tmp_path: Path, trained: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    trained.save(tmp_path / "model.zip")
    torch.save(rows, tmp_path / "rows.pt")
    program = """
import sys
import torch

torch.set_num_threads(1)
model, rows, predicted = sys.argv[1:]
checkpoint = torch.load(model, weights_only=False)
trainer = checkpoint["pytrainer"].load_from_checkpoint(checkpoint)
torch.save(trainer.predict(*torch.load(rows)), predicted)
"""
    paths = [str(tmp_path / name) for name in ("model.zip", "rows.pt", "predicted.pt")]
    subprocess.run([sys.executable, "-c", program, *paths], check=True)
    predicted = torch.load(tmp_path / "predicted.pt")
    torch.testing.assert_close(predicted, trained.predict(*rows), rtol=0, atol=1e-6)


def test_loaded_trainer_goes_on_like_the_saved_one(
    tmp_path: Path, trained: PyTorchLSTMTrainer
) -> None:
    trained.save(tmp_path / "model.zip")
    loaded = load_trainer(tmp_path / "model.zip")
    for trainer in (trained, loaded):
        trainer.fit(make_data(50), BOTH)
    assert equal_weights(weights_of(loaded.model), weights_of(trained.model))


def test_loaded_trainer_can_be_saved_again(
    tmp_path: Path, trained: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    trained.save(tmp_path / "first.zip")
    load_trainer(tmp_path / "first.zip").save(tmp_path / "second.zip")
    assert torch.equal(load_trainer(tmp_path / "second.zip").predict(*rows), trained.predict(*rows))


@pytest.mark.parametrize("device", DEVICES)
def test_saved_file_holds_no_training_data(tmp_path: Path, device: str) -> None:
    sentinel = 12345.678
    data = make_data(train_rows=4_000)
    for name in ("train_features", "train_labels", "test_features", "test_labels"):
        data[name].iloc[0] = sentinel
    trainer = make_trainer(device=device, n_epochs=1, batch_size=1_000)
    trainer.fit(data, BOTH)
    trainer.save(tmp_path / "model.zip")
    content = (tmp_path / "model.zip").read_bytes()
    assert struct.pack("<f", sentinel) not in content
    assert struct.pack("<d", sentinel) not in content
    assert len(content) < data["train_features"].to_numpy().nbytes / 2


@pytest.mark.parametrize("device", DEVICES)
def test_saved_state_is_on_the_cpu_and_the_trainer_has_none(tmp_path: Path, device: str) -> None:
    trainer = make_trainer(device=device, tb_logger=ScalarLog())
    trainer.fit(make_data(), BOTH)
    trainer.save(tmp_path / "model.zip")
    checkpoint = torch.load(tmp_path / "model.zip", weights_only=False)
    bare = checkpoint.pop("pytrainer")
    assert list(tensors_in(vars(bare))) == []
    assert not hasattr(bare, "tb_logger")
    state = list(tensors_in(checkpoint))
    # Weights, and two moments of each in the optimizer.
    assert len(state) > 3 * len(list(trainer.model.parameters()))
    assert {tensor.device.type for tensor in state} == {"cpu"}
    assert {parameter.device.type for parameter in trainer.model.parameters()} == {device}


def test_trainer_can_be_pickled_without_its_network(trained: PyTorchLSTMTrainer) -> None:
    copied = pickle.loads(pickle.dumps(trained))
    assert copied.parameters == trained.parameters
    assert not hasattr(copied, "model")


def test_failed_save_leaves_the_old_file_whole(
    tmp_path: Path, trained: PyTorchLSTMTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.zip"
    trained.save(path)
    before = path.read_bytes()

    def save_half(checkpoint: dict[str, Any], target: Path) -> None:
        Path(target).write_bytes(before[: len(before) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(OSError, match="no space left"):
        trained.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_model_of_another_version_is_refused(tmp_path: Path, trained: PyTorchLSTMTrainer) -> None:
    trained.model_meta_data["model_version"] = 0
    trained.save(tmp_path / "model.zip")
    expected = r"^the saved model must have version \d+, was 0; it must be trained again$"
    with pytest.raises(WindowError, match=expected):
        load_trainer(tmp_path / "model.zip")


# Continual learning

LATER = hourly(30, 10).numpy()


def test_continued_trainer_starts_where_the_last_one_ended(
    trained: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    following = make_trainer(seed=99)
    following.continue_from(trained, LATER)
    assert torch.equal(following.predict(*rows), trained.predict(*rows))
    first, second = (trainer.optimizer.state_dict()["state"] for trainer in (trained, following))
    assert len(first) == len(list(trained.model.parameters()))
    for number, state in first.items():
        for name, value in state.items():
            assert torch.equal(value, second[number][name])


def test_continued_trainer_shares_nothing_with_the_last_one(trained: PyTorchLSTMTrainer) -> None:
    weights = weights_of(trained.model)
    moments = copy.deepcopy(trained.optimizer.state_dict()["state"])
    following = make_trainer()
    following.continue_from(trained, LATER)
    following.fit(make_data(50), BOTH)
    assert not equal_weights(weights_of(following.model), weights)
    assert equal_weights(weights_of(trained.model), weights)
    for number, state in trained.optimizer.state_dict()["state"].items():
        assert equal_weights(state, moments[number])


@pytest.mark.parametrize("schedule", ["plateau", "cosine", "constant"])
def test_continued_trainer_has_its_own_learning_rate(schedule: str) -> None:
    last = make_trainer(learning_rate=0.5, lr_schedule=schedule)
    last.fit(make_data(), BOTH)
    following = make_trainer(learning_rate=0.002)
    following.continue_from(last, LATER)
    following.fit(make_data(first=10), BOTH)
    assert following.history.learning_rate == pytest.approx([0.002])


def test_continued_cosine_schedule_goes_from_the_full_rate_to_nothing() -> None:
    last, following = (make_trainer(lr_schedule="cosine", warm_start_epochs=8) for _ in range(2))
    last.fit(make_data(), BOTH)
    following.continue_from(last, LATER)
    following.fit(make_data(first=10), BOTH)
    first, *_, final = following.history.learning_rate
    assert 0 < first < 0.01
    assert final == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("unseen", "steps"), [(0, 1), (1, 1), (10, 4), (29, 11)])
def test_continued_training_is_as_long_as_the_new_candles_are_many(
    trained: PyTorchLSTMTrainer, unseen: int, steps: int
) -> None:
    # Three epochs over them, in batches of eight.
    following = make_trainer()
    following.continue_from(trained, hourly(30, unseen).numpy())
    assert following.training_settings.n_steps == steps
    assert following.training_settings.n_epochs is None


def test_generations_are_counted_also_on_disk(trained: PyTorchLSTMTrainer, tmp_path: Path) -> None:
    assert trained.generation == 0
    for number, first in enumerate((10, 20), 1):
        following = make_trainer()
        following.continue_from(trained, hourly(30, first).numpy())
        following.fit(make_data(first=first), BOTH)
        following.save(tmp_path / "model.zip")
        trained = load_trainer(tmp_path / "model.zip")
        assert trained.generation == number


def test_model_that_saw_none_of_the_candles_is_not_continued(
    trained: PyTorchLSTMTrainer, caplog: pytest.LogCaptureFixture
) -> None:
    following = make_trainer()
    with caplog.at_level(logging.WARNING):
        following.continue_from(trained, hourly(30, 30).numpy())
        del trained.model_meta_data["trained_until"]
        following.continue_from(trained, LATER)
    assert following.optimizer.state_dict()["state"] == {}
    assert following.generation == 0
    assert [record.message for record in caplog.records] == [
        "BTC/USDT:USDT: training from scratch, since the previous network is not known to have "
        "seen any of these candles"
    ] * 2


@pytest.mark.parametrize("changed", [{"features": FEATURES + 1}, {"hidden_dim": 9}], ids=str)
def test_network_of_another_shape_is_not_continued(
    trained: PyTorchLSTMTrainer, caplog: pytest.LogCaptureFixture, changed: dict[str, int]
) -> None:
    following = make_trainer(**changed)
    before = weights_of(following.model)
    with caplog.at_level(logging.WARNING):
        following.continue_from(trained, LATER)
    assert equal_weights(weights_of(following.model), before)
    assert following.optimizer.state_dict()["state"] == {}
    [record] = caplog.records
    assert record.message.startswith("BTC/USDT:USDT: training from scratch, since the previous ")


def test_same_shape_is_continued_without_a_word(
    trained: PyTorchLSTMTrainer, caplog: pytest.LogCaptureFixture
) -> None:
    make_trainer().continue_from(trained, LATER)
    assert caplog.records == []


# Device


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_is_the_best_device_there_is(
    monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto") == expected


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_named_device_is_taken_at_its_word(device: str) -> None:
    assert resolve_device(device) == device


def test_rows_are_the_same_for_training_and_prediction() -> None:
    """A network that has learned the oldest candle of a window finds it when predicting, too."""
    trainer = make_trainer(n_epochs=80, batch_size=50, hidden_dim=16, learning_rate=0.02)
    trainer.fit(make_data(100), ["train"])
    features = make_features(100, seed=0)
    ends = whole_window_ends(WINDOW, hourly(100), CANDLE_SECONDS)
    labels = labels_of(features)[ends]
    error = (trainer.predict(features, ends) - labels).square().mean()
    shifted = (trainer.predict(features, ends)[:-1] - labels[1:]).square().mean()
    assert error < 0.05 * labels.var()
    assert error < 0.1 * shifted
