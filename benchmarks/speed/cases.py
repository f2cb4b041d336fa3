"""What is measured: sizes, data and networks, the same for all contenders."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import torch
from freqtrade.freqai.tensorboard.tensorboard import TensorboardLogger

from freqai_lstm.model.training import seeded
from freqai_lstm.settings import ModelTrainingParameters
from freqai_lstm.trainer import PyTorchLSTMTrainer

CANDLE_SECONDS = 3600
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Case:
    """A size of data and network.

    The rows hold a whole number of batches both for a loop that leaves out the newest window, as
    stock FreqAI's does, and for one that does not, so that all take the same number of steps.
    """

    name: str
    features: int
    window: int
    train_batches: int
    test_batches: int
    labels: int = 9
    layers: int = 3
    hidden: int = 128
    batch: int = 32
    dropout: float = 0.4

    @property
    def train_rows(self) -> int:
        """Rows to train on."""
        return self.window + self.train_batches * self.batch

    @property
    def test_rows(self) -> int:
        """Rows of the test split."""
        return self.window + self.test_batches * self.batch


SEED_SIZE = Case("seed size", features=220, window=5, train_batches=72, test_batches=18)
LARGE = Case("large", features=2500, window=60, train_batches=624, test_batches=0)


def make_data(case: Case, rows: int | None = None) -> dict[str, Any]:
    """Make FreqAI's data dictionary with random features and labels that follow from them."""
    random = np.random.default_rng(0)
    data: dict[str, Any] = {}
    first = 0
    for split, count in (("train", rows or case.train_rows), ("test", case.test_rows)):
        features = random.standard_normal((count, case.features), dtype=np.float32)
        labels = np.tanh(features[:, : case.labels] + features[:, case.labels : 2 * case.labels])
        data[f"{split}_features"] = pd.DataFrame(features, copy=False)
        data[f"{split}_labels"] = pd.DataFrame(labels)
        data[f"{split}_weights"] = np.ones(count)
        data[f"{split}_timestamps"] = np.arange(first, first + count) * CANDLE_SECONDS
        first += count
    return data


def make_logger() -> TensorboardLogger:
    """Make the logger that FreqAI gives every trainer."""
    return TensorboardLogger(Path(mkdtemp(prefix="freqai-lstm-bench-")))


def network_arguments(case: Case) -> dict[str, Any]:
    """Return the arguments of the network's class."""
    return {
        "input_dim": case.features,
        "output_dim": case.labels,
        "window_size": case.window,
        "hidden_dim": case.hidden,
        "num_lstm_layers": case.layers,
        "dropout_percent": case.dropout,
    }


def make_trainer(case: Case, *, threads: int, device: str, **settings: Any) -> PyTorchLSTMTrainer:
    """Make this package's trainer of the case's network."""
    parameters = ModelTrainingParameters.model_validate(
        {
            "learning_rate": LEARNING_RATE,
            "model_kwargs": {
                "window_size": case.window,
                "hidden_dim": case.hidden,
                "num_lstm_layers": case.layers,
                "dropout_percent": case.dropout,
            },
            "trainer_kwargs": {
                "batch_size": case.batch,
                "num_threads": threads,
                "device": device,
                "lr_schedule": "cosine",
                "progress_bar": False,
            }
            | settings,
        }
    )
    return PyTorchLSTMTrainer(
        case.features,
        case.labels,
        parameters,
        candle_seconds=CANDLE_SECONDS,
        tb_logger=make_logger(),
    )


def seeded_network(case: Case, network: type[torch.nn.Module], device: str) -> torch.nn.Module:
    """Make a contender's network, with the same first weights for each."""
    with seeded(0):
        return network(**network_arguments(case)).to(device)
