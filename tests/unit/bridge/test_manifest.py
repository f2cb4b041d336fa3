"""The guard of FreqAI's identifier: no model is used with other settings than it was trained on."""

import json
from pathlib import Path
from typing import Any

import pytest
from unit_settings import read

from freqai_lstm.bridge import manifest as identifier
from freqai_lstm.bridge.manifest import MANIFEST_NAME, IdentifierGuard, trained_with
from freqai_lstm.exceptions import SettingsError

MODEL_FILES = [
    "sub-train-BTC_170000/cb_btc_170000_model.zip",
    "backtesting_predictions/cb_btc_170000_prediction.feather",
]
CHANGED: dict[str, Any] = {
    "train_period_days": 11,
    "continual_learning": True,
    "feature_parameters.include_timeframes": ["1h", "4h"],
    "feature_parameters.include_corr_pairlist": ["ETH/USDT:USDT"],
    "feature_parameters.label_period_candles": 3,
    "feature_parameters.include_shifted_candles": 1,
    "feature_parameters.indicator_periods_candles": [20],
    "feature_parameters.buffer_train_data_candles": 2,
    "feature_parameters.DI_threshold": 0.9,
    "feature_parameters.weight_factor": 0.5,
    "feature_parameters.noise_standard_deviation": 0.01,
    "feature_parameters.principal_component_analysis": True,
    "feature_parameters.use_SVM_to_remove_outliers": True,
    "feature_parameters.svm_params": {"nu": 0.2},
    "feature_parameters.use_DBSCAN_to_remove_outliers": True,
    "feature_parameters.reverse_train_test_order": True,
    "feature_parameters.strong_trend_threshold": 2.0,
    "feature_parameters.strong_trend_boost": 2.0,
    "feature_parameters.return_head": True,
    "feature_parameters.relative_to": "whitelist",
    "data_split_parameters.test_size": 0.2,
    "data_split_parameters.random_state": 1,
    "model_training_parameters.learning_rate": 0.01,
    "model_training_parameters.model_kwargs.window_size": 6,
    "model_training_parameters.model_kwargs.num_lstm_layers": 2,
    "model_training_parameters.model_kwargs.hidden_dim": 64,
    "model_training_parameters.model_kwargs.dropout_percent": 0.2,
    "model_training_parameters.model_kwargs.alpha_dropout_percent": 0.1,
    "model_training_parameters.model_kwargs.linear_skip": False,
    "model_training_parameters.model_kwargs.ensemble_size": 3,
    "model_training_parameters.model_kwargs.linear_share": 0.5,
    "model_training_parameters.model_kwargs.linear_alpha_per_row": 0.3,
    "model_training_parameters.trainer_kwargs.n_steps": 100,
    "model_training_parameters.trainer_kwargs.n_epochs": 5,
    "model_training_parameters.trainer_kwargs.warm_start_epochs": 2.0,
    "model_training_parameters.trainer_kwargs.batch_size": 16,
    "model_training_parameters.trainer_kwargs.early_stopping_patience": 3,
    "model_training_parameters.trainer_kwargs.lr_schedule": "cosine",
    "model_training_parameters.trainer_kwargs.weight_decay": 0.0,
    "model_training_parameters.trainer_kwargs.max_grad_norm": None,
    "model_training_parameters.trainer_kwargs.huber_delta": {"&-s": 0.5},
    "model_training_parameters.trainer_kwargs.from_persistence": True,
    "model_training_parameters.trainer_kwargs.seed": 43,
}
DEFAULTS = identifier._defaults()
# The first three identify the model itself, the others have only one legal value.
NOT_CHANGED_HERE = {
    "model",
    "model_version",
    "timeframe",
    "freqai.data_split_parameters.shuffle",
    "freqai.feature_parameters.shuffle_after_split",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where FreqAI keeps what belongs to an identifier; it does not exist yet."""
    return tmp_path / "models" / "torch-lstm"


@pytest.fixture
def guard(folder: Path) -> IdentifierGuard:
    return IdentifierGuard(folder)


def needed(path: str) -> dict[str, Any]:
    """Return what must be set for a changed setting to be legal."""
    forecast = {"feature_parameters.label_period_candles": 1}
    return forecast if path.endswith((".return_head", ".from_persistence")) else {}


def add_models(folder: Path, name: str = MODEL_FILES[0]) -> None:
    """Put a file where FreqAI puts its models or predictions."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"a model")


def manifest(folder: Path) -> Any:
    return json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))


def present(changes: dict[str, Any] | None = None, **named: str) -> dict[str, Any]:
    arguments = {"timeframe": "1h", "model_name": "PyTorchLSTMRegressor"} | named
    return trained_with(read(changes), **arguments)


