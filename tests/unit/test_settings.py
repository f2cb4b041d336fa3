"""The configuration: its defaults, its mistakes all at once, and what each setting does."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from freqtrade.exceptions import ConfigurationError, OperationalException
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pydantic import BaseModel, ValidationError
from unit_settings import DELETED, make_section, read

from freqai_lstm import trainer as trainer_module
from freqai_lstm.bridge.configuration import read_settings
from freqai_lstm.classifier import LSTMClassifier
from freqai_lstm.exceptions import FreqaiLstmError, SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.settings import (
    FreqaiSettings,
    ModelTrainingParameters,
    NetworkSettings,
    TrainerSettings,
)

FEATURE = "feature_parameters"
SPLIT = "data_split_parameters"
MODEL = "model_training_parameters"
NETWORK = f"{MODEL}.model_kwargs"
TRAINER = f"{MODEL}.trainer_kwargs"


def problems_of(section: dict[str, Any], candle_seconds: int = 3600) -> list[str]:
    """Read a wrong section and return the lines of its error."""
    with pytest.raises(SettingsError) as caught:
        read_settings(section, candle_seconds)
    heading, *lines = str(caught.value).splitlines()
    assert heading == f"The configuration has {len(lines)} problem(s):"
    assert all(line.startswith("  freqai.") for line in lines)
    return [line.strip() for line in lines]


def leaves_of(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Return the dotted path of every key that is no section itself."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves_of(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


# Defaults


def test_defaults_of_the_network_and_its_training() -> None:
    assert read().model_training_parameters.model_dump() == {
        "learning_rate": 3e-3,
        "model_kwargs": {
            "window_size": 5,
            "num_lstm_layers": 3,
            "hidden_dim": 128,
            "dropout_percent": 0.4,
            "alpha_dropout_percent": 0.0,
            "linear_skip": True,
            "ensemble_size": 1,
            "linear_share": 0.0,
            "linear_alpha_per_row": 1.0,
        },
        "trainer_kwargs": {
            "n_steps": None,
            "n_epochs": 10,
            "warm_start_epochs": 3.0,
            "batch_size": 32,
            "early_stopping_patience": 0,
            "lr_schedule": "plateau",
            "weight_decay": 0.01,
            "max_grad_norm": 1.0,
            "huber_delta": {},
            "from_persistence": False,
            "seed": 42,
            "device": "auto",
            "num_threads": 1,
            "progress_bar": True,
        },
    }


def test_defaults_of_the_label_and_the_split() -> None:
    settings = read()
    features = settings.feature_parameters
    assert (features.label_period_candles, features.buffer_train_data_candles) == (0, 0)
    assert (features.strong_trend_threshold, features.strong_trend_boost) == (1.5, 1.5)
    assert settings.data_split_parameters.model_dump() == {
        "test_size": 0.1,
        "random_state": None,
        "shuffle": False,
    }
    assert settings.continual_learning is False


def test_given_values_are_read() -> None:
    settings = read(
        {
            f"{NETWORK}.window_size": 7,
            f"{NETWORK}.dropout_percent": 0,
            f"{TRAINER}.n_epochs": None,
            f"{TRAINER}.n_steps": 100,
            f"{MODEL}.learning_rate": 1,
            f"{FEATURE}.label_period_candles": 4,
        }
    )
    assert settings.window_size == 7
    assert settings.model_training_parameters.model_kwargs.dropout_percent == 0.0
    assert settings.model_training_parameters.trainer_kwargs.n_steps == 100
    assert settings.model_training_parameters.learning_rate == 1.0
    assert settings.feature_parameters.label_period_candles == 4


def test_section_is_left_as_it_was() -> None:
    section = make_section({"typo": 1, f"{TRAINER}.n_epochs": 0})
    before = repr(section)
    problems_of(section)
    assert repr(section) == before


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read().identifier = "other"


def test_freqtrade_prints_a_settings_error_without_a_traceback_and_fails() -> None:
    assert issubclass(SettingsError, OperationalException)
    # Raised by a strategy, freqtrade shows the traceback of any other.
    assert issubclass(SettingsError, ValueError)
    # Its command would end with 0.
    assert not issubclass(SettingsError, ConfigurationError)
    assert issubclass(SettingsError, FreqaiLstmError)


# Mistakes

WRONG: list[tuple[str, Any]] = [
    ("enabled", "yes"),
    ("identifier", ""),
    ("identifier", 3),
    ("tuned_on", "20230601-"),
    ("tuned_on", "last summer"),
    ("train_period_days", 0),
    ("train_period_days", 10.5),
    ("train_period_days", "10"),
    ("backtest_period_days", 0),
    ("backtest_period_days", "2"),
    ("live_retrain_hours", -1),
    ("expiration_hours", -0.5),
    ("fit_live_predictions_candles", -1),
    ("fit_live_predictions_candles", 1.5),
    ("purge_old_models", "all"),
    ("save_backtest_models", 1),
    ("write_metrics_to_disk", None),
    ("activate_tensorboard", "no"),
    ("continual_learning", 0),
    ("conv_width", "5"),
    ("data_kitchen_thread_count", -1),
    ("wait_for_training_iteration_on_reload", "x"),
    ("override_exchange_check", 2),
    ("override_exchange_checks", "no"),
    ("extra_returns_per_train", []),
    ("keras", True),
    (f"{FEATURE}.include_timeframes", []),
    (f"{FEATURE}.include_timeframes", "1h"),
    (f"{FEATURE}.include_corr_pairlist", None),
    (f"{FEATURE}.label_period_candles", -1),
    (f"{FEATURE}.label_period_candles", 1.5),
    (f"{FEATURE}.include_shifted_candles", -1),
    (f"{FEATURE}.indicator_periods_candles", []),
    (f"{FEATURE}.buffer_train_data_candles", -1),
    (f"{FEATURE}.DI_threshold", -0.1),
    (f"{FEATURE}.weight_factor", -0.1),
    (f"{FEATURE}.noise_standard_deviation", -0.1),
    (f"{FEATURE}.principal_component_analysis", "no"),
    (f"{FEATURE}.use_SVM_to_remove_outliers", 1),
    (f"{FEATURE}.svm_params", 0.1),
    (f"{FEATURE}.use_DBSCAN_to_remove_outliers", 1),
    (f"{FEATURE}.plot_feature_importances", -1),
    (f"{FEATURE}.reverse_train_test_order", 1),
    (f"{FEATURE}.shuffle_after_split", True),
    (f"{FEATURE}.strong_trend_threshold", -1),
    (f"{FEATURE}.strong_trend_boost", 0),
    (f"{FEATURE}.return_head", "yes"),
    (f"{FEATURE}.relative_to", "all"),
    (f"{FEATURE}.relative_to", [1]),
    (f"{SPLIT}.test_size", 1),
    (f"{SPLIT}.test_size", -0.1),
    (f"{SPLIT}.random_state", "1"),
    (f"{SPLIT}.shuffle", True),
    (f"{SPLIT}.shuffle", "false"),
    (f"{MODEL}.learning_rate", 0),
    (f"{MODEL}.learning_rate", "3e-3"),
    (f"{NETWORK}.window_size", 0),
    (f"{NETWORK}.window_size", 2.5),
    (f"{NETWORK}.window_size", True),
    (f"{NETWORK}.num_lstm_layers", 0),
    (f"{NETWORK}.hidden_dim", 0),
    (f"{NETWORK}.hidden_dim", "128"),
    (f"{NETWORK}.dropout_percent", 1),
    (f"{NETWORK}.dropout_percent", 40),
    (f"{NETWORK}.dropout_percent", -0.1),
    (f"{NETWORK}.alpha_dropout_percent", 1.0),
    (f"{NETWORK}.linear_skip", 1),
    (f"{NETWORK}.ensemble_size", 0),
    (f"{NETWORK}.linear_share", 1.0),
    (f"{NETWORK}.linear_alpha_per_row", 0),
    (f"{TRAINER}.n_steps", 0),
    (f"{TRAINER}.n_epochs", 0),
    (f"{TRAINER}.n_epochs", "10"),
    (f"{TRAINER}.warm_start_epochs", 0),
    (f"{TRAINER}.warm_start_epochs", "3"),
    (f"{TRAINER}.batch_size", 1),
    (f"{TRAINER}.early_stopping_patience", -1),
    (f"{TRAINER}.lr_schedule", "linear"),
    (f"{TRAINER}.weight_decay", -0.1),
    (f"{TRAINER}.max_grad_norm", 0),
    (f"{TRAINER}.huber_delta", 0.5),
    (f"{TRAINER}.from_persistence", 1),
    (f"{TRAINER}.seed", -1),
    (f"{TRAINER}.seed", 2**32),
    (f"{TRAINER}.device", "gpu"),
    (f"{TRAINER}.num_threads", 0),
    (f"{TRAINER}.progress_bar", "on"),
    (FEATURE, []),
    (SPLIT, None),
    (MODEL, "small"),
    (NETWORK, 5),
    (TRAINER, [1]),
]


def test_every_key_has_a_wrong_value_here() -> None:
    assert set(leaves_of(FreqaiSettings)) <= {path for path, _ in WRONG}


@pytest.mark.parametrize(("path", "value"), WRONG, ids=[f"{p}={v!r}" for p, v in WRONG])
def test_wrong_value_is_named_by_its_full_path(path: str, value: Any) -> None:
    [problem] = problems_of(make_section({path: value}))
    assert problem.startswith(f"freqai.{path}: ")
    assert " must " in problem
    assert problem.endswith(f", was {value!r}")


@pytest.mark.parametrize(
    ("path", "value", "element"),
    [
        (f"{FEATURE}.include_timeframes", ["1h", 4], "1: must be a valid string, was 4"),
        (f"{FEATURE}.include_corr_pairlist", [7], "0: must be a valid string, was 7"),
        (f"{TRAINER}.huber_delta", {"&-s": 0}, "&-s: must be greater than 0, was 0"),
        (
            f"{FEATURE}.indicator_periods_candles",
            [10, 20, "x"],
            "2: must be a valid integer, was 'x'",
        ),
        (
            f"{FEATURE}.indicator_periods_candles",
            [10, 1],
            "1: must be greater than or equal to 2, was 1",
        ),
    ],
)
def test_wrong_element_of_a_list_is_named_by_its_place(
    path: str, value: list[Any], element: str
) -> None:
    assert problems_of(make_section({path: value})) == [f"freqai.{path}.{element}"]


@pytest.mark.parametrize(
    ("path", "value", "requirement"),
    [
        (f"{NETWORK}.dropout_percent", 40, "must be less than 1"),
        (f"{NETWORK}.hidden_dim", 0, "must be greater than or equal to 1"),
        (f"{TRAINER}.max_grad_norm", 0, "must be greater than 0"),
        (f"{TRAINER}.lr_schedule", "step", "must be 'plateau', 'cosine' or 'constant'"),
        (f"{TRAINER}.device", "gpu", "must be 'auto', 'cpu', 'cuda' or 'mps'"),
        (f"{SPLIT}.shuffle", True, "must be False (windows need consecutive candles)"),
        (
            f"{FEATURE}.shuffle_after_split",
            True,
            "must be False (windows need consecutive candles)",
        ),
    ],
)
def test_requirement_is_spelled_out(path: str, value: Any, requirement: str) -> None:
    assert problems_of(make_section({path: value})) == [
        f"freqai.{path}: {requirement}, was {value!r}"
    ]


@pytest.mark.parametrize(
    "path",
    [
        "enabled",
        "identifier",
        "train_period_days",
        "backtest_period_days",
        FEATURE,
        SPLIT,
        f"{FEATURE}.include_timeframes",
        f"{FEATURE}.include_corr_pairlist",
        f"{FEATURE}.include_shifted_candles",
        f"{FEATURE}.indicator_periods_candles",
    ],
)
def test_missing_key_is_named_by_its_full_path(path: str) -> None:
    assert problems_of(make_section({path: DELETED})) == [
        f"freqai.{path}: is required, was missing"
    ]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (f"{FEATURE}.include_shifted_candidates", "include_shifted_candles"),
        (f"{FEATURE}.label_period_candle", "label_period_candles"),
        (f"{SPLIT}.suffle", "shuffle"),
        (f"{MODEL}.learning_rates", "learning_rate"),
        (f"{MODEL}.model_kwarg", "model_kwargs"),
        (f"{NETWORK}.hidden_size", "hidden_dim"),
        (f"{NETWORK}.num_layers", "num_lstm_layers"),
        (f"{TRAINER}.n_epoch", "n_epochs"),
        (f"{TRAINER}.batchsize", "batch_size"),
        ("identifer", "identifier"),
    ],
)
def test_unknown_key_gets_a_hint_at_the_one_it_resembles(path: str, known: str) -> None:
    assert problems_of(make_section({path: 3})) == [
        f"freqai.{path}: unknown key (did you mean {known!r}?), was 3"
    ]


@pytest.mark.parametrize("path", ["zzz", f"{FEATURE}.zzz", f"{TRAINER}.zzz", f"{NETWORK}.zzz"])
def test_unknown_key_like_no_other_gets_no_hint(path: str) -> None:
    assert problems_of(make_section({path: "x"})) == [f"freqai.{path}: unknown key, was 'x'"]


@pytest.mark.parametrize("path", [f"{FEATURE}.return_head", f"{TRAINER}.from_persistence"])
def test_what_only_a_forecast_has_needs_one(path: str) -> None:
    [problem] = problems_of(make_section({path: True, f"{FEATURE}.label_period_candles": 0}))
    assert problem.startswith(f"freqai.{path}: needs label_period_candles of at least 1, ")
    forecast = read({path: True, f"{FEATURE}.label_period_candles": 1})
    assert forecast.feature_parameters.label_period_candles == 1


THREE_MISTAKES: dict[str, Any] = {
    "identifier": "",
    f"{NETWORK}.hidden_dim": "128",
    f"{TRAINER}.n_epoch": 10,
}
SIX_MISTAKES = THREE_MISTAKES | {
    f"{SPLIT}.shuffle": True,
    f"{FEATURE}.label_period_candles": -1,
    # Fine by itself, but not with the default window of 5.
    "conv_width": 9,
}


@pytest.mark.parametrize("mistakes", [THREE_MISTAKES, SIX_MISTAKES], ids=["three", "six"])
def test_all_mistakes_are_named_at_once(mistakes: dict[str, Any]) -> None:
    problems = problems_of(make_section(mistakes))
    assert {problem.split(":")[0] for problem in problems} == {
        f"freqai.{path}" for path in mistakes
    }
    assert len(problems) == len(mistakes)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{TRAINER}.device", "gpu"),
        (f"{TRAINER}.zzz", 1),
        ("purge_old_models", "all"),
        (f"{FEATURE}.include_timeframes", ["1h", 4]),
        (f"{FEATURE}.include_corr_pairlist", DELETED),
    ],
    ids=["choice", "unknown", "union", "element", "missing"],
)
def test_another_mistake_does_not_hide_a_contradiction(path: str, value: Any) -> None:
    problems = problems_of(make_section({path: value, "conv_width": 9}))
    assert "freqai.conv_width" in {problem.split(":")[0] for problem in problems}


# Contradictions


@pytest.mark.parametrize("width", [1, 5])
def test_conv_width_may_be_the_default_or_the_window(width: int) -> None:
    assert read({"conv_width": width}).window_size == 5


def test_conv_width_must_not_contradict_the_window() -> None:
    [problem] = problems_of(make_section({"conv_width": 9, f"{NETWORK}.window_size": 7}))
    assert problem == (
        "freqai.conv_width: remove it, model_training_parameters.model_kwargs.window_size (7) "
        "sets it, was 9"
    )


def test_training_needs_a_length() -> None:
    for both in (None, 7):
        changes = {f"{TRAINER}.n_epochs": both, f"{TRAINER}.n_steps": both}
        [problem] = problems_of(make_section(changes))
        assert problem == (
            "freqai.model_training_parameters.trainer_kwargs.n_epochs: one of n_epochs and n_steps "
            f"must be a number and the other null, was {both} and {both}"
        )


def test_steps_alone_take_the_place_of_epochs() -> None:
    trainer = read_settings(make_section({f"{TRAINER}.n_steps": 7}), 3600)
    settings = trainer.model_training_parameters.trainer_kwargs
    assert (settings.n_steps, settings.n_epochs) == (7, None)


@pytest.mark.parametrize(
    ("changes", "candle_seconds", "rows"),
    [
        # Ten days of hourly candles, a tenth of them for the test.
        ({}, 3600, 216),
        ({f"{SPLIT}.test_size": 0}, 3600, 240),
        ({f"{SPLIT}.test_size": 0.5}, 3600, 120),
        ({f"{FEATURE}.buffer_train_data_candles": 20}, 3600, 180),
        # The last labels of the training split would reach into the test split, too.
        ({f"{FEATURE}.label_period_candles": 10}, 3600, 197),
        ({f"{FEATURE}.label_period_candles": 10, f"{SPLIT}.test_size": 0}, 3600, 230),
        ({"train_period_days": 20}, 3600, 432),
        ({}, 300, 2592),
    ],
)
@pytest.mark.parametrize("batch_size", [32, 8])
def test_window_must_leave_a_batch_in_the_training_period(
    changes: dict[str, Any], candle_seconds: int, rows: int, batch_size: int
) -> None:
    longest = rows - batch_size + 1
    changes = changes | {f"{TRAINER}.batch_size": batch_size, f"{NETWORK}.window_size": longest}
    assert read_settings(make_section(changes), candle_seconds).window_size == longest
    changes[f"{NETWORK}.window_size"] = longest + 1
    [problem] = problems_of(make_section(changes), candle_seconds)
    days = make_section(changes)["train_period_days"]
    assert problem.startswith(f"freqai.train_period_days: must be at least {days + 1}, so that ")
    assert f"({rows} without buffer_train_data_candles, label_period_candles and" in problem
    assert f"a batch of {batch_size} windows of {longest + 1} candles" in problem
    enough = changes | {"train_period_days": days + 1}
    assert read_settings(make_section(enough), candle_seconds).train_period_days == days + 1


def test_labels_past_the_end_of_the_training_cost_its_last_candles() -> None:
    changes = {f"{NETWORK}.window_size": 216 - 31, f"{FEATURE}.label_period_candles": 0}
    assert read_settings(make_section(changes), 3600).window_size == 185
    [problem] = problems_of(make_section(changes | {f"{FEATURE}.label_period_candles": 10}))
    assert "(197 without buffer_train_data_candles, label_period_candles and test_size)" in problem


@pytest.mark.parametrize(
    ("changes", "name", "longest"),
    [
        ({f"{FEATURE}.label_period_candles": 240}, "label_period_candles", 240),
        ({f"{FEATURE}.indicator_periods_candles": [14, 300]}, "indicator_periods_candles", 300),
    ],
)
def test_nothing_is_longer_than_the_training_period(
    changes: dict[str, Any], name: str, longest: int
) -> None:
    assert problems_of(make_section(changes))[0] == (
        f"freqai.feature_parameters.{name}: must be less than the 240 candles of "
        f"train_period_days, was {longest}"
    )


def test_a_training_of_a_day_is_told_how_long_it_must_be() -> None:
    [problem] = problems_of(make_section({"train_period_days": 1}))
    assert problem.startswith("freqai.train_period_days: must be at least 2, so that")
    assert problem.endswith("(model_kwargs.window_size), was 1")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {f"{TRAINER}.from_persistence": True, f"{FEATURE}.label_period_candles": 1},
            "trainer_kwargs.from_persistence: must be false with classes, was true",
        ),
        ({f"{TRAINER}.huber_delta": {"&-up": 1}}, "huber_delta: must be {} with classes, was {"),
        ({f"{NETWORK}.linear_share": 0.5}, "linear_share: must be 0 with classes, was 0.5"),
    ],
)
def test_classes_have_no_numbers_to_start_from(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    config = {
        "freqai": make_section(changes),
        "timeframe": "1h",
        "user_data_dir": tmp_path,
        "exchange": {"name": "binance", "pair_whitelist": ["BTC/USDT:USDT"]},
    }
    with pytest.raises(SettingsError, match=re.escape(problem)):
        LSTMClassifier(config=config)


# What each setting does


class Observer:
    """Trains through the regressor and looks at what came of it."""

    PAIR = "BTC/USDT:USDT"

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.seen: dict[str, list[Any]] = {}
        (folder / "models").mkdir()
        monkeypatch.setattr(trainer_module, "resolve_device", self._note_device)
        monkeypatch.setattr(trainer_module, "get_progress_tracker", self._note_progress)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def train(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return what can be observed of a training by name."""
        self.seen = {"device": [], "bar": [], "threads": []}
        config = {
            "freqai": make_section(changes | {f"{FEATURE}.shuffle_after_split": False}),
            "timeframe": "1h",
            "user_data_dir": self.folder,
            "exchange": {"name": "binance", "pair_whitelist": [self.PAIR]},
            "pairs": [self.PAIR],
        }
        regressor = LSTMRegressor(config=config)
        regressor.tb_logger = SimpleNamespace(log_scalar=self._note_threads)
        kitchen = FreqaiDataKitchen(config, live=True, pair=self.PAIR)
        kitchen.set_paths(self.PAIR, 1_704_412_800)
        frame = self._frame()
        kitchen.find_features(frame)
        kitchen.find_labels(frame)
        trainer = regressor.train(frame, self.PAIR, kitchen)
        regressor.previous_model = lambda _: trainer
        later = frame.assign(date=frame["date"] + pd.Timedelta(hours=20))
        continued = regressor.train(later, self.PAIR, kitchen)
        state = trainer.model.state_dict().items()
        linear = trainer.linear
        return {
            "linear": (linear.share, linear.slopes.tolist()),
            "weights": {name: value.tolist() for name, value in state},
            "networks": len(trainer.members),
            "epochs": len(trainer.history.train_loss),
            "learning_rate": trainer.history.learning_rate,
            "continued_steps": continued.training_settings.n_steps,
            **self.seen,
        }

    @staticmethod
    def _frame() -> pd.DataFrame:
        random = np.random.default_rng(0)
        columns = ["%-first", "%-label", "&-label"]
        dates = pd.date_range("2024-01-01", periods=60, freq="h", tz="UTC", name="date")
        return pd.DataFrame(random.normal(size=(60, 3)), dates, columns).reset_index()

    def _note_device(self, requested: str) -> str:
        self.seen["device"].append(requested)
        return "cpu"

    def _note_progress(self, **options: Any) -> Any:
        self.seen["bar"].append(not options["disable"])
        return nullcontext(SimpleNamespace(track=lambda numbers, description: numbers))

    def _note_threads(self, *_: Any) -> None:
        self.seen["threads"].append(torch.get_num_threads())


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    return Observer(tmp_path, monkeypatch).train


