"""Networks trained together come out as they would one by one."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from freqai_lstm.exceptions import TrainingError
from freqai_lstm.model import PyTorchLSTMModel
from freqai_lstm.settings import TrainerSettings
from freqai_lstm.stacked_model import StackedLSTMModel
from freqai_lstm.stacked_training import Candidate, train_stacked
from freqai_lstm.training import TrainingHistory, seeded, train_windows
from freqai_lstm.training_step import Split
from freqai_lstm.windows import gather_windows
from tests.unit.unit_rows import (
    FEATURES,
    LABELS,
    NETWORK,
    TRAINING,
    equal_weights,
    make_split,
    weights_of,
)

# Windows to train on and to watch: networks take their batches side by side, and end at different
# times.
SIZES = [(30, 12), (41, 9), (17, None), (30, 5)]


def make_candidate(number: int, *, windows: int, watched: int | None, **network: Any) -> Candidate:
    with seeded(number):
        model = PyTorchLSTMModel(FEATURES, LABELS, **NETWORK | {"num_lstm_layers": 2} | network)
    # In double precision, since rounding grows with every step.
    model.double()
    return Candidate(
        model,
        torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.01, fused=True),
        make_double_split(windows, seed=number),
        make_double_split(watched, seed=100 + number) if watched else None,
        seed=number,
    )


def make_double_split(windows: int, seed: int) -> Split:
    split = make_split(windows, seed)
    return Split(split.features.double(), split.labels.double(), split.weights.double(), split.ends)


def make_candidates(**network: Any) -> list[Candidate]:
    return [
        make_candidate(number, windows=windows, watched=watched, **network)
        for number, (windows, watched) in enumerate(SIZES)
    ]


def make_settings(**changed: Any) -> TrainerSettings:
    return TrainerSettings(**TRAINING | {"n_epochs": 5, "max_grad_norm": 0.5} | changed)


@dataclass
class Trained:
    candidate: Candidate
    history: TrainingHistory


def one_by_one(settings: TrainerSettings, **network: Any) -> list[Trained]:
    return [
        Trained(
            candidate,
            train_windows(
                candidate.model,
                candidate.optimizer,
                settings,
                candidate.train,
                candidate.test,
                seed=candidate.seed,
            ),
        )
        for candidate in make_candidates(**network)
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"lr_schedule": "plateau", "n_epochs": 8},
        {"lr_schedule": "cosine"},
        {"lr_schedule": "constant", "max_grad_norm": None},
        {"lr_schedule": "plateau", "early_stopping_patience": 1, "n_epochs": 30},
        {"n_epochs": None, "n_steps": 13},
        {"batch_size": 64},
    ],
)
def test_results_are_those_of_one_training_after_another(changed: dict[str, Any]) -> None:
    linear_skip = changed.get("lr_schedule") != "constant"
    settings = make_settings(**changed)
    expected = one_by_one(settings, linear_skip=linear_skip)
    candidates = make_candidates(linear_skip=linear_skip)
    histories = train_stacked(candidates, settings)
    for one, candidate, history in zip(expected, candidates, histories, strict=True):
        assert isinstance(history, TrainingHistory)
        for name in ("train_loss", "test_loss", "learning_rate", "grad_norm"):
            figures = getattr(one.history, name)
            assert getattr(history, name) == pytest.approx(figures, rel=1e-5, abs=1e-6)
        torch.testing.assert_close(
            candidate.model.state_dict(), one.candidate.model.state_dict(), rtol=1e-6, atol=1e-6
        )
        assert not candidate.model.training


def test_trainings_end_at_different_times() -> None:
    settings = make_settings(early_stopping_patience=1, n_epochs=30)
    lengths = [len(one.history.train_loss) for one in one_by_one(settings)]
    assert len(set(lengths)) > 1
    assert max(lengths) < 30


def test_optimizer_holds_the_state_that_it_would_have() -> None:
    settings = make_settings()
    expected = one_by_one(settings)[0].candidate.optimizer.state_dict()["state"]
    candidates = make_candidates()
    train_stacked(candidates, settings)
    state = candidates[0].optimizer.state_dict()["state"]
    assert state.keys() == expected.keys()
    for number, values in state.items():
        torch.testing.assert_close(
            values, expected[number], rtol=1e-6, atol=1e-6, check_dtype=False
        )


def test_network_does_not_depend_on_those_beside_it() -> None:
    settings = make_settings()
    first, other = make_candidates(), make_candidates()
    train_stacked(first, settings)
    train_stacked(other[:1] + other[2:], settings)
    torch.testing.assert_close(first[0].model.state_dict(), other[0].model.state_dict())


def test_diverged_network_does_not_stop_the_others() -> None:
    settings = make_settings()
    expected = one_by_one(settings)
    candidates = make_candidates()
    candidates[1].train.labels[:] = math.inf
    diverged, *others = (1, 0, 2, 3)
    results = train_stacked(candidates, settings)
    assert isinstance(results[diverged], TrainingError)
    assert "in epoch 1" in str(results[diverged])
    for number in others:
        torch.testing.assert_close(
            candidates[number].model.state_dict(),
            expected[number].candidate.model.state_dict(),
            rtol=1e-6,
            atol=1e-6,
        )


def test_same_seeds_same_weights_with_dropout() -> None:
    runs = []
    for _ in range(2):
        candidates = make_candidates(dropout_percent=0.3, alpha_dropout_percent=0.1)
        train_stacked(candidates, make_settings())
        runs.append([weights_of(candidate.model) for candidate in candidates])
    assert all(map(equal_weights, *runs))
    candidates = make_candidates()
    train_stacked(candidates, make_settings())
    assert not equal_weights(runs[0][0], weights_of(candidates[0].model))


def test_windows_that_fill_up_a_batch_influence_nothing() -> None:
    models = [candidate.model for candidate in make_candidates()]
    x = torch.randn(len(models), 6, NETWORK["window_size"], FEATURES).double()
    valid = torch.ones(len(models), 6, dtype=torch.bool)
    valid[1, 4:] = False
    whole, filled = StackedLSTMModel(models), StackedLSTMModel(models)
    other = x.clone()
    other[1, 4:] = 100.0
    torch.testing.assert_close(whole(x, valid)[valid], filled(other, valid)[valid])
    torch.testing.assert_close(whole.buffers, filled.buffers)


def test_network_predicts_stacked_what_it_predicts_alone() -> None:
    models = [candidate.model.eval() for candidate in make_candidates(dropout_percent=0.5)]
    split = make_double_split(7, seed=0)
    x = gather_windows(split.features, split.ends, models[0].window_size)
    stacked = StackedLSTMModel(models)
    stacked.training = False
    predicted = stacked(x.expand(len(models), *x.shape), torch.ones(len(models), 7).bool())
    for number, model in enumerate(models):
        torch.testing.assert_close(predicted[number], model(x))
