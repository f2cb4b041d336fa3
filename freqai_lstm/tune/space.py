"""What is searched: parameters of the network and of its training, each in a range."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import Trial

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import FreqaiSettings

TRAIN_PERIOD = "train_period_days"


@dataclass(frozen=True)
class Parameter:
    """A key of the ``freqai`` section, and where its best value is looked for.

    :ivar path: Where the key stands below ``freqai``.
    :ivar low: The smallest value; an int searches whole numbers.
    :ivar high: The largest value.
    :ivar step: From one value to the next.
    :ivar log: Whether halves and doubles are equally far away.
    """

    path: tuple[str, ...]
    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def name(self) -> str:
        """The key alone, which is unique."""
        return self.path[-1]

    def suggest(self, trial: Trial) -> float:
        """Return the value that a trial tries."""
        if isinstance(self.low, int):
            step = int(self.step or 1)
            return trial.suggest_int(self.name, self.low, int(self.high), step=step, log=self.log)
        return trial.suggest_float(
            self.name, self.low, self.high, step=self.step or None, log=self.log
        )


_MODEL = ("model_training_parameters", "model_kwargs")
_TRAINER = ("model_training_parameters", "trainer_kwargs")
_KNOWN = (
    Parameter((*_MODEL, "window_size"), 4, 48, log=True),
    Parameter((*_MODEL, "num_lstm_layers"), 1, 3),
    Parameter((*_MODEL, "hidden_dim"), 16, 128, step=16),
    Parameter((*_MODEL, "dropout_percent"), 0.0, 0.7, step=0.05),
    Parameter(("model_training_parameters", "learning_rate"), 3e-4, 1e-2, log=True),
    Parameter((*_TRAINER, "weight_decay"), 1e-3, 1.0, log=True),
    Parameter((*_TRAINER, "n_epochs"), 2, 16),
    Parameter((*_TRAINER, "batch_size"), 32, 256, step=32),
)
NAMES = tuple(parameter.name for parameter in _KNOWN)


def search_space(
    names: Sequence[str] | None = None, train_period_days: Sequence[int] | None = None
) -> list[Parameter]:
    """Return the parameters to search.

    :param names: Those of :data:`NAMES` to search, all by default; the others stay as configured.
    :param train_period_days: The shortest and the longest training period to try, if any.
    :raises SettingsError: If a name is not known, or the periods are not in order.
    """
    if unknown := sorted(set(names or ()) - set(NAMES)):
        raise SettingsError(
            f"--parameters: must be of {', '.join(NAMES)}, was {', '.join(unknown)}"
        )
    space = [parameter for parameter in _KNOWN if names is None or parameter.name in names]
    if train_period_days:
        shortest, longest = train_period_days
        if not 0 < shortest < longest:
            raise SettingsError(
                f"--train-period-days: must be a shortest and a longest period, was "
                f"{shortest} {longest}"
            )
        space.append(Parameter((TRAIN_PERIOD,), shortest, longest))
    return space


def configured(settings: FreqaiSettings, space: Iterable[Parameter]) -> dict[str, Any] | None:
    """Return the values that a configuration has, None if it trains by steps, not by epochs.

    :param settings: The ``freqai`` section, with its defaults.
    :param space: The parameters.
    """
    values: dict[str, Any] = {}
    for parameter in space:
        value: Any = settings
        for key in parameter.path:
            value = getattr(value, key)
        values[parameter.name] = value
    return None if None in values.values() else values


def tried(
    freqai: Mapping[str, Any], space: Iterable[Parameter], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a ``freqai`` section with the values of a trial in place of its own.

    :param freqai: The ``freqai`` section.
    :param space: The parameters.
    :param values: By the parameters' names.
    """
    changed = copy.deepcopy(dict(freqai))
    _place(changed, space, values)
    if "n_epochs" in values:
        # Only one of the two may count.
        changed["model_training_parameters"]["trainer_kwargs"]["n_steps"] = None
    return changed


def overlay(
    identifier: str, tuned_on: str, space: Iterable[Parameter], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a configuration for freqtrade that holds the values of a trial and nothing else.

    :param identifier: FreqAI's identifier for models with these values.
    :param tuned_on: The timerange that the values were chosen on.
    :param space: The parameters.
    :param values: By the parameters' names.
    """
    section: dict[str, Any] = {"identifier": identifier, "tuned_on": tuned_on}
    _place(section, space, values)
    if "n_epochs" in values:
        section["model_training_parameters"]["trainer_kwargs"]["n_steps"] = None
    return {"freqai": section}


def _place(section: dict[str, Any], space: Iterable[Parameter], values: Mapping[str, Any]) -> None:
    for parameter in space:
        holder = section
        for key in parameter.path[:-1]:
            holder = holder.setdefault(key, {})
        holder[parameter.name] = values[parameter.name]
