"""Rows of features and labels that the tests of the training are made of."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from freqai_lstm.model.network import PyTorchLSTMModel
from freqai_lstm.model.training import Split, seeded
from freqai_lstm.model.windows import whole_window_ends
from freqai_lstm.settings import ModelTrainingParameters
from freqai_lstm.trainer import PyTorchLSTMTrainer

WINDOW, FEATURES, LABELS = 3, 4, 2
BOTH = ["train", "test"]
CANDLE_SECONDS = 3600

NETWORK = {
    "window_size": WINDOW,
    "num_lstm_layers": 1,
    "hidden_dim": 8,
    "dropout_percent": 0.0,
    "alpha_dropout_percent": 0.0,
}
TRAINING = {
    "n_epochs": 2,
    "batch_size": 8,
    "lr_schedule": "constant",
    "max_grad_norm": None,
    "weight_decay": 0.0,
    "device": "cpu",
    "progress_bar": False,
}


def make_features(rows: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, FEATURES, generator=torch.Generator().manual_seed(seed))


def labels_of(features: Tensor) -> Tensor:
    """Let the labels follow from the oldest candle of the window and from the newest one."""
    return torch.stack([features.roll(WINDOW - 1, 0)[:, 0].tanh(), features[:, 1]], dim=1)


def hourly(rows: int, first: int = 0) -> Tensor:
    return torch.arange(first, first + rows) * CANDLE_SECONDS


def make_model(**changed: Any) -> PyTorchLSTMModel:
    with seeded(7):
        return PyTorchLSTMModel(FEATURES, LABELS, **NETWORK | changed)


def make_split(windows: int, seed: int = 0) -> Split:
    """Make as many consecutive rows as hold that many windows."""
    rows = windows + WINDOW - 1
    features = make_features(rows, seed)
    return Split(
        features=features,
        labels=labels_of(features),
        weights=torch.ones(rows),
        ends=whole_window_ends(WINDOW, hourly(rows), CANDLE_SECONDS),
    )


def make_trainer(
    *, tb_logger: Any = None, seed: int = 0, features: int = FEATURES, **changed: Any
) -> PyTorchLSTMTrainer:
    """Make a trainer; a changed setting is one of the network's, the training's or its rate."""
    shape = (*NETWORK, "ensemble_size", "linear_share", "linear_alpha_per_row")
    network = NETWORK | {name: changed.pop(name) for name in shape if name in changed}
    rate = changed.pop("learning_rate", 0.01)
    parameters = ModelTrainingParameters.model_validate(
        {"learning_rate": rate, "model_kwargs": network, "trainer_kwargs": TRAINING | changed}
    )
    return PyTorchLSTMTrainer(
        features,
        LABELS,
        parameters,
        candle_seconds=CANDLE_SECONDS,
        seed=seed,
        tb_logger=tb_logger,
        description="BTC/USDT:USDT",
    )


def load_trainer(path: Path) -> PyTorchLSTMTrainer:
    """Load a trainer the way FreqAI does."""
    checkpoint = torch.load(path, weights_only=False)
    trainer: PyTorchLSTMTrainer = checkpoint["pytrainer"].load_from_checkpoint(checkpoint)
    return trainer


def make_data(train_rows: int = 30, test_rows: int = 12, first: int = 0) -> dict[str, Any]:
    """Make FreqAI's data dictionary: a training split and the test split after it."""
    data: dict[str, Any] = {}
    for split, rows in (("train", train_rows), ("test", test_rows)):
        features = make_features(rows, seed=first)
        data[f"{split}_features"] = pd.DataFrame(features.numpy())
        data[f"{split}_labels"] = pd.DataFrame(labels_of(features).numpy())
        data[f"{split}_weights"] = torch.ones(rows).numpy()
        data[f"{split}_timestamps"] = pd.Series(hourly(rows, first).numpy())
        first += rows
    return data


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Copy everything a network has learned."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal_weights(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )
