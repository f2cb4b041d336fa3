"""The configuration of the regressor, checked as a whole before anything runs.

The classes mirror the ``freqai`` section of freqtrade's configuration; their fields are its only
legal keys. :func:`read_settings` reports every problem in one error.
"""

import copy
import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from freqai_lstm.exceptions import SettingsError

SECONDS_PER_DAY = 86_400

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

_CONSECUTIVE = "windows need consecutive candles"


class _Section(BaseModel):
    """A section of the configuration: strict types, no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Let settings that were saved before a key existed have its default."""
        defaults = {name: field.get_default() for name, field in type(self).model_fields.items()}
        super().__setstate__(state | {"__dict__": defaults | state["__dict__"]})


class NetworkSettings(_Section):
    """``freqai.model_training_parameters.model_kwargs``: the network, and how many of them."""

    window_size: int = Field(default=5, ge=1)
    num_lstm_layers: int = Field(default=3, ge=1)
    hidden_dim: int = Field(default=128, ge=1)
    dropout_percent: float = Field(default=0.4, ge=0, lt=1)
    alpha_dropout_percent: float = Field(default=0.0, ge=0, lt=1)
    linear_skip: bool = True
    ensemble_size: int = Field(default=1, ge=1)

    @property
    def architecture(self) -> dict[str, Any]:
        """What a single network is built with."""
        return self.model_dump(exclude={"ensemble_size"})


