"""Several networks in place of one: seeds, mean and spread, on disk and continued."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from unit_rows import (
    BOTH,
    CANDLE_SECONDS,
    LABELS,
    WINDOW,
    equal_weights,
    hourly,
    labels_of,
    load_trainer,
    make_data,
    make_trainer,
    weights_of,
)

from freqai_lstm.model.ensemble import mean_history
from freqai_lstm.model.training import TrainingHistory
from freqai_lstm.model.windows import whole_window_ends
from freqai_lstm.score import mean_and_spread, spread_columns
from freqai_lstm.settings import NetworkSettings
from freqai_lstm.trainer import PyTorchLSTMTrainer

SIZE = 3


def trained(**changed: Any) -> PyTorchLSTMTrainer:
    trainer = make_trainer(**{"ensemble_size": SIZE} | changed)
    trainer.fit(make_data(), BOTH)
    return trainer


@pytest.fixture
def ensemble() -> PyTorchLSTMTrainer:
    return trained()


# Training


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_member_is_the_network_that_its_seed_trains_alone(dropout: float) -> None:
    ensemble = trained(seed=4, dropout_percent=dropout)
    for number, member in enumerate(ensemble.members):
        alone = trained(ensemble_size=1, seed=4 + number, dropout_percent=dropout)
        assert equal_weights(weights_of(member.model), weights_of(alone.model))
        assert member.seed == 4 + number
    assert ensemble.model is ensemble.members[0].model
    assert ensemble.optimizer is ensemble.members[0].optimizer


def test_each_member_stops_by_itself() -> None:
    settings: dict[str, Any] = {"early_stopping_patience": 1, "n_epochs": 30, "learning_rate": 0.1}
    epochs = [
        len(trained(ensemble_size=1, seed=seed, **settings).history.train_loss)
        for seed in range(SIZE)
    ]
    assert len(set(epochs)) > 1
    ensemble = trained(seed=0, **settings)
    assert len(ensemble.history.train_loss) == max(epochs)
    for number, member in enumerate(ensemble.members):
        alone = trained(ensemble_size=1, seed=number, **settings)
        assert equal_weights(weights_of(member.model), weights_of(alone.model))


def test_history_is_the_mean_over_the_members_still_trained() -> None:
    first = TrainingHistory(train_loss=[1.0, 2.0], test_loss=[4.0, 4.0])
    second = TrainingHistory(train_loss=[3.0, 6.0, 7.0], test_loss=[6.0, 8.0, 9.0])
    assert mean_history([first, second]) == TrainingHistory(
        train_loss=[2.0, 4.0, 7.0], test_loss=[5.0, 6.0, 9.0]
    )
    assert mean_history([first]) == first


def test_scalars_are_logged_for_each_member() -> None:
    logged: list[tuple[str, int]] = []

    class ScalarLog:
        def log_scalar(self, tag: str, scalar_value: float, step: int) -> None:
            logged.append((tag, step))

    trained(tb_logger=ScalarLog())
    assert [entry for entry in logged if entry[0].endswith("/test_loss")] == [
        (f"member_{number}/test_loss", epoch) for number in (1, 2, 3) for epoch in (0, 1)
    ]
    assert len({tag for tag, _ in logged}) == 3 * 5


# Prediction and spread


def test_prediction_is_the_mean_of_the_members(
    ensemble: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    alone = [trained(ensemble_size=1, seed=seed).predict(*rows) for seed in range(SIZE)]
    members = ensemble.predict_members(*rows)
    assert members.shape == (SIZE, len(rows[1]), LABELS)
    assert torch.equal(members, torch.stack(alone))
    torch.testing.assert_close(ensemble.predict(*rows), sum(alone) / SIZE)


def test_calibrated_spread_is_as_large_as_the_error_on_the_test_split(
    ensemble: PyTorchLSTMTrainer,
) -> None:
    data = make_data()
    features = torch.tensor(data["test_features"].to_numpy())
    ends = whole_window_ends(WINDOW, hourly(len(features)), CANDLE_SECONDS)
    labels = labels_of(features)[ends].numpy()
    predicted = mean_and_spread(
        ensemble.predict_members(features, ends).numpy(), ensemble.calibration
    )
    error, spread = predicted[:, :LABELS] - labels, predicted[:, LABELS:]
    np.testing.assert_allclose((error**2).mean(axis=0), (spread**2).mean(axis=0), rtol=1e-4)
    assert ensemble.calibration != [1.0] * LABELS


def test_spread_without_a_test_split_is_that_of_the_members() -> None:
    trainer = make_trainer(ensemble_size=2)
    trainer.fit(make_data(), ["train"])
    assert trainer.calibration == [1.0] * LABELS


def test_label_that_all_members_predict_alike_has_no_spread(rows: tuple[Tensor, Tensor]) -> None:
    trainer = make_trainer(ensemble_size=2)
    trainer.members[1] = trainer.members[0]
    trainer.fit(make_data(), BOTH)
    assert trainer.calibration == [1.0] * LABELS
    predicted = mean_and_spread(trainer.predict_members(*rows).numpy(), trainer.calibration)
    assert (predicted[:, LABELS:] == 0).all()


def test_single_network_has_neither_spread_nor_calibration(rows: tuple[Tensor, Tensor]) -> None:
    single = trained(ensemble_size=1)
    assert single.calibration is None
    members = single.predict_members(*rows).numpy()
    assert mean_and_spread(members, None).tobytes() == members[0].tobytes()
    assert single.predict(*rows).numpy().tobytes() == members[0].tobytes()


def test_spread_is_the_standard_deviation_times_the_factor() -> None:
    members = np.array([[[1.0, 0.0]], [[3.0, 0.0]]])
    expected = [[2.0, 0.0, np.sqrt(2) * 5, 0.0]]
    np.testing.assert_allclose(mean_and_spread(members, [5.0, 7.0]), expected)
    assert spread_columns(["&-a", "&-b"]) == ["&-a_spread", "&-b_spread"]


# On disk


def test_loaded_ensemble_predicts_the_same_and_goes_on_alike(
    tmp_path: Path, ensemble: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    ensemble.save(tmp_path / "model.zip")
    loaded = load_trainer(tmp_path / "model.zip")
    assert torch.equal(loaded.predict_members(*rows), ensemble.predict_members(*rows))
    assert loaded.calibration == ensemble.calibration
    assert loaded.history == ensemble.history
    for trainer in (ensemble, loaded):
        trainer.fit(make_data(50), BOTH)
    for ours, theirs in zip(loaded.members, ensemble.members, strict=True):
        assert equal_weights(weights_of(ours.model), weights_of(theirs.model))


def test_model_saved_before_there_were_ensembles_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: tuple[Tensor, Tensor]
) -> None:
    single = trained(ensemble_size=1)

    def old_state(self: NetworkSettings) -> dict[Any, Any]:
        state = plain(self)
        fields = {key: value for key, value in state["__dict__"].items() if key != "ensemble_size"}
        given = state["__pydantic_fields_set__"] - {"ensemble_size"}
        return state | {"__dict__": fields, "__pydantic_fields_set__": given}

    plain = NetworkSettings.__getstate__
    with monkeypatch.context() as patched:
        patched.setattr(NetworkSettings, "__getstate__", old_state)
        single.save(tmp_path / "model.zip")
    checkpoint = torch.load(tmp_path / "model.zip", weights_only=False)
    assert checkpoint.keys() == {
        *("model_state_dict", "optimizer_state_dict", "model_meta_data", "pytrainer")
    }
    # Older ones knew no classes, nor when their training ended.
    for name in ("class_names", "trained_until"):
        del checkpoint["model_meta_data"][name]
    assert checkpoint["model_meta_data"].keys() == {"model_version", "network"}
    loaded = load_trainer(tmp_path / "model.zip")
    assert torch.equal(loaded.predict(*rows), single.predict(*rows))
    assert loaded.parameters == single.parameters


# Continual learning


def test_every_member_is_continued(
    ensemble: PyTorchLSTMTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    before = ensemble.predict_members(*rows)
    following = make_trainer(ensemble_size=SIZE, seed=99, learning_rate=0.002)
    following.continue_from(ensemble, hourly(30, 10).numpy())
    assert torch.equal(following.predict_members(*rows), before)
    for ours, theirs in zip(following.members, ensemble.members, strict=True):
        first, second = (member.optimizer.state_dict()["state"] for member in (theirs, ours))
        assert all(equal_weights(state, second[number]) for number, state in first.items())
        assert ours.optimizer.param_groups[0]["lr"] == 0.002
    following.fit(make_data(50), BOTH)
    assert torch.equal(ensemble.predict_members(*rows), before)


def test_ensemble_of_another_size_is_not_continued(
    ensemble: PyTorchLSTMTrainer, caplog: pytest.LogCaptureFixture
) -> None:
    following = make_trainer(ensemble_size=2)
    before = weights_of(following.model)
    with caplog.at_level(logging.WARNING):
        following.continue_from(ensemble, hourly(30, 10).numpy())
    assert equal_weights(weights_of(following.model), before)
    assert "'ensemble_size': 3" in caplog.text