BASE: dict[str, Any] = {
    f"{MODEL}.learning_rate": 0.05,
    f"{NETWORK}.window_size": 3,
    f"{NETWORK}.num_lstm_layers": 1,
    f"{NETWORK}.hidden_dim": 4,
    f"{NETWORK}.dropout_percent": 0.0,
    f"{NETWORK}.linear_share": 0.5,
    f"{TRAINER}.n_epochs": 10,
    f"{TRAINER}.batch_size": 16,
    f"{TRAINER}.lr_schedule": "constant",
}
EFFECTS: dict[str, tuple[dict[str, Any], str]] = {
    f"{MODEL}.learning_rate": ({f"{MODEL}.learning_rate": 0.01}, "learning_rate"),
    f"{NETWORK}.window_size": ({f"{NETWORK}.window_size": 4}, "weights"),
    f"{NETWORK}.num_lstm_layers": ({f"{NETWORK}.num_lstm_layers": 2}, "weights"),
    f"{NETWORK}.hidden_dim": ({f"{NETWORK}.hidden_dim": 5}, "weights"),
    f"{NETWORK}.dropout_percent": ({f"{NETWORK}.dropout_percent": 0.2}, "weights"),
    f"{NETWORK}.alpha_dropout_percent": ({f"{NETWORK}.alpha_dropout_percent": 0.2}, "weights"),
    f"{NETWORK}.linear_skip": ({f"{NETWORK}.linear_skip": False}, "weights"),
    f"{NETWORK}.ensemble_size": ({f"{NETWORK}.ensemble_size": 2}, "networks"),
    f"{NETWORK}.linear_share": ({f"{NETWORK}.linear_share": 0.25}, "linear"),
    f"{NETWORK}.linear_alpha_per_row": ({f"{NETWORK}.linear_alpha_per_row": 0.3}, "linear"),
    f"{TRAINER}.n_steps": ({f"{TRAINER}.n_steps": 5, f"{TRAINER}.n_epochs": None}, "epochs"),
    f"{TRAINER}.n_epochs": ({f"{TRAINER}.n_epochs": 9}, "epochs"),
    f"{TRAINER}.warm_start_epochs": ({f"{TRAINER}.warm_start_epochs": 6.0}, "continued_steps"),
    f"{TRAINER}.batch_size": ({f"{TRAINER}.batch_size": 8}, "weights"),
    f"{TRAINER}.early_stopping_patience": ({f"{TRAINER}.early_stopping_patience": 1}, "epochs"),
    f"{TRAINER}.lr_schedule": ({f"{TRAINER}.lr_schedule": "cosine"}, "learning_rate"),
    f"{TRAINER}.weight_decay": ({f"{TRAINER}.weight_decay": 0.5}, "weights"),
    f"{TRAINER}.max_grad_norm": ({f"{TRAINER}.max_grad_norm": 0.01}, "weights"),
    f"{TRAINER}.huber_delta": ({f"{TRAINER}.huber_delta": {"&-label": 0.1}}, "weights"),
    f"{TRAINER}.from_persistence": (
        {f"{TRAINER}.from_persistence": True, f"{FEATURE}.label_period_candles": 1},
        "weights",
    ),
    f"{TRAINER}.seed": ({f"{TRAINER}.seed": 43}, "weights"),
    f"{TRAINER}.device": ({f"{TRAINER}.device": "cuda"}, "device"),
    f"{TRAINER}.num_threads": ({f"{TRAINER}.num_threads": 2}, "threads"),
    f"{TRAINER}.progress_bar": ({f"{TRAINER}.progress_bar": False}, "bar"),
}


def test_every_setting_of_the_network_and_its_training_is_observed() -> None:
    assert set(EFFECTS) == set(leaves_of(ModelTrainingParameters, f"{MODEL}."))
    names = {path.rsplit(".", 1)[1] for path in EFFECTS} - {"learning_rate"}
    assert names == set(NetworkSettings.model_fields) | set(TrainerSettings.model_fields)


def test_same_settings_train_the_same_network(train: Callable[..., dict[str, Any]]) -> None:
    assert train(BASE) == train(BASE)


@pytest.mark.parametrize("path", EFFECTS)
def test_setting_has_an_effect(path: str, train: Callable[..., dict[str, Any]]) -> None:
    changes, observed = EFFECTS[path]
    assert train(BASE | changes)[observed] != train(BASE)[observed]


@pytest.mark.parametrize("path", [f"{TRAINER}.{name}" for name in ("device", "progress_bar")])
def test_setting_of_the_machine_does_not_change_the_network(
    path: str, train: Callable[..., dict[str, Any]]
) -> None:
    changes, _ = EFFECTS[path]
    assert train(BASE | changes)["weights"] == train(BASE)["weights"]
