"""``freqai-lstm doctor``, as a user runs it."""

import copy
import functools
import json
import operator
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from freqtrade.commands import Arguments

from freqai_lstm.bridge.manifest import MANIFEST_NAME
from freqai_lstm.cli import main
from tests.conftest import PAIRS, ROOT, candle_file, store_candles

# A model with settings that this package's does not know.
OTHER_MODEL = """
from freqtrade.freqai.base_models.BaseRegressionModel import BaseRegressionModel


class OtherModel(BaseRegressionModel):
    def fit(self, data_dictionary, dk, **kwargs):
        return None
"""

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(datadir: Path, tmp_path: Path) -> Path:
    """A user directory with everything installed, and its own candles."""
    (tmp_path / "user_data").mkdir()
    assert main(["install", "--userdir", str(tmp_path / "user_data")]) == 0
    shutil.copytree(datadir, tmp_path / "user_data" / "data" / "binance")
    return tmp_path / "user_data"


@pytest.fixture
def doctor(folder: Path, config: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Examine the user directory with a small configuration and some ``changes``.

    ``without`` is the path of a key that is left out.
    """

    def examine(*options: str, without: str = "", **changes: Any) -> tuple[int, str]:
        file = folder / "config-small.json"
        keys = json.loads((ROOT / "config-torch.json").read_text(encoding="utf-8"))
        small = copy.deepcopy({key: config[key] for key in keys}) | changes
        *parents, name = without.split(".")
        functools.reduce(operator.getitem, parents, small).pop(name, None)
        file.write_text(json.dumps(small), encoding="utf-8")
        capsys.readouterr()
        code = main(["doctor", "-c", str(file), "--userdir", str(folder), *options])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out + said.err

    return examine


def add_futures_candles(folder: Path) -> None:
    """Store mark and funding candles for every pair."""
    for pair in PAIRS:
        source = candle_file(folder / "data" / "binance", pair, "1h")
        for kind in ("mark", "funding_rate"):
            shutil.copy(source, source.with_name(source.name.replace("-futures", f"-{kind}")))


def test_healthy_installation_passes(doctor: Doctor, folder: Path) -> None:
    add_futures_candles(folder)
    code, output = doctor("--timerange", "20240210-20240220")
    assert code == 0, output
    assert "PROBLEM" not in output
    assert "12 of 12 complete" in output
    subjects = ("python", "freqtrade", "torch", "pandas", "device", "identifier")
    for subject in (*subjects, "strategy", "freqaimodel", "labels", "features", "training rows"):
        assert f" {subject} " in output
    assert "352, with 348 windows of 5" in output
    # Looking leaves everything as it is.
    assert not list((folder / "models").glob("*"))


def test_without_a_timerange_candles_are_not_asked_for(doctor: Doctor) -> None:
    code, output = doctor()
    assert code == 0, output
    assert "6 of 12 there" in output
    assert "MISSING CANDLES" not in output


def test_without_candles_labels_are_not_counted(doctor: Doctor, folder: Path) -> None:
    shutil.rmtree(folder / "data")
    code, output = doctor()
    assert code == 0, output
    assert "0 of 12 there" in output
    assert "not counted: no candles of a training period" in output


def test_missing_candles_are_named_with_the_command_that_gets_them(doctor: Doctor) -> None:
    code, output = doctor("--timerange", "20240210-20240220")
    assert code == 1
    # Neither mark nor funding candles of any pair.
    assert "6 of 12 complete" in output
    assert output.count("no candles") == 6
    (command,) = [line for line in output.splitlines() if "download-data" in line]
    program, *arguments = shlex.split(command)
    assert program == "freqtrade"
    parsed = Arguments(arguments).get_parsed_arg()
    assert parsed["pairs"] == PAIRS
    assert parsed["timerange"] == "20240210-20240220"


def test_training_period_and_warm_up_are_needed_before_the_timerange(
    doctor: Doctor, folder: Path
) -> None:
    add_futures_candles(folder)
    # 20 days of training and 300 candles of 4h before it: the candles begin in November.
    code, output = doctor("--timerange", "20231225-20240101")
    assert code == 1
    rows = [line for line in output.splitlines() if "2023-10-16 00:00" in line]
    assert len(rows) == len(PAIRS)
    assert all("96 before" in row for row in rows)
    assert "--prepend" in output


def test_every_problem_of_the_configuration_is_shown(
    doctor: Doctor, config: dict[str, Any]
) -> None:
    config["freqai"]["data_split_parameters"]["shuffle"] = True
    config["freqai"]["identifer"] = "x"
    code, output = doctor(freqai=config["freqai"])
    assert code == 1
    assert "2 problem(s)" in output
    assert "freqai.data_split_parameters.shuffle" in output
    assert "freqai.identifer: unknown key (did you mean 'identifier'?)" in output


def test_device_that_is_not_there_is_named(doctor: Doctor, config: dict[str, Any]) -> None:
    config["freqai"]["model_training_parameters"]["trainer_kwargs"]["device"] = "mps"
    code, output = doctor(freqai=config["freqai"])
    assert code == 1
    assert "trainer_kwargs.device: must be one of" in output
    assert "was 'mps'" in output


def test_models_of_other_settings_are_reported_and_left_alone(doctor: Doctor, folder: Path) -> None:
    models = folder / "models" / "torch-lstm"
    window = models / "sub-train-BTC_1709251200"
    window.mkdir(parents=True)
    (window / "cb_btc_1709251200_model.zip").touch()
    manifest = models / MANIFEST_NAME
    recorded = json.dumps({"freqai.train_period_days": 7})
    manifest.write_text(recorded)
    code, output = doctor()
    assert code == 1
    assert "freqai.train_period_days: trained with 7, was 20" in output
    assert "1 (BTC 1)" in output
    assert manifest.read_text() == recorded


def test_missing_drop_in_is_named(doctor: Doctor, folder: Path) -> None:
    (folder / "freqaimodels" / "PyTorchLSTMRegressor.py").unlink()
    code, output = doctor()
    assert code == 1
    assert "not installed" in output
    assert "freqaimodel: must be a class of a file in" in output
    assert f"; freqai-lstm install --userdir {folder} puts it there" in output


def test_drop_ins_that_are_not_used_need_not_be_there(doctor: Doctor, folder: Path) -> None:
    shutil.move(folder / "freqaimodels", folder.parent / "elsewhere")
    code, output = doctor(freqaimodel_path=str(folder.parent / "elsewhere"))
    assert code == 0, output
    assert "not installed" in output


def test_another_model_has_its_own_settings(
    doctor: Doctor, folder: Path, config: dict[str, Any]
) -> None:
    file = folder / "freqaimodels" / "OtherModel.py"
    file.write_text(OTHER_MODEL, encoding="utf-8")
    config["freqai"]["model_training_parameters"] = {"n_estimators": 800}
    config["freqai"]["data_split_parameters"]["shuffle"] = True
    code, output = doctor("--freqaimodel", "OtherModel", freqai=config["freqai"])
    assert code == 0, output
    assert " device " not in output
    assert f"352, of {PAIRS[0]} from" in output
    del config["freqai"]["feature_parameters"]["indicator_periods_candles"]
    code, output = doctor("--freqaimodel", "OtherModel", freqai=config["freqai"])
    assert code == 1
    assert "freqai.feature_parameters.indicator_periods_candles: must be a list of" in output


@pytest.mark.parametrize("option", ["--freqaimodel", "--strategy"])
def test_class_that_is_not_there_is_named(doctor: Doctor, option: str) -> None:
    code, output = doctor(option, "Nothing")
    assert code == 1
    assert f"{option.removeprefix('--')}: must be a class of a file in" in output
    assert output.rstrip().endswith("was 'Nothing'")


@pytest.mark.parametrize(
    "name", ["strategies/ExampleLSTMStrategy.py", "freqaimodels/PyTorchLSTMRegressor.py"]
)
def test_drop_in_that_cannot_be_imported_is_named(doctor: Doctor, folder: Path, name: str) -> None:
    file = folder / name
    text = file.read_text(encoding="utf-8")
    future = "\nimport not_there\n"
    file.write_text(text.replace("\nfrom ", f"{future}from ", 1), encoding="utf-8")
    code, output = doctor()
    assert code == 1
    assert f"{file}: {file.stem} must be an I" in output
    assert "No module named 'not_there'" in output
    # What does not depend on it is examined all the same.
    assert "6 of 12 there" in output


def test_broken_parameters_are_named(doctor: Doctor, folder: Path) -> None:
    file = folder / "strategies" / "ExampleLSTMStrategy.json"
    file.write_text("{", encoding="utf-8")
    code, output = doctor()
    assert code == 1
    assert f"{file}: must be JSON as freqtrade hyperopt writes it" in output


def test_empty_whitelist_is_a_problem(doctor: Doctor, config: dict[str, Any]) -> None:
    code, output = doctor(exchange=config["exchange"] | {"pair_whitelist": []})
    assert code == 1
    assert "exchange.pair_whitelist: must name at least one pair, was empty" in output


def test_pairs_of_a_dynamic_list_are_not_known(doctor: Doctor, config: dict[str, Any]) -> None:
    volume = {"method": "VolumePairList", "number_assets": 20}
    exchange = config["exchange"] | {"pair_whitelist": []}
    code, output = doctor("--timerange", "20240210-", pairlists=[volume], exchange=exchange)
    assert code == 1
    assert "The pairs that VolumePairList chooses could not be checked" in output


def test_faults_of_the_candles_are_shown(doctor: Doctor, folder: Path) -> None:
    datadir = folder / "data" / "binance"
    file = candle_file(datadir, PAIRS[2], "4h")
    file.write_bytes(file.read_bytes()[:1000])
    candles = pd.read_feather(candle_file(datadir, PAIRS[1], "1h"))
    candles.loc[500, "high"] *= 10
    store_candles(datadir, PAIRS[1], "1h", candles)
    code, output = doctor()
    assert code == 1
    assert " CANDLES " in output
    (row,) = [line for line in output.splitlines() if line.startswith(f"│ {PAIRS[1]} ")]
    assert [cell.strip() for cell in row.split("│")[2:-1]] == [
        *("1h", "futures", "spike", "1", "2023-11-21 20:00")
    ]
    (row,) = [line for line in output.splitlines() if line.startswith(f"│ {PAIRS[2]} ")]
    assert "unreadable file" in row
    assert f"{file}: Error loading data from" in output
    commands = [line for line in output.splitlines() if "download-data" in line]
    assert [command.rpartition(" ")[2] for command in commands] == ["--erase"] * 2


def test_strategy_without_labels_is_a_problem(doctor: Doctor, folder: Path) -> None:
    file = folder / "strategies" / "ExampleLSTMStrategy.py"
    text = file.read_text(encoding="utf-8")
    labels = "return pd.concat([dataframe, labels], axis=1)"
    assert labels in text
    file.write_text(text.replace(labels, "return dataframe"), encoding="utf-8")
    code, output = doctor()
    assert code == 1
    assert "ExampleLSTMStrategy.set_freqai_targets: must set a column with '&'" in output


@pytest.mark.parametrize(
    ("without", "code", "message"),
    [
        ("exchange", 2, "freqai-lstm: --config: must be a configuration that freqtrade can use"),
        ("exchange.name", 2, "freqai-lstm: exchange: 'name' is a required property"),
        ("exchange.pair_whitelist", 1, "exchange.pair_whitelist: must name at least one pair"),
        ("freqai", 2, "freqai-lstm: freqai.enabled: must be true, was false or missing"),
        ("freqai.feature_parameters", 2, "'feature_parameters' is a required property"),
        ("freqai.train_period_days", 1, "freqai.train_period_days: "),
        (
            "freqai.feature_parameters.indicator_periods_candles",
            1,
            "freqai.feature_parameters.indicator_periods_candles: is required, was missing",
        ),
        ("freqaimodel", 1, "freqaimodel: is required, in the configuration or as --freqaimodel"),
        ("strategy", 1, "strategy: is required, in the configuration or as --strategy"),
    ],
)
def test_missing_key_is_told_in_a_line(
    doctor: Doctor, without: str, code: int, message: str
) -> None:
    found, output = doctor(without=without)
    assert found == code, output
    assert any(message in line for line in output.splitlines())
