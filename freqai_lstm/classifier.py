"""The same for labels that are classes: probabilities in place of numbers."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
from datasieve.pipeline import Pipeline
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame
from scipy.special import softmax

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.trainer import PyTorchLSTMTrainer


class LSTMClassifier(LSTMRegressor):
    """Trains one LSTM per pair and training window on a label of classes, and predicts.

    Windows, network, trainer and settings are those of
    :class:`~freqai_lstm.regressor.LSTMRegressor`; the loss is the cross-entropy. As of FreqAI's own
    classifiers the label's column has the most probable class, and a column for each class has its
    probability; of an ensemble these are means over the networks, and there are no spreads.

    The strategy names the classes in ``set_freqai_targets``: ``self.freqai.class_names = ["down",
    "up"]``.

    :raises SettingsError: As LSTMRegressor, and if ``from_persistence``, ``huber_delta`` or
        ``linear_share`` is set, which are for numbers.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        parameters = self.settings.model_training_parameters
        trainer, network = parameters.trainer_kwargs, parameters.model_kwargs
        for name, value, required in (
            ("trainer_kwargs.from_persistence", trainer.from_persistence, False),
            ("trainer_kwargs.huber_delta", trainer.huber_delta, {}),
            ("model_kwargs.linear_share", network.linear_share, 0),
        ):
            if value != required:
                raise SettingsError(
                    f"freqai.model_training_parameters.{name}: must be {json.dumps(required)} "
                    f"with classes, was {json.dumps(value)}"
                )

    def predicted_columns(self, labels: list[str]) -> list[str]:
        """Return the columns that are predicted: the label, and the classes.

        :raises SettingsError: If there are several labels, or their classes have no names.
        """
        if len(labels) > 1:
            raise SettingsError(
                f"set_freqai_targets: a classifier must have one label, was {', '.join(labels)}"
            )
        if len(self.class_names) < 2:
            raise SettingsError(
                "set_freqai_targets: must name at least 2 classes for a classifier, such as "
                f'self.freqai.class_names = ["down", "up"], was {self.class_names!r}'
            )
        return [*labels, *self.class_names]

    def numbers(self, labels: list[str]) -> list[str]:
        """Return those of the predicted columns that are numbers: the probabilities."""
        return list(self.class_names)

    def encode_labels(self, data_dictionary: dict[str, Any]) -> None:
        """Give each class a column with 1 where a candle is of it, 0 elsewhere.

        :raises SettingsError: If a label is none of the classes.
        """
        for split in self.splits:
            labels = data_dictionary[f"{split}_labels"]
            column = labels.iloc[:, 0]
            if unknown := sorted({*map(str, column.unique())} - {*self.class_names}):
                raise SettingsError(
                    f"set_freqai_targets: {column.name} must be one of self.freqai.class_names "
                    f"{self.class_names}, was {', '.join(unknown)}"
                )
            data_dictionary[f"{split}_labels"] = DataFrame(
                {name: (column == name).astype(float) for name in self.class_names}
            )

    def decode(
        self, outputs: npt.NDArray[np.float64], dk: FreqaiDataKitchen, trainer: PyTorchLSTMTrainer
    ) -> DataFrame:
        """Turn logits into the most probable class and the probabilities.

        :param outputs: Logits, shape ``(networks, windows, classes)``.
        """
        classes = trainer.class_names
        probabilities = softmax(outputs, axis=-1).mean(axis=0)
        predicted = DataFrame(probabilities, columns=classes)
        predicted.insert(0, dk.label_list[0], np.array(classes, object)[probabilities.argmax(1)])
        return predicted[self.predicted_columns(dk.label_list)]

    def define_label_pipeline(self, threads: int = -1) -> Pipeline:
        """Return a pipeline that leaves the classes as they are."""
        return Pipeline([])
