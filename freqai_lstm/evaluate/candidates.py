"""The models that are compared, and what they are trained with."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freqai_lstm.exceptions import SettingsError

_LSTM = "PyTorchLSTMRegressor"
_FIELDS = {"freqaimodel", "model_training_parameters", "conv_width"}


@dataclass(frozen=True)
class Candidate:
    """A model of FreqAI and its parameters.

    :ivar name: What tables call it.
    :ivar freqaimodel: The class that FreqAI loads.
    :ivar parameters: ``freqai.model_training_parameters``.
    :ivar conv_width: ``freqai.conv_width``; the LSTM takes its window from its parameters.
    """

    name: str
    freqaimodel: str
    parameters: Mapping[str, Any]
    conv_width: int = 1

    def seeded_parameters(self, seed: int) -> dict[str, Any]:
        """Return the parameters with a seed, where the model takes one.

        The others draw from the global generators, which each run seeds as well.
        """
        parameters = copy.deepcopy(dict(self.parameters))
        if self.freqaimodel == _LSTM:
            parameters.setdefault("trainer_kwargs", {}).update(seed=seed, progress_bar=False)
        elif self.freqaimodel.startswith("LightGBM"):
            parameters["random_state"] = seed
        return parameters


def default_candidates(freqai: Mapping[str, Any]) -> dict[str, Candidate]:
    """Return the LSTM as configured, and two models that come with freqtrade.

    LightGBM has its own defaults; the Transformer those of FreqAI's documentation, with the LSTM's
    window and as many epochs.

    :param freqai: The ``freqai`` section of the configuration.
    """
    lstm = freqai.get("model_training_parameters", {})
    window = lstm.get("model_kwargs", {}).get("window_size", 5)
    transformer = {
        "learning_rate": 3e-4,
        "trainer_kwargs": {"n_steps": None, "n_epochs": 10, "batch_size": 64},
        "model_kwargs": {"hidden_dim": 512, "dropout_percent": 0.2, "n_layer": 1},
    }
    found = (
        Candidate("lstm", _LSTM, lstm),
        Candidate("lightgbm", "LightGBMRegressorMultiTarget", {"n_jobs": 1, "verbosity": -1}),
        Candidate("transformer", "PyTorchTransformerRegressor", transformer, window),
    )
    return {candidate.name: candidate for candidate in found}


def read_candidates(file: Path) -> dict[str, Candidate]:
    """Read candidates from a JSON object: by name, ``freqaimodel`` and what it is trained with.

    :raises SettingsError: If the file is not such an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--candidates {file}: must be a JSON object, was: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(
            f"--candidates {file}: must be a JSON object, was a {type(content).__name__}"
        )
    for name, fields in content.items():
        if not isinstance(fields, dict) or "freqaimodel" not in fields or set(fields) - _FIELDS:
            raise SettingsError(
                f"--candidates {file}: {name!r} must have freqaimodel, and at most "
                f"model_training_parameters and conv_width beside it, was {fields!r}"
            )
    return {
        name: Candidate(
            name,
            fields["freqaimodel"],
            fields.get("model_training_parameters", {}),
            fields.get("conv_width", 1),
        )
        for name, fields in content.items()
    }


def choose_candidates(
    known: Mapping[str, Candidate], names: Sequence[str] | None
) -> list[Candidate]:
    """Return the candidates of these names, or all.

    :raises SettingsError: If a name is not known.
    """
    if unknown := sorted(set(names or ()) - set(known)):
        raise SettingsError(f"--models: must be of {', '.join(known)}, was {', '.join(unknown)}")
    return [known[name] for name in names or known]