class TrainerSettings(_Section):
    """``freqai.model_training_parameters.trainer_kwargs``: how the network is trained."""

    n_steps: int | None = Field(default=None, ge=1)
    n_epochs: int | None = Field(default=10, ge=1)
    batch_size: int = Field(default=32, ge=2)
    early_stopping_patience: int = Field(default=0, ge=0)
    lr_schedule: Literal["plateau", "cosine", "constant"] = "plateau"
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    from_persistence: bool = False
    seed: int = Field(default=42, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    num_threads: int = Field(default=1, ge=1)
    progress_bar: bool = True

    @model_validator(mode="before")
    @classmethod
    def _steps_alone_count(cls, section: Any) -> Any:
        """Let ``n_steps`` decide where ``n_epochs`` is not given."""
        if isinstance(section, dict) and section.get("n_steps") is not None:
            return {"n_epochs": None} | section
        return section


class ModelTrainingParameters(_Section):
    """``freqai.model_training_parameters``: all that belongs to the model."""

    learning_rate: float = Field(default=3e-3, gt=0)
    model_kwargs: NetworkSettings = NetworkSettings()
    trainer_kwargs: TrainerSettings = TrainerSettings()


class FeatureParameters(_Section):
    """``freqai.feature_parameters``: FreqAI's keys, and those that shape the labels."""

    include_timeframes: list[str] = Field(min_length=1)
    include_corr_pairlist: list[str]
    label_period_candles: int = Field(default=0, ge=0)
    include_shifted_candles: int = Field(ge=0)
    indicator_periods_candles: list[Annotated[int, Field(ge=2)]] = Field(min_length=1)
    buffer_train_data_candles: int = Field(default=0, ge=0)
    DI_threshold: float = Field(default=0, ge=0)
    weight_factor: float = Field(default=0, ge=0)
    noise_standard_deviation: float = Field(default=0, ge=0)
    principal_component_analysis: bool = False
    use_SVM_to_remove_outliers: bool = False
    svm_params: dict[str, Any] = {}
    use_DBSCAN_to_remove_outliers: bool = False
    plot_feature_importances: int = Field(default=0, ge=0)
    reverse_train_test_order: bool = False
    shuffle_after_split: Literal[False] = Field(default=False, description=_CONSECUTIVE)
    strong_trend_threshold: float = Field(default=1.5, ge=0)
    strong_trend_boost: float = Field(default=1.5, gt=0)
    return_head: bool = False


class DataSplitParameters(_Section):
    """``freqai.data_split_parameters``: scikit-learn's ``train_test_split``, never shuffled."""

    test_size: float = Field(default=0.1, ge=0, lt=1)
    random_state: int | None = None
    shuffle: Literal[False] = Field(default=False, description=_CONSECUTIVE)


class FreqaiSettings(_Section):
    """The whole ``freqai`` section.

    ``conv_width`` is only accepted at freqtrade's default or equal to the window: the window size
    is set in ``model_kwargs`` and nowhere else.
    """

    enabled: bool
    identifier: str = Field(min_length=1)
    train_period_days: int = Field(ge=1)
    backtest_period_days: float = Field(gt=0)
    feature_parameters: FeatureParameters
    data_split_parameters: DataSplitParameters
    model_training_parameters: ModelTrainingParameters = ModelTrainingParameters()
    live_retrain_hours: float = Field(default=0, ge=0)
    expiration_hours: float = Field(default=0, ge=0)
    fit_live_predictions_candles: int = Field(default=0, ge=0)
    purge_old_models: Any = 2
    save_backtest_models: bool = True
    write_metrics_to_disk: bool = False
    activate_tensorboard: bool = True
    continual_learning: bool = False
    conv_width: int = 1
    data_kitchen_thread_count: int = Field(default=0, ge=0)
    wait_for_training_iteration_on_reload: bool = True
    # freqtrade's documentation has the one, its code reads the other.
    override_exchange_check: bool = False
    override_exchange_checks: bool = False
    extra_returns_per_train: dict[str, Any] = {}
    keras: Literal[False] = False
    tuned_on: str | None = Field(default=None, pattern=r"^\d{8}-\d{8}$")

    @field_validator("purge_old_models")
    @classmethod
    def _number_or_switch(cls, value: Any) -> bool | int:
        if not isinstance(value, int) or value < 0:
            raise PydanticCustomError(
                "number_or_switch", "must be true, false or a whole number of at least 0"
            )
        return value

    @property
    def window_size(self) -> int:
        """Candles in a window."""
        return self.model_training_parameters.model_kwargs.window_size

    @property
    def ensemble_size(self) -> int:
        """Networks of a model."""
        return self.model_training_parameters.model_kwargs.ensemble_size


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
        lines = "\n  ".join(problems)
        raise SettingsError(f"The configuration has {len(problems)} problem(s):\n  {lines}")
    return settings


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
            *("feature_parameters.return_head", features.return_head),
            "the candles that the return is taken over",
        ),
        (
            *(
                "model_training_parameters.trainer_kwargs.from_persistence",
                trainer.from_persistence,
            ),
            "since a label of the present is its own persistence",
        ),
    ):
        if is_set and not features.label_period_candles:
            yield (
                f"freqai.{name}: needs label_period_candles of at least 1, {reason}, was true with "
                f"label_period_candles 0"
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
    rows, needed = int(max(candles - left_out, 0) * share), window + batch - 1
    if rows < needed:
        days = math.ceil((math.ceil(needed / share) + left_out) * candle_seconds / SECONDS_PER_DAY)
        yield (
            f"freqai.train_period_days: must be at least {days}, so that its training candles "
            f"({rows} without buffer_train_data_candles, label_period_candles and test_size) hold "
            f"a batch of {batch} windows of {window} candles (model_kwargs.window_size), was "
            f"{settings.train_period_days}"
        )


def _describe(problem: ErrorDetails) -> str:
    """Return one problem as a line: key path, requirement, what was found."""
    path = ".".join(["freqai", *(str(part) for part in problem["loc"])])
    match problem["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_close_match(problem['loc'])}, was {problem['input']!r}"
        case "missing":
            return f"{path}: is required, was missing"
        case "literal_error":
            reason = _section_of(problem["loc"]).model_fields[str(problem["loc"][-1])].description
            expected = problem["ctx"]["expected"] + (f" ({reason})" if reason else "")
            return f"{path}: must be {expected}, was {problem['input']!r}"
        case _:
            requirement = problem["msg"].removeprefix("Input ").replace("should", "must", 1)
            return f"{path}: {requirement}, was {problem['input']!r}"


def _close_match(loc: tuple[int | str, ...]) -> str:
    """Return a hint at the known key that an unknown one resembles."""
    matches = difflib.get_close_matches(str(loc[-1]), _section_of(loc).model_fields, n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def _section_of(loc: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the section that holds the key at a location."""
    section: type[BaseModel] = FreqaiSettings
    for name in loc[:-1]:
        annotation = section.model_fields[str(name)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    return section
