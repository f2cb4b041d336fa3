"""What FreqAI calls a model: trains the network, saves it, loads it, and predicts with it."""

import copy
import logging
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

import torch
from freqtrade.freqai.torch.PyTorchDataConvertor import DefaultPyTorchDataConvertor
from freqtrade.freqai.torch.PyTorchModelTrainer import PyTorchModelTrainer
from freqtrade.util import get_progress_tracker
from torch import Tensor, nn

from freqai_lstm.exceptions import WindowError
from freqai_lstm.files import replacing
from freqai_lstm.model import MODEL_VERSION, PyTorchLSTMModel
from freqai_lstm.settings import ModelTrainingParameters
from freqai_lstm.training import TrainingHistory, predict_windows, seeded, train_windows
from freqai_lstm.training_step import Split
from freqai_lstm.windows import whole_window_ends

logger = logging.getLogger(__name__)

TRAIN_WINDOWS: ContextVar[Callable[..., TrainingHistory]] = ContextVar(
    "TRAIN_WINDOWS", default=train_windows
)
"""What trains: one network at a time, unless several threads let theirs be trained together."""


class PyTorchLSTMTrainer(PyTorchModelTrainer):
    """Trains a :class:`~freqai_lstm.model.PyTorchLSTMModel` on the windows of a training period.

    It never holds training data. Saved, it is on the CPU; loaded, on the device of its settings.

    :param input_dim: Number of features.
    :param output_dim: Number of labels.
    :param parameters: The model's and the trainer's settings.
    :param candle_seconds: Seconds from one candle to the next.
    :param seed: Seed of the weights, the dropout and the order of the windows.
    :param tb_logger: FreqAI's TensorBoard logger.
    :param description: Whose model this is, e.g. the pair; for messages and the progress bar.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        parameters: ModelTrainingParameters,
        *,
        candle_seconds: int,
        seed: int = 0,
        tb_logger: Any = None,
        description: str = "",
    ) -> None:
        settings = parameters.trainer_kwargs
        network = {
            "input_dim": input_dim,
            "output_dim": output_dim,
            **parameters.model_kwargs.model_dump(),
        }
        with seeded(seed):
            model = PyTorchLSTMModel(**network)
        device = resolve_device(settings.device)
        model.to(device)
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=parameters.learning_rate,
            weight_decay=settings.weight_decay,
            fused=device != "mps",
        )
        super().__init__(
            model=model,
            optimizer=optimizer,
            criterion=nn.MSELoss(),
            device=device,
            data_convertor=DefaultPyTorchDataConvertor(target_tensor_type=torch.float),
            model_meta_data={"model_version": MODEL_VERSION, "network": network},
            window_size=parameters.model_kwargs.window_size,
            tb_logger=tb_logger,
            n_epochs=settings.n_epochs,
            n_steps=settings.n_steps,
            batch_size=settings.batch_size,
            early_stopping_patience=settings.early_stopping_patience,
        )
        self.parameters = parameters
        self.candle_seconds = candle_seconds
        self.seed = seed
        self.description = description
        self.history = TrainingHistory()

    def fit(self, data_dictionary: dict[str, Any], splits: list[str]) -> None:
        """Train on the windows of the training split, watching those of the test split.

        :param data_dictionary: ``<split>_features`` (rows, features), ``<split>_labels``
            (rows, labels), ``<split>_weights`` (rows,) and ``<split>_timestamps`` (rows,), the
            opening times of the rows' candles in seconds.
        :param splits: ``["train"]`` or ``["train", "test"]``.
        :raises WindowError: If the training split holds fewer than two whole windows.
        """
        train = self._load_split(data_dictionary, "train")
        test = self._load_split(data_dictionary, "test") if "test" in splits else None
        if len(train.ends) < 2:
            raise WindowError(
                f"{self.description}: training needs at least 2 whole windows of "
                f"{self.window_size} consecutive candles, {len(train.features)} training rows "
                f"hold {len(train.ends)}"
            )
        self.history = TRAIN_WINDOWS.get()(
            self.model,
            self.optimizer,
            self.parameters.trainer_kwargs,
            train,
            test if test is not None and len(test.ends) else None,
            seed=self.seed,
            epochs=self._count_epochs,
            on_epoch=self._log_epoch,
        )

    def predict(self, features: Tensor, ends: Tensor) -> Tensor:
        """Predict the labels of the rows that end a whole window.

        :param features: Scaled features, shape ``(rows, features)``, float32.
        :param ends: Rows to predict, shape ``(windows,)``, int64.
        :return: Scaled labels on the CPU, shape ``(windows, labels)``.
        :raises WindowError: If the number of features differs from what was trained on.
        """
        labels = predict_windows(self.model, features.to(self.device), ends.to(self.device))
        return labels.cpu()

    def save(self, path: Path) -> None:
        """Save the network, the optimizer and the settings, all on the CPU, in one atomic step.

        :param path: File to write; it holds either its old or its whole new content at any moment.
        """
        checkpoint = {
            "model_state_dict": _on_cpu(self.model.state_dict()),
            "optimizer_state_dict": _on_cpu(self.optimizer.state_dict()),
            "model_meta_data": self.model_meta_data,
            "pytrainer": self,
        }
        with replacing(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_from_checkpoint(self, checkpoint: dict[str, Any]) -> Self:
        """Restore the network and the optimizer from a saved file.

        :param checkpoint: What :meth:`save` wrote; this trainer is its ``pytrainer``.
        :return: This trainer, ready to predict on the device of its settings.
        :raises WindowError: If the file was written by another version of the network.
        """
        meta_data, history = checkpoint["model_meta_data"], self.history
        if meta_data["model_version"] != MODEL_VERSION:
            raise WindowError(
                f"the saved model must have version {MODEL_VERSION}, was "
                f"{meta_data['model_version']}; it must be trained again"
            )
        self.__init__(  # type: ignore[misc]
            meta_data["network"]["input_dim"],
            meta_data["network"]["output_dim"],
            self.parameters,
            candle_seconds=self.candle_seconds,
            seed=self.seed,
            description=self.description,
        )
        self.history = history
        self.model.load_state_dict(checkpoint["model_state_dict"])
        self.optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        self.model.eval()
        return self

    def continue_from(self, previous: "PyTorchLSTMTrainer") -> None:
        """Start from the weights and the optimizer's state of another trainer.

        The plateau schedule goes on from the rate it has reached; the others belong to one
        training and start again.

        Nothing is shared with it. A network of another shape (FreqAI drops features that were
        constant, so their number can change) cannot be continued and is logged.

        :param previous: The trainer of the pair's last model.
        """
        ours, theirs = self.model_meta_data["network"], previous.model_meta_data["network"]
        if ours != theirs:
            logger.warning(
                f"{self.description}: training from scratch, since the previous network was built "
                f"for {theirs}, the new one for {ours}"
            )
            return
        self.model.load_state_dict(previous.model.state_dict())
        self.optimizer.load_state_dict(copy.deepcopy(previous.optimizer.state_dict()))
        before, now = previous.parameters, self.parameters
        is_resumed = (
            before.trainer_kwargs.lr_schedule == now.trainer_kwargs.lr_schedule == "plateau"
            and before.learning_rate == now.learning_rate
        )
        if not is_resumed:
            for group in self.optimizer.param_groups:
                group["lr"] = now.learning_rate

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is saved beside the trainer or belongs to the running process."""
        transient = ("model", "optimizer", "tb_logger", "device")
        return {key: value for key, value in self.__dict__.items() if key not in transient}

    def _load_split(self, data_dictionary: dict[str, Any], split: str) -> Split:
        """Put one split on the device and find its whole windows."""
        device, convertor = self.device, self.data_convertor
        weights = torch.as_tensor(data_dictionary[f"{split}_weights"], dtype=torch.float32)
        timestamps = torch.as_tensor(data_dictionary[f"{split}_timestamps"])
        ends = whole_window_ends(self.window_size, timestamps, self.candle_seconds)
        return Split(
            features=convertor.convert_x(data_dictionary[f"{split}_features"], device),
            labels=convertor.convert_y(data_dictionary[f"{split}_labels"], device),
            weights=(weights / weights.mean()).to(device),
            ends=ends.to(device),
        )

    def _count_epochs(self, n_epochs: int) -> Iterator[int]:
        """Count the epochs, with a progress bar on a terminal."""
        shown = self.parameters.trainer_kwargs.progress_bar and sys.stderr.isatty()
        with get_progress_tracker(transient=True, disable=not shown) as progress:
            yield from progress.track(range(n_epochs), description=f"Training {self.description}")

    def _log_epoch(self, epoch: int, history: TrainingHistory) -> None:
        """Log the figures of an epoch to TensorBoard."""
        if self.tb_logger is not None:
            for name, value in history.latest().items():
                self.tb_logger.log_scalar(name, value, epoch)


def resolve_device(requested: str) -> str:
    """Return the device to use: the requested one, or for ``auto`` the best there is.

    :param requested: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    :return: ``cpu``, ``cuda`` or ``mps``.
    """
    if requested != "auto":
        return requested
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _on_cpu(state: Any) -> Any:
    """Return a state dictionary with every tensor on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: _on_cpu(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_on_cpu(value) for value in state]
    return state
