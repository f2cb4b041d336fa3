"""Reads the ``freqai`` section of freqtrade's configuration; every problem stands in one error."""

import copy
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import SECONDS_PER_DAY, FreqaiSettings, RidgeSettings

# Values for required keys that contradict nothing.
_HARMLESS: dict[str, Any] = {
    "enabled": True,
    "identifier": "identifier",
    "train_period_days": 1_000_000,
    "backtest_period_days": 1,
    "feature_parameters": {
        "include_timeframes": ["1h"],
        "include_corr_pairlist": [],
        "include_shifted_candles": 0,
        "indicator_periods_candles": [2],
    },
    "data_split_parameters": {},
}


def read_settings(section: Mapping[str, Any], candle_seconds: int) -> FreqaiSettings:
    """Read and check everything the regressor needs from freqtrade's configuration.

    :param section: The ``freqai`` section of freqtrade's configuration.
    :param candle_seconds: Seconds of a candle of the base timeframe.
    :return: The settings, with defaults filled in.
    :raises SettingsError: With a line for every problem: the key's full path, what is required and
        what was found.
    """
    settings, errors = _validate(section)
    problems = [_describe(error) for error in errors]
    if errors:
        # The keys without an error are checked against each other all the same.
        settings, _ = _validate(_mended(section, [error["loc"] for error in errors]))
    if settings is not None:
        problems += _contradictions(settings, candle_seconds)
    if problems or settings is None:
        raise _settings_error(problems)
    return settings


def read_ridge_settings(section: Mapping[str, Any]) -> RidgeSettings:
    """Read the settings of ridge regression.

    :param section: ``freqai.model_training_parameters`` of freqtrade's configuration.
    :raises SettingsError: With a line for every problem.
    """
    try:
        return RidgeSettings.model_validate(section)
    except ValidationError as error:
        problems = [
            _describe(each, RidgeSettings, "freqai.model_training_parameters")
            for each in error.errors()
        ]
        raise _settings_error(problems) from error


def _settings_error(problems: Sequence[str]) -> SettingsError:
    lines = "\n  ".join(problems)
    return SettingsError(f"The configuration has {len(problems)} problem(s):\n  {lines}")


def _validate(section: Mapping[str, Any]) -> tuple[FreqaiSettings | None, list[ErrorDetails]]:
    try:
        return FreqaiSettings.model_validate(section), []
    except ValidationError as error:
        return None, error.errors()


def _mended(section: Mapping[str, Any], locations: list[tuple[int | str, ...]]) -> dict[str, Any]:
    """Return a section with harmless values in place of what is wrong at these locations."""
    mended = copy.deepcopy(dict(section))
    for location in locations:
        holder, harmless = mended, _HARMLESS
        for name in map(str, location):
            inner = holder.get(name)
            if name != str(location[-1]) and isinstance(inner, dict):
                holder, harmless = inner, harmless.get(name, {})
                continue
            # A wrong element of a list takes the whole list with it.
            holder.pop(name, None)
            if name in harmless:
                holder[name] = copy.deepcopy(harmless[name])
            break
    return mended


def _contradictions(settings: FreqaiSettings, candle_seconds: int) -> Iterator[str]:
    """Give what is wrong with values that are fine each by itself."""
    training, features = settings.model_training_parameters, settings.feature_parameters
    trainer, window = training.trainer_kwargs, settings.window_size
    if (trainer.n_steps is None) == (trainer.n_epochs is None):
        yield (
            "freqai.model_training_parameters.trainer_kwargs.n_epochs: one of n_epochs and n_steps "
            f"must be a number and the other null, was {trainer.n_epochs} and {trainer.n_steps}"
        )
    for name, is_set, reason in (
        (
            "feature_parameters.return_head",
            features.return_head,
            "the candles that the return is taken over",
        ),
        (
            "model_training_parameters.trainer_kwargs.from_persistence",
            trainer.from_persistence,
            "since a label of the present is its own persistence",
        ),
    ):
        if is_set and not features.label_period_candles:
            yield (
                f"freqai.{name}: needs label_period_candles of at least 1, {reason}, was true with "
                f"label_period_candles 0"
            )
    if settings.continual_learning and not settings.save_backtest_models:
        yield (
            "freqai.save_backtest_models: must be true with continual_learning, since each model "
            "starts from the saved one before it, was false"
        )
    if settings.conv_width not in (1, window):
        yield (
            f"freqai.conv_width: remove it, model_training_parameters.model_kwargs.window_size "
            f"({window}) sets it, was {settings.conv_width}"
        )
    candles = settings.train_period_days * SECONDS_PER_DAY // candle_seconds
    for name, longest in (
        ("label_period_candles", features.label_period_candles),
        ("indicator_periods_candles", max(features.indicator_periods_candles)),
    ):
        if longest >= candles:
            yield (
                f"freqai.feature_parameters.{name}: must be less than the {candles} candles of "
                f"train_period_days, was {longest}"
            )
    buffer, batch = features.buffer_train_data_candles, trainer.batch_size
    # The last labels of a training look past its end.
    left_out = 2 * buffer + max(features.label_period_candles - buffer, 0)
    share = 1 - settings.data_split_parameters.test_size
    # Nor may the labels of the training split look into the test split.
    gap = features.label_period_candles if share < 1 else 0
    rows = max(int(max(candles - left_out, 0) * share) - gap, 0)
    needed = window + batch - 1
    if rows < needed:
        whole = math.ceil((needed + gap) / share) + left_out
        days = math.ceil(whole * candle_seconds / SECONDS_PER_DAY)
        yield (
            f"freqai.train_period_days: must be at least {days}, so that its training candles "
            f"({rows} without buffer_train_data_candles, label_period_candles and test_size) hold "
            f"a batch of {batch} windows of {window} candles (model_kwargs.window_size), was "
            f"{settings.train_period_days}"
        )


def _describe(
    problem: ErrorDetails, root: type[BaseModel] = FreqaiSettings, at: str = "freqai"
) -> str:
    """Return one problem as a line: key path, requirement, what was found.

    :param root: The section that was read.
    :param at: Its key.
    """
    loc = problem["loc"]
    path = ".".join([at, *(str(part) for part in loc)])
    match problem["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_close_match(loc, root)}, was {problem['input']!r}"
        case "missing":
            return f"{path}: is required, was missing"
        case "literal_error":
            reason = _section_of(loc, root).model_fields[str(loc[-1])].description
            expected = problem["ctx"]["expected"] + (f" ({reason})" if reason else "")
            return f"{path}: must be {expected}, was {problem['input']!r}"
        case _:
            requirement = problem["msg"].removeprefix("Input ").replace("should", "must", 1)
            return f"{path}: {requirement}, was {problem['input']!r}"


def _close_match(loc: tuple[int | str, ...], root: type[BaseModel]) -> str:
    """Return a hint at the known key that an unknown one resembles."""
    return did_you_mean(str(loc[-1]), _section_of(loc, root).model_fields)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that an unknown one resembles, empty if there is none."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def _section_of(loc: tuple[int | str, ...], root: type[BaseModel]) -> type[BaseModel]:
    """Return the section that holds the key at a location."""
    section = root
    for name in loc[:-1]:
        annotation = section.model_fields[str(name)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    return section