def refusal(guard: IdentifierGuard, settings: dict[str, Any]) -> list[str]:
    """Return the lines of the error that refuses the settings."""
    with pytest.raises(SettingsError) as caught:
        guard.check(settings)
    heading, *lines = str(caught.value).splitlines()
    assert heading == (
        "freqai.identifier: 'torch-lstm' has models that were trained with other settings. Choose "
        "another identifier, or set these back:"
    )
    return [line.strip() for line in lines]


# The manifest


def test_first_use_writes_the_manifest(guard: IdentifierGuard, folder: Path) -> None:
    guard.check({"timeframe": "1h", "labels": ["&-a", "&-b"], "rate": 0.1, "steps": None})
    assert manifest(folder) == {
        "timeframe": "1h",
        "labels": ["&-a", "&-b"],
        "rate": 0.1,
        "steps": None,
    }
    assert [path.name for path in folder.iterdir()] == [MANIFEST_NAME]


def test_real_settings_survive_the_manifest(guard: IdentifierGuard, folder: Path) -> None:
    guard.check(present())
    assert manifest(folder) == present()


@pytest.mark.parametrize("name", MODEL_FILES)
def test_same_settings_pass_again(guard: IdentifierGuard, folder: Path, name: str) -> None:
    guard.check(present())
    add_models(folder, name)
    before = (folder / MANIFEST_NAME).stat().st_ino
    IdentifierGuard(folder).check(present())
    # Nothing new, nothing written.
    assert (folder / MANIFEST_NAME).stat().st_ino == before


def test_settings_not_known_yet_are_added(guard: IdentifierGuard, folder: Path) -> None:
    guard.check({"timeframe": "1h"})
    add_models(folder)
    guard.check({"labels": ["&-a"]})
    assert manifest(folder) == {"timeframe": "1h", "labels": ["&-a"]}
    assert refusal(guard, {"labels": ["&-b"]}) == ["labels: trained with ['&-a'], was ['&-b']"]


@pytest.mark.parametrize("path", [path for path in CHANGED if f"freqai.{path}" in DEFAULTS])
def test_setting_that_an_older_manifest_does_not_have_was_its_default(
    guard: IdentifierGuard, folder: Path, path: str
) -> None:
    key = f"freqai.{path}"
    before = present(needed(path))
    assert before[key] == DEFAULTS[key] or path.startswith("feature_parameters.")
    before[key] = DEFAULTS[key]
    guard.check({name: value for name, value in before.items() if name != key})
    add_models(folder)
    changed = CHANGED[path]
    assert refusal(guard, before | {key: changed}) == [
        f"{key}: trained with {DEFAULTS[key]!r}, was {changed!r}"
    ]
    guard.check(before)
    assert manifest(folder) == before


def test_only_settings_that_were_always_required_have_no_default() -> None:
    assert {key for key in present() if key.startswith("freqai.")} - DEFAULTS.keys() == {
        "freqai.train_period_days",
        "freqai.feature_parameters.include_timeframes",
        "freqai.feature_parameters.include_corr_pairlist",
        "freqai.feature_parameters.include_shifted_candles",
        "freqai.feature_parameters.indicator_periods_candles",
    }


# Changed settings


@pytest.mark.parametrize("name", MODEL_FILES)
def test_changed_setting_is_refused_with_both_values(
    guard: IdentifierGuard, folder: Path, name: str
) -> None:
    guard.check({"rate": 0.1, "timeframe": "1h", "labels": ["&-a"]})
    add_models(folder, name)
    settings = {"rate": 0.2, "timeframe": "1h", "labels": []}
    assert refusal(guard, settings) == [
        "rate: trained with 0.1, was 0.2",
        "labels: trained with ['&-a'], was []",
    ]
    assert manifest(folder)["rate"] == 0.1


def test_every_setting_a_model_depends_on_is_tested_below() -> None:
    changed = {f"freqai.{path}" for path in CHANGED} - {"freqai.feature_parameters.svm_params"}
    recorded = {key for key in present() if not key.startswith("freqai.feature_parameters.svm_")}
    assert changed == recorded - NOT_CHANGED_HERE


@pytest.mark.parametrize("path", CHANGED)
def test_every_changed_setting_is_refused(guard: IdentifierGuard, folder: Path, path: str) -> None:
    guard.check(present(needed(path)))
    add_models(folder)
    # n_steps takes the place of n_epochs, so that both are named.
    *others, line = refusal(guard, present(needed(path) | {path: CHANGED[path]}))
    assert not others or path.endswith("n_steps")
    assert line.startswith(f"freqai.{path}") or others[0].startswith(f"freqai.{path}")
    assert ": trained with " in line
    assert ", was " in line


