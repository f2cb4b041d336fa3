"""How the models of a finished backtest were trained."""

import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from freqai_lstm.folders import identifier_folder, model_filename, model_folder
from freqai_lstm.training import TrainingHistory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingCurve:
    """The losses of one training, epoch by epoch; mean squared errors of scaled labels."""

    window: int
    train_loss: list[float]
    test_loss: list[float]

    @property
    def epochs(self) -> int:
        """How many epochs it ran."""
        return len(self.train_loss)

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest test loss, counted from 1; of the training loss without."""
        losses = self.test_loss or self.train_loss
        return losses.index(min(losses)) + 1 if losses else 0


def training_curves(
    config: Mapping[str, Any], pair: str, windows: tuple[int, ...]
) -> list[TrainingCurve]:
    """Return the curves of the models that were kept and are of this package, oldest first.

    A backtest keeps them unless ``freqai.save_backtest_models`` is false.
    """
    histories = {window: _history(config, pair, window) for window in windows}
    return [
        TrainingCurve(window, list(history.train_loss), list(history.test_loss))
        for window, history in histories.items()
        if history is not None
    ]


def _history(config: Mapping[str, Any], pair: str, window: int) -> TrainingHistory | None:
    folder = model_folder(identifier_folder(config), pair, window)
    file = folder / f"{model_filename(pair, window)}_model.zip"
    if not file.is_file():
        return None
    try:
        # As FreqAI loads it; the network's weights are of no use here.
        checkpoint = torch.load(file, map_location="cpu", weights_only=False)
    except (pickle.UnpicklingError, AttributeError, ImportError, RuntimeError, EOFError) as error:
        logger.warning(f"{file}: its training curve is left out, cannot be read: {error}")
        return None
    history = getattr(checkpoint.get("pytrainer"), "history", None)
    return history if isinstance(history, TrainingHistory) else None
