"""Strategies and models that cannot be loaded, each with what is wrong."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.tools.doctor.dropins import load_model, load_strategy

MODEL = """
from freqtrade.freqai.base_models.BaseRegressionModel import BaseRegressionModel
{imports}

class Mine(BaseRegressionModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        {body}

    def fit(self, data_dictionary, dk, **kwargs):
        return None
"""
STRATEGY = """
from freqtrade.strategy import IStrategy
{imports}

class Mine(IStrategy):
    timeframe = "1h"
    stoploss = -0.1
    minimal_roi = {{"0": 0.1}}

    def __init__(self, config):
        super().__init__(config)
        {body}

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""


@pytest.fixture
def own(config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A configuration with a user directory of its own, that names a strategy and a model."""
    for name in ("strategies", "freqaimodels"):
        (tmp_path / name).mkdir()
    del config["strategy_path"], config["freqaimodel_path"]
    return config | {"strategy": "Mine", "freqaimodel": "Mine"}


def write(own: dict[str, Any], template: str, imports: str = "", body: str = "pass") -> Path:
    folder = "strategies" if template is STRATEGY else "freqaimodels"
    file: Path = own["user_data_dir"] / folder / "Mine.py"
    file.write_text(template.format(imports=imports, body=body), encoding="utf-8")
    return file


def elsewhere(config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Return the configuration with another user directory."""
    (tmp_path / "elsewhere").mkdir()
    return copy.deepcopy(config) | {"user_data_dir": tmp_path / "elsewhere"}


def problem_of_model(own: dict[str, Any]) -> str:
    model, finding = load_model(own, own)
    assert model is None
    return finding.problem


def problem_of_strategy(own: dict[str, Any]) -> str:
    strategy, (finding, *_) = load_strategy(own)
    assert strategy is None
    return finding.problem


def test_shipped_model_is_loaded_and_leaves_the_user_directory_alone(
    config: dict[str, Any], tmp_path: Path
) -> None:
    model, finding = load_model(config, elsewhere(config, tmp_path))
    assert isinstance(model, LSTMRegressor)
    assert (finding.subject, finding.found, finding.problem) == (
        *("freqaimodel", "PyTorchLSTMRegressor", ""),
    )
    assert not list((config["user_data_dir"] / "models").iterdir())
    assert list((tmp_path / "elsewhere" / "models").iterdir())


def test_model_of_somebody_else_is_loaded(own: dict[str, Any]) -> None:
    write(own, MODEL)
    model, finding = load_model(own, own)
    assert type(model).__name__ == "Mine"
    assert not finding.problem


def test_problems_of_the_settings_are_those_of_the_regressor(config: dict[str, Any]) -> None:
    config["freqai"]["data_split_parameters"]["shuffle"] = True
    with pytest.raises(SettingsError, match=r"freqai\.data_split_parameters\.shuffle"):
        load_model(config, config)


@pytest.mark.parametrize("name", [None, ""])
def test_nothing_named_is_a_problem(own: dict[str, Any], name: Any) -> None:
    own.update(strategy=name, freqaimodel=name)
    assert problem_of_model(own) == (
        "freqaimodel: is required, in the configuration or as --freqaimodel, was missing"
    )
    assert problem_of_strategy(own) == (
        "strategy: is required, in the configuration or as --strategy, was missing"
    )


def test_class_that_no_file_has_is_named_with_the_folders(own: dict[str, Any]) -> None:
    folder = own["user_data_dir"]
    message = problem_of_model(own)
    assert message.startswith(f"freqaimodel: must be a class of a file in {folder}/freqaimodels, ")
    assert message.endswith("prediction_models, was 'Mine'")
    assert problem_of_strategy(own) == (
        f"strategy: must be a class of a file in {folder}/strategies, was 'Mine'"
    )


def test_missing_drop_in_of_ours_comes_with_the_command(own: dict[str, Any]) -> None:
    own.update(freqaimodel="PyTorchLSTMRegressor", strategy="ExampleLSTMStrategy")
    command = f"; freqai-lstm install --userdir {own['user_data_dir']} puts it there"
    assert problem_of_model(own).endswith(f"was 'PyTorchLSTMRegressor'{command}")
    assert problem_of_strategy(own).endswith(f"was 'ExampleLSTMStrategy'{command}")


@pytest.mark.parametrize(
    ("imports", "body", "reason"),
    [
        ("import not_there", "pass", "No module named 'not_there'"),
        ("import (", "pass", "invalid syntax"),
        ("missing_name", "pass", "name 'missing_name' is not defined"),
        ("1 / 0", "pass", "ZeroDivisionError: division by zero"),
        ("", "raise ValueError('no such setting')", "ValueError: no such setting"),
        ("", "open('/not/there')", "Impossible to load"),
    ],
)
def test_file_that_does_not_load_is_named_with_the_reason(
    own: dict[str, Any], imports: str, body: str, reason: str
) -> None:
    file = write(own, MODEL, imports, body)
    message = problem_of_model(own)
    what = "that loads with this configuration, was: "
    assert message.startswith(f"{file}: Mine must be an IFreqaiModel {what}")
    assert reason in message
    file = write(own, STRATEGY, imports, body)
    message = problem_of_strategy(own)
    assert message.startswith(f"{file}: Mine must be an IStrategy {what}")
    assert reason in message


def test_class_of_another_kind_is_refused(own: dict[str, Any]) -> None:
    file = own["user_data_dir"] / "freqaimodels" / "Mine.py"
    file.write_text("class Mine(dict):\n    pass\n", encoding="utf-8")
    assert problem_of_model(own).startswith(f"{file}: Mine must be an IFreqaiModel")


def test_strategy_in_a_folder_below_is_found_where_freqtrade_looks_there(
    own: dict[str, Any],
) -> None:
    file = write(own, STRATEGY, "import not_there")
    (file.parent / "below").mkdir()
    file = file.rename(file.parent / "below" / "Mine.py")
    assert "must be a class of a file in" in problem_of_strategy(own)
    message = problem_of_strategy(own | {"recursive_strategy_search": True})
    assert message.startswith(f"{file}: Mine must be an IStrategy")


def test_parameters_that_fit_are_no_problem(own: dict[str, Any]) -> None:
    file = write(own, STRATEGY).with_suffix(".json")
    file.write_text(json.dumps({"strategy_name": "Mine", "params": {}}), encoding="utf-8")
    strategy, findings = load_strategy(own)
    assert type(strategy).__name__ == "Mine"
    assert [(each.subject, each.problem) for each in findings] == [
        *(("strategy", ""), ("parameters", ""))
    ]


def test_broken_parameters_that_freqtrade_ignores_are_a_problem(own: dict[str, Any]) -> None:
    file = write(own, STRATEGY).with_suffix(".json")
    file.write_text('{"strategy_name": "Mine", "params":', encoding="utf-8")
    strategy, (_, finding) = load_strategy(own)
    assert strategy is not None
    assert finding.problem.startswith(f"{file}: must be JSON as freqtrade hyperopt writes it, was:")
    assert "freqtrade trades without it, on the strategy's own values" in finding.problem


@pytest.mark.parametrize(
    ("content", "named"),
    [({"strategy_name": "Other", "params": {}}, "'Other'"), ({}, "None"), (["Mine"], "None")],
)
def test_parameters_of_another_strategy_are_one_problem(
    own: dict[str, Any], content: Any, named: str
) -> None:
    file = write(own, STRATEGY).with_suffix(".json")
    file.write_text(json.dumps(content), encoding="utf-8")
    strategy, (loading, finding) = load_strategy(own)
    assert strategy is None
    assert (loading.found, loading.problem) == ("Mine, not loaded", "")
    assert finding.problem == (
        f"{file}: strategy_name must be 'Mine', was {named}; freqtrade does not load the strategy "
        f"with it"
    )
