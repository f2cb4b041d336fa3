"""The configuration of the regressor, checked as a whole before anything runs.

The classes mirror the ``freqai`` section of freqtrade's configuration; their fields are its only
legal keys. They are read by :mod:`freqai_lstm.bridge.configuration`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

SECONDS_PER_DAY = 86_400

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
    linear_share: float = Field(default=0.0, ge=0, lt=1)
    linear_alpha_per_row: float = Field(default=1.0, gt=0)

    @property
    def architecture(self) -> dict[str, Any]:
        """What a single network is built with."""
        beside = {"ensemble_size", "linear_share", "linear_alpha_per_row"}
        return self.model_dump(exclude=beside)


class TrainerSettings(_Section):
    """``freqai.model_training_parameters.trainer_kwargs``: how the network is trained."""

    n_steps: int | None = Field(default=None, ge=1)
    n_epochs: int | None = Field(default=10, ge=1)
    warm_start_epochs: float = Field(default=3.0, gt=0)
    batch_size: int = Field(default=32, ge=2)
    early_stopping_patience: int = Field(default=0, ge=0)
    lr_schedule: Literal["plateau", "cosine", "constant"] = "plateau"
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    huber_delta: dict[str, Annotated[float, Field(gt=0)]] = {}
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


class RidgeSettings(_Section):
    """``freqai.model_training_parameters`` of :class:`~freqai_lstm.ridge.LinearRegressor`.

    The penalty on the squared coefficients is ``alpha_per_row`` times the training rows.
    """

    alpha_per_row: float = Field(default=1.0, gt=0)


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
    relative_to: Any = []

    @field_validator("relative_to")
    @classmethod
    def _pairs_or_whitelist(cls, value: Any) -> Any:
        is_list = isinstance(value, list) and all(isinstance(pair, str) for pair in value)
        if value != "whitelist" and not is_list:
            raise PydanticCustomError(
                "pairs_or_whitelist", 'must be "whitelist" or a list of pairs'
            )
        return value


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
