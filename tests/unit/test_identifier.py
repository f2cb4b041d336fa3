"""The guard of FreqAI's identifier: no model is used with other settings than it was trained on."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from unit_settings import read

from freqai_lstm import identifier
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.identifier import MANIFEST_NAME, IdentifierGuard, labelled_by, trained_with

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
    "model_training_parameters.trainer_kwargs.n_steps": 100,
    "model_training_parameters.trainer_kwargs.n_epochs": 5,
    "model_training_parameters.trainer_kwargs.batch_size": 16,
    "model_training_parameters.trainer_kwargs.early_stopping_patience": 3,
    "model_training_parameters.trainer_kwargs.lr_schedule": "cosine",
    "model_training_parameters.trainer_kwargs.weight_decay": 0.0,
    "model_training_parameters.trainer_kwargs.max_grad_norm": None,
    "model_training_parameters.trainer_kwargs.from_persistence": True,
    "model_training_parameters.trainer_kwargs.seed": 43,
}
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


def test_models_of_a_manifest_without_the_ensemble_are_single_networks(
    guard: IdentifierGuard, folder: Path
) -> None:
    key = "freqai.model_training_parameters.model_kwargs.ensemble_size"
    guard.check({name: value for name, value in present().items() if name != key})
    add_models(folder)
    assert refusal(guard, present() | {key: 2}) == [f"{key}: trained with 1, was 2"]
    guard.check(present())
    assert manifest(folder) == present()


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
    "leftover",
    [None, "sub-train-BTC_170000", "backtesting_predictions", "pair_dictionary.json"],
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


# What a model takes from the strategy

METHODS = (
    "feature_engineering_expand_all",
    "feature_engineering_expand_basic",
    "feature_engineering_standard",
    "set_freqai_targets",
)
STRATEGY = "class Strategy:\n" + "\n".join(
    f'''
    def {name}(self, dataframe, **kwargs):
        dataframe["{name}"] = dataframe["close"] * 2
        return dataframe
'''
    for name in (*METHODS, "populate_entry_trend")
)


@pytest.fixture
def digests(tmp_path: Path) -> Any:
    """Return what :func:`labelled_by` says about a strategy with the given source."""
    sources: list[str] = []

    def digest(source: str, class_name: str = "Strategy") -> dict[str, Any]:
        sources.append(source)
        path = tmp_path / f"strategy_{len(sources)}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return labelled_by(getattr(module, class_name)(), ["&-a"])

    return digest


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    assert first.keys() == second.keys()
    return [key for key in first if first[key] != second[key]]


def test_labels_and_the_code_of_the_features_are_recorded(
    digests: Any, guard: IdentifierGuard, folder: Path
) -> None:
    recorded = digests(STRATEGY)
    assert recorded["labels"] == ["&-a"]
    assert set(recorded) == {"labels", *(f"code of {name}" for name in METHODS)}
    guard.check(recorded)
    assert manifest(folder) == recorded


@pytest.mark.parametrize(
    "source",
    [
        STRATEGY.replace("        return", "        # Twice the price.\n\n        return"),
        STRATEGY.replace("        return", "#        dataframe = None\n        return"),
        STRATEGY.replace("* 2", "* 2  # twice"),
        STRATEGY.replace("**kwargs):", '**kwargs):\n        """Double the price."""'),
        STRATEGY.replace('"close"', "'close'").replace(" * ", "*"),
        STRATEGY.replace("dataframe, **kwargs", "\n        dataframe,\n        **kwargs,\n    "),
        STRATEGY.replace('dataframe["close"] * 2', '(\n  dataframe["close"]\n* 2)'),
    ],
    ids=["line", "margin", "comment", "docstring", "quotes and spaces", "signature", "broken line"],
)
def test_comments_and_formatting_do_not_count(digests: Any, source: str) -> None:
    assert source != STRATEGY
    assert differing(digests(STRATEGY), digests(source)) == []


@pytest.mark.parametrize("name", METHODS)
def test_code_of_each_method_counts(digests: Any, name: str) -> None:
    source = STRATEGY.replace(f'["{name}"] = dataframe["close"] * 2', f'["{name}"] = 3')
    assert differing(digests(STRATEGY), digests(source)) == [f"code of {name}"]


def test_code_of_other_methods_does_not_count(digests: Any) -> None:
    head, tail = STRATEGY.split("def populate_entry_trend")
    source = head + "def populate_entry_trend" + tail.replace("* 2", "* 3")
    assert source != STRATEGY
    assert differing(digests(STRATEGY), digests(source)) == []


def test_inherited_code_is_the_same_code(digests: Any) -> None:
    source = STRATEGY + "\n\nclass Renamed(Strategy):\n    pass\n"
    assert differing(digests(STRATEGY), digests(source, "Renamed")) == []


def test_order_of_the_labels_does_not_count(digests: Any) -> None:
    class Strategy:
        def anything(self) -> None: ...

    for name in METHODS:
        setattr(Strategy, name, Strategy.anything)
    strategy = Strategy()
    assert labelled_by(strategy, ["&-b", "&-a"]) == labelled_by(strategy, iter(["&-a", "&-b"]))
    assert differing(labelled_by(strategy, ["&-a"]), labelled_by(strategy, ["&-b"])) == ["labels"]


def test_changed_code_is_refused(digests: Any, guard: IdentifierGuard, folder: Path) -> None:
    guard.check(digests(STRATEGY))
    add_models(folder)
    [line] = refusal(
        guard, digests(STRATEGY.replace('standard"] = dataframe', 'standard"] = 1 + dataframe'))
    )
    assert re.fullmatch(
        r"code of feature_engineering_standard: trained with '[0-9a-f]+', was '[0-9a-f]+'", line
    )
