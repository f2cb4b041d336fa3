"""What is searched, each parameter in its range, and all that must stay the same meanwhile."""

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any

from freqtrade.configuration import TimeRange
from freqtrade.exchange import timeframe_to_seconds
from optuna.trial import Trial

from freqai_lstm.bridge.configuration import read_settings
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import FreqaiSettings
from freqai_lstm.tools.candles import check_stored, closed_timerange
from freqai_lstm.tools.evaluate.plan import OWN, Candidate, Digests, SubRun, plan_sub_runs
from freqai_lstm.tools.truths import SCORE

TRAIN_PERIOD = "train_period_days"


@dataclass(frozen=True)
class Parameter:
    """A key of the ``freqai`` section, and where its best value is looked for.

    :ivar path: Where the key stands below ``freqai``.
    :ivar low: The smallest value; an int searches whole numbers.
    :ivar high: The largest value.
    :ivar step: From one value to the next.
    :ivar log: Whether halves and doubles are equally far away.
    :ivar label: The label whose value it is, of a key that has one for each label.
    """

    path: tuple[str, ...]
    low: float
    high: float
    step: float | None = None
    log: bool = False
    label: str | None = None

    @property
    def name(self) -> str:
        """The key alone, which is unique."""
        return self.path[-1]

    def configured(self, settings: FreqaiSettings) -> Any:
        """Return its value in a ``freqai`` section, None if it has none."""
        value = attrgetter(".".join(self.path))(settings)
        return value if self.label is None else value.get(self.label)

    def place(self, section: dict[str, Any], value: Any) -> None:
        """Put a value into a ``freqai`` section."""
        path = self.path if self.label is None else (*self.path, self.label)
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section[path[-1]] = value

    def suggest(self, trial: Trial) -> float:
        """Return the value that a trial tries."""
        if isinstance(self.low, int):
            step = int(self.step or 1)
            return trial.suggest_int(self.name, self.low, int(self.high), step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)


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
    Parameter(("feature_parameters", "weight_factor"), 0.1, 2.0, log=True),
)
_OF_NUMBERS = (
    Parameter((*_MODEL, "linear_share"), 0.0, 0.9, step=0.1),
    Parameter((*_TRAINER, "huber_delta"), 0.1, 5.0, log=True),
)
"""Searched only where named: they are for labels that are numbers, and usually off."""

USUAL = tuple(parameter.name for parameter in _KNOWN)
NAMES = (*USUAL, *(parameter.name for parameter in _OF_NUMBERS))


def search_space(
    names: Sequence[str] = USUAL, train_period_days: Sequence[int] | None = None, label: str = SCORE
) -> list[Parameter]:
    """Return the parameters to search.

    :param names: Those of :data:`NAMES` to search; the others stay as configured.
    :param train_period_days: The shortest and the longest training period to try, if any.
    :param label: What is searched for, and whose ``huber_delta``.
    :raises SettingsError: If a name is not known, the periods are not in order, or the score is to
        have a ``huber_delta``, whose components each have their own.
    """
    if unknown := sorted({*names} - {*NAMES}):
        raise SettingsError(
            f"--parameters: must be of {', '.join(NAMES)}, was {', '.join(unknown)}"
        )
    if "huber_delta" in names and label == SCORE:
        raise SettingsError(
            f"--parameters: huber_delta needs a label that is learned, such as with --label "
            f"&-return or --objective return-rank-ic, was of the {SCORE}"
        )
    space = [
        replace(parameter, label=label if parameter.name == "huber_delta" else None)
        for parameter in (*_KNOWN, *_OF_NUMBERS)
        if parameter.name in names
    ]
    if train_period_days:
        shortest, longest = train_period_days
        if not 0 < shortest < longest:
            raise SettingsError(
                f"--train-period-days: must be a shortest and a longest period, was "
                f"{shortest} {longest}"
            )
        space.append(Parameter((TRAIN_PERIOD,), shortest, longest))
    return space


