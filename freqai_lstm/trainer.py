"""What FreqAI calls a model: trains its networks, saves them, loads them, predicts with them."""

import logging
import math
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from freqtrade.freqai.torch.PyTorchDataConvertor import DefaultPyTorchDataConvertor
from freqtrade.freqai.torch.PyTorchModelTrainer import PyTorchModelTrainer
from freqtrade.util import get_progress_tracker
from torch import Tensor, nn

from freqai_lstm.exceptions import WindowError
from freqai_lstm.files import replacing
from freqai_lstm.model import MODEL_VERSION
from freqai_lstm.model.ensemble import calibrate, make_members, mean_history, predict_members
from freqai_lstm.model.linear import Linear, fit_linear
from freqai_lstm.model.persistence import Persistence, fit_persistence
from freqai_lstm.model.training import (
    Loss,
    Split,
    TrainingHistory,
    cross_entropy,
    huber_error,
    squared_error,
    train_windows,
)
from freqai_lstm.model.windows import whole_window_ends
from freqai_lstm.settings import ModelTrainingParameters

logger = logging.getLogger(__name__)


class PyTorchLSTMTrainer(PyTorchModelTrainer):
    """Trains a :class:`~freqai_lstm.model.PyTorchLSTMModel` on the windows of a training period.

    With ``ensemble_size`` above 1 it trains as many, one after another, each until its own end, and
    predicts their mean. ``model`` and ``optimizer`` are those of the first one, the same that a
    trainer of a single network has.

    It never holds training data. Saved, it is on the CPU; loaded, on the device of its settings.

    :param candle_seconds: Seconds from one candle to the next.
    :param seed: Seed of the weights, the dropout and the order of the windows; the further
        networks take the seeds that follow.
    :param description: Whose model this is, e.g. the pair; for messages and the progress bar.
    :param class_names: The classes that the outputs are logits of; none for numbers.
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
        class_names: Sequence[str] = (),
    ) -> None:
        settings = parameters.trainer_kwargs
        network = {
            "input_dim": input_dim,
            "output_dim": output_dim,
            **parameters.model_kwargs.architecture,
        }
        device = resolve_device(settings.device)
        self.members = make_members(network, parameters, seed, device)
        super().__init__(
            model=self.members[0].model,
            optimizer=self.members[0].optimizer,
            criterion=nn.CrossEntropyLoss() if class_names else nn.MSELoss(),
            device=device,
            data_convertor=DefaultPyTorchDataConvertor(target_tensor_type=torch.float),
            model_meta_data={
                "model_version": MODEL_VERSION,
                "network": network,
                "class_names": [*class_names],
            },
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
        self.training_settings = settings

    def fit(self, data_dictionary: dict[str, Any], splits: list[str]) -> None:
        """Train on the windows of the training split, watching those of the test split.

        :param data_dictionary: ``<split>_features`` (rows, features), ``<split>_labels``
            (rows, labels), ``<split>_weights`` (rows,) and ``<split>_timestamps`` (rows,), the
            opening times of the rows' candles in seconds.
        :param splits: ``["train"]`` or ``["train", "test"]``.
        :raises WindowError: If the training split holds fewer than two whole windows.
        """
        self.model_meta_data["trained_until"] = int(np.max(data_dictionary["train_timestamps"]))
        loss = self._loss([*map(str, data_dictionary["train_labels"])])
        train = self._load_split(data_dictionary, "train")
        test = self._load_split(data_dictionary, "test") if "test" in splits else None
        if len(train.ends) < 2:
            raise WindowError(
                f"{self.description}: training needs at least 2 whole windows of "
                f"{self.window_size} consecutive candles, {len(train.features)} training rows "
                f"hold {len(train.ends)}"
            )
        test = test if test is not None and len(test.ends) else None
        whole_test = test
        if self.parameters.trainer_kwargs.from_persistence:
            features, labels = data_dictionary["train_features"], data_dictionary["train_labels"]
            persistence = fit_persistence(train, list(features), list(labels))
            self.model_meta_data["persistence"] = persistence
            train = persistence.residual(train)
            test = persistence.residual(test) if test is not None else None
        network = self.parameters.model_kwargs
        if network.linear_share > 0:
            linear = fit_linear(train, network.linear_share, network.linear_alpha_per_row)
            self.model_meta_data["linear"] = linear
        histories = [
            train_windows(
                member.model,
                member.optimizer,
                self.training_settings,
                train,
                test,
                seed=member.seed,
                loss=loss,
                epochs=partial(self._count_epochs, number),
                on_epoch=partial(self._log_epoch, number),
            )
            for number, member in enumerate(self.members, 1)
        ]
        self.history = mean_history(histories)
        if len(self.members) > 1 and not self.class_names:
            factors = [1.0] * self.model_meta_data["network"]["output_dim"]
            if whole_test is not None:
                predicted = self.predict_members(whole_test.features, whole_test.ends)
                factors = calibrate(predicted, whole_test.labels[whole_test.ends].cpu())
            self.model_meta_data["calibration"] = factors

    def predict(self, features: Tensor, ends: Tensor) -> Tensor:
        """Predict the labels of the rows that end a whole window: the mean over the networks.

        Parameters and errors are those of :meth:`predict_members`.

        :return: Scaled labels on the CPU, shape ``(windows, labels)``.
        """
        return self.predict_members(features, ends).mean(dim=0)

    def predict_members(self, features: Tensor, ends: Tensor) -> Tensor:
        """Let each network predict the labels of the rows that end a whole window.

        What is linear and what persists is in each of these predictions.

        :param features: Scaled features, shape ``(rows, features)``, float32.
        :param ends: Rows to predict, shape ``(windows,)``, int64.
        :return: Scaled labels on the CPU, or logits of the classes, shape
            ``(networks, windows, labels)``.
        :raises WindowError: If the number of features differs from what was trained on.
        """
        features, ends = features.to(self.device), ends.to(self.device)
        predicted = predict_members(self.members, features, ends)
        if self.linear is not None:
            predicted = self.linear.averaged(predicted, features[ends])
        if self.persistence is not None:
            predicted += self.persistence.predict(features, predicted.shape[-1])[ends]
        return predicted.cpu()

    @property
    def class_names(self) -> list[str]:
        """The classes that the outputs are logits of; none for numbers."""
        return list(self.model_meta_data.get("class_names", ()))

    @property
    def calibration(self) -> list[float] | None:
        """Factor that makes each label's spread the size of its error; None for one network."""
        return self.model_meta_data.get("calibration")

    @property
    def persistence(self) -> Persistence | None:
        """What the networks' predictions are added to; None where they predict the labels."""
        return self.model_meta_data.get("persistence")

    @property
    def linear(self) -> Linear | None:
        """What the networks' predictions are averaged with; None where they stand alone."""
        return self.model_meta_data.get("linear")

    def save(self, path: Path) -> None:
        """Save networks, optimizers and settings, all on the CPU, in one atomic step.

        :param path: File to write; it holds either its old or its whole new content at any moment.
        """
        first, *further = (member.state() for member in self.members)
        checkpoint = first | {"model_meta_data": self.model_meta_data, "pytrainer": self}
        if further:
            checkpoint["further_members"] = further
        with replacing(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_from_checkpoint(self, checkpoint: dict[str, Any]) -> Self:
        """Restore the networks and their optimizers from a saved file.

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
            class_names=meta_data.get("class_names", ()),
        )
        self.history, self.model_meta_data = history, meta_data
        states = [checkpoint, *checkpoint.get("further_members", ())]
        for member, state in zip(self.members, states, strict=True):
            member.load(state)
            member.model.eval()
        return self

    @property
    def generation(self) -> int:
        """How many models came before this one, each of which the next one started from."""
        return int(self.model_meta_data.get("generation", 0))

    def continue_from(
        self, previous: "PyTorchLSTMTrainer", timestamps: npt.NDArray[np.int64]
    ) -> None:
        """Start from the weights and the optimizers' states of another trainer, sharing nothing.

        The training is as long as it takes to go over what that one has not seen
        ``warm_start_epochs`` times, on windows of the whole training split.

        A network of another shape (FreqAI drops features that were constant, so their number can
        change) cannot be continued and is logged; nor can another number of networks, nor one that
        has seen none of these candles.

        :param previous: The trainer of the pair's last model.
        :param timestamps: Opening times of the candles of the training split, in seconds.
        """
        ours, theirs = (
            trainer.model_meta_data["network"]
            | {"ensemble_size": len(trainer.members), "class_names": trainer.class_names}
            for trainer in (self, previous)
        )
        unseen = int(np.sum(timestamps > previous.model_meta_data.get("trained_until", -math.inf)))
        problem = None
        if ours != theirs:
            problem = f"the previous network was built for {theirs}, the new one for {ours}"
        elif unseen == len(timestamps):
            problem = "the previous network is not known to have seen any of these candles"
        if problem is not None:
            logger.warning(f"{self.description}: training from scratch, since {problem}")
            return
        for member, former in zip(self.members, previous.members, strict=True):
            member.load(former.state())
            for group in member.optimizer.param_groups:
                group["lr"] = self.parameters.learning_rate
        settings = self.parameters.trainer_kwargs
        steps = max(round(settings.warm_start_epochs * unseen / settings.batch_size), 1)
        self.training_settings = settings.model_copy(
            update={"n_epochs": None, "n_steps": steps, "early_stopping_patience": 0}
        )
        self.model_meta_data["generation"] = previous.generation + 1

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is saved beside the trainer or belongs to the running process."""
        transient = ("model", "optimizer", "members", "tb_logger", "device")
        return {key: value for key, value in self.__dict__.items() if key not in transient}

    def _loss(self, labels: Sequence[str]) -> Loss:
        """Return what is minimised.

        :param labels: Their names.
        """
        if self.class_names:
            return cross_entropy
        deltas = self.training_settings.huber_delta
        if not deltas:
            return squared_error
        each = [deltas.get(label, math.inf) for label in labels]
        return huber_error(torch.tensor(each, device=self.device))

    def _load_split(self, data_dictionary: dict[str, Any], split: str) -> Split:
        """Put one split on the device and find its whole windows."""
        device, convertor = self.device, self.data_convertor
        # FreqAI hands out its weights back to front where it splits nothing off.
        in_order = np.ascontiguousarray(data_dictionary[f"{split}_weights"])
        weights = torch.as_tensor(in_order, dtype=torch.float32)
        timestamps = torch.as_tensor(data_dictionary[f"{split}_timestamps"])
        ends = whole_window_ends(self.window_size, timestamps, self.candle_seconds)
        return Split(
            features=convertor.convert_x(data_dictionary[f"{split}_features"], device),
            labels=convertor.convert_y(data_dictionary[f"{split}_labels"], device),
            weights=(weights / weights.mean()).to(device),
            ends=ends.to(device),
        )

    def _count_epochs(self, number: int, n_epochs: int) -> Iterator[int]:
        """Count the epochs of a network, with a progress bar on a terminal."""
        shown = self.parameters.trainer_kwargs.progress_bar and sys.stderr.isatty()
        which = f" {number}/{len(self.members)}" if len(self.members) > 1 else ""
        with get_progress_tracker(transient=True, disable=not shown) as progress:
            yield from progress.track(
                range(n_epochs), description=f"Training {self.description}{which}"
            )

    def _log_epoch(self, number: int, epoch: int, history: TrainingHistory) -> None:
        """Log the figures of an epoch of a network to TensorBoard."""
        group = f"member_{number}/" if len(self.members) > 1 else ""
        if self.tb_logger is not None:
            for name, value in history.latest().items():
                self.tb_logger.log_scalar(f"{group}{name}", value, epoch)


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