@pytest.mark.parametrize("path", CHANGED)
def test_every_setting_changed_back_to_its_default_is_refused(
    guard: IdentifierGuard, folder: Path, path: str
) -> None:
    guard.check(present(needed(path) | {path: CHANGED[path]}))
    add_models(folder)
    *others, line = refusal(guard, present(needed(path)))
    assert not others or path.endswith("n_steps")
    assert line.startswith(f"freqai.{path}") or others[0].startswith(f"freqai.{path}")


def test_changed_option_of_the_outlier_step_is_refused(
    guard: IdentifierGuard, folder: Path
) -> None:
    path = "feature_parameters.svm_params"
    guard.check(present({path: {"shuffle": False, "nu": 0.1}}))
    add_models(folder)
    [line] = refusal(guard, present({path: {"shuffle": False, "nu": 0.2}}))
    assert line.startswith(f"freqai.{path}")


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ({"timeframe": "4h"}, "timeframe: trained with '1h', was '4h'"),
        ({"model_name": "Mine"}, "model: trained with 'PyTorchLSTMRegressor', was 'Mine'"),
    ],
)
def test_other_model_or_timeframe_is_refused(
    guard: IdentifierGuard, folder: Path, named: dict[str, str], line: str
) -> None:
    guard.check(present())
    add_models(folder)
    assert refusal(guard, present(**named)) == [line]


def test_models_of_another_version_are_moved_aside(
    guard: IdentifierGuard,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard.check(present())
    add_models(folder)
    before = {path.relative_to(folder) for path in folder.rglob("*")}
    monkeypatch.setattr(identifier, "MODEL_VERSION", 99)
    guard.check(present())
    [aside] = folder.parent.glob(f"{folder.name}.unusable-*")
    assert {path.relative_to(aside) for path in aside.rglob("*")} == before
    assert [path.name for path in folder.iterdir()] == ["freqai_lstm.json"]
    assert "this package writes 99" in caplog.text
    guard.check(present())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_training_parameters.trainer_kwargs.device", "cuda"),
        ("model_training_parameters.trainer_kwargs.num_threads", 4),
        ("model_training_parameters.trainer_kwargs.progress_bar", False),
        ("feature_parameters.plot_feature_importances", 3),
        ("backtest_period_days", 1),
        ("live_retrain_hours", 2),
        ("identifier", "renamed"),
        ("activate_tensorboard", False),
    ],
)
def test_setting_that_no_model_depends_on_may_change(
    guard: IdentifierGuard, folder: Path, path: str, value: Any
) -> None:
    guard.check(present())
    add_models(folder)
    guard.check(present({path: value}))
    assert manifest(folder) == present()


@pytest.mark.parametrize(
    "leftover", [None, "sub-train-BTC_170000", "backtesting_predictions", "pair_dictionary.json"]
)
def test_settings_may_change_while_there_are_no_models(
    guard: IdentifierGuard, folder: Path, leftover: str | None
) -> None:
    guard.check({"rate": 0.1, "timeframe": "1h"})
    if leftover and leftover.endswith(".json"):
        (folder / leftover).write_text("{}", encoding="utf-8")
    elif leftover:
        (folder / leftover).mkdir()
    guard.check({"rate": 0.2})
    assert manifest(folder) == {"rate": 0.2, "timeframe": "1h"}
    add_models(folder)
    assert refusal(guard, {"rate": 0.1}) == ["rate: trained with 0.2, was 0.1"]


# Folders that are not ours


@pytest.mark.parametrize("name", MODEL_FILES)
def test_models_of_another_regressor_are_refused(
    guard: IdentifierGuard, folder: Path, name: str
) -> None:
    add_models(folder, name)
    expected = (
        "^freqai.identifier: 'torch-lstm' has models but no freqai_lstm.json, so they are not this "
        "regressor's. Choose another identifier.$"
    )
    with pytest.raises(SettingsError, match=expected):
        guard.check(present())
    assert not (folder / MANIFEST_NAME).exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"rate": 0.1', b"null", b"[]", b"3", b'"text"', b"\xff\xfe{}"],
    ids=["empty", "open", "cut off", "null", "list", "number", "text", "no utf-8"],
)
def test_corrupted_manifest_is_refused(
    guard: IdentifierGuard, folder: Path, content: bytes
) -> None:
    add_models(folder)
    (folder / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        guard.check(present())
    message = str(caught.value)
    assert message.startswith(f"{folder / MANIFEST_NAME}: must be ")
    assert ", was " in message
    assert "Choose another freqai.identifier" in message
    assert (folder / MANIFEST_NAME).read_bytes() == content