def tried(
    freqai: Mapping[str, Any], space: Iterable[Parameter], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a ``freqai`` section with the values of a trial in place of its own.

    :param freqai: The ``freqai`` section.
    """
    changed = copy.deepcopy(dict(freqai))
    _place(changed, space, values)
    return changed


def overlay(
    identifier: str, tuned_on: str, space: Iterable[Parameter], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a configuration for freqtrade that holds the values of a trial and nothing else."""
    section: dict[str, Any] = {"identifier": identifier, "tuned_on": tuned_on}
    _place(section, space, values)
    return {"freqai": section}


def _place(section: dict[str, Any], space: Iterable[Parameter], values: Mapping[str, Any]) -> None:
    for parameter in space:
        parameter.place(section, values[parameter.name])
    if "n_epochs" in values:
        # Only one of the two may count.
        section["model_training_parameters"]["trainer_kwargs"]["n_steps"] = None


OBJECTIVES = {
    "correlation": "correlation",
    "return-rank-ic": "return_rank_ic",
    "log-loss": "log_loss",
}
"""The figure of a comparison by the name of its objective; the log loss is minimised."""


@dataclass(frozen=True)
class TuningPlan:
    """A search.

    :ivar name: Of the study and its file.
    :ivar label: The label that counts.
    :ivar objective: Of :data:`OBJECTIVES`.
    :ivar seeds: Each trial trains with each of them.
    :ivar space: What is searched.
    """

    name: str
    config: Mapping[str, Any]
    label: str
    objective: str
    seeds: Sequence[int]
    space: Sequence[Parameter]

    @property
    def pairs(self) -> list[str]:
        """The pairs that a trial walks over, in this order."""
        return list(self.config["exchange"]["pair_whitelist"])

    @property
    def horizon(self) -> int:
        """Candles ahead of the label."""
        return int(self.config["freqai"]["feature_parameters"].get("label_period_candles", 0))

    @property
    def tuned_on(self) -> str:
        """The timerange, as ``freqai.tuned_on`` has it."""
        timerange = TimeRange.parse_timerange(self.config["timerange"])
        return f"{timerange.startdt:%Y%m%d}-{timerange.stopdt:%Y%m%d}"

    def configured(self) -> dict[str, Any] | None:
        """Return the configured values of what is searched, None if one of them has none.

        So it is with ``n_epochs`` if training goes by steps, and where there is no ``huber_delta``.
        """
        candle = timeframe_to_seconds(self.config["timeframe"])
        settings = read_settings(self.config["freqai"], candle)
        values = {parameter.name: parameter.configured(settings) for parameter in self.space}
        return None if None in values.values() else values

    def sub_runs(self, label: str, values: Mapping[str, Any]) -> list[SubRun]:
        """Return the runs of a trial, pair by pair.

        :param label: Which trial; part of its folders' names.
        """
        freqai = tried(self.config["freqai"], self.space, values)
        model = self.config["freqaimodel"]
        candidate = Candidate(f"{self.name}.{label}", model, freqai["model_training_parameters"])
        config = {**self.config, "freqai": freqai}
        return plan_sub_runs(config, [candidate], self.seeds, [self.horizon], self._digests)

    @cached_property
    def _digests(self) -> Digests:
        return Digests(self.config)

    def check(self) -> None:
        """Refuse what cannot be searched, before anything is trained.

        :raises SettingsError: If the timerange, the configuration or the candles are wrong.
        """
        if self.config.get("freqaimodel") not in OWN:
            raise SettingsError(
                f"freqaimodel: must be {' or '.join(OWN)}, was {self.config.get('freqaimodel')!r}"
            )
        timerange = closed_timerange(self.config["timerange"])
        candle = timeframe_to_seconds(self.config["timeframe"])
        settings = read_settings(tried(self.config["freqai"], self.space, self._extreme()), candle)
        if self.objective == "return-rank-ic" and not settings.feature_parameters.return_head:
            raise SettingsError(
                "freqai.feature_parameters.return_head: must be true for --objective "
                "return-rank-ic, was false"
            )
        days = max(
            [settings.train_period_days, *(p.high for p in self.space if p.name == TRAIN_PERIOD)]
        )
        start = timerange.startdt - timedelta(days=days)
        last = timerange.stopdt - timedelta(seconds=candle)
        for pair in self.pairs:
            # Models of fewer candles would differ.
            check_stored(self.config, pair, start, last)

    def _extreme(self) -> dict[str, float]:
        """Return the longest windows in the largest batches of the shortest training period.

        If they fit, all the others do.
        """
        return {p.name: p.low if p.name == TRAIN_PERIOD else p.high for p in self.space}

    def described(self) -> dict[str, Any]:
        """Return what must not change from one start of a study to the next, by words for it."""
        rest = [run.identifier for run in self.sub_runs("any", self._extreme())]
        return {
            "--timerange": self.tuned_on,
            "--label": self.label,
            "--objective": self.objective,
            "--pairs": self.pairs,
            "--seeds": list(self.seeds),
            "freqai.feature_parameters.label_period_candles": self.horizon,
            "the searched parameters": [parameter.name for parameter in self.space],
            "the other settings, the code or the candles": hashlib.sha256(
                "".join(rest).encode()
            ).hexdigest()[:12],
        }
