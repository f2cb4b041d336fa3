"""``freqai-lstm doctor``, as a user runs it."""

import json
import shlex
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from freqtrade.commands import Arguments
from freqtrade.enums import CandleType

from freqai_lstm.bridge.manifest import MANIFEST_NAME
from freqai_lstm.cli import main
from freqai_lstm.tools.doctor.coverage import Coverage, Needed, coverage, download_commands
from tests.conftest import PAIRS, ROOT, candle_file, store_candles

NEEDED = Needed(
    PAIRS[0],
    "1h",
    CandleType.FUTURES,
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 1, tzinfo=UTC),
)

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
    """Examine the user directory with a small configuration, less what ``changes`` change."""

    def examine(*options: str, **changes: Any) -> tuple[int, str]:
        file = folder / "config-small.json"
        keys = json.loads((ROOT / "config-torch.json").read_text(encoding="utf-8"))
        small = {key: config[key] for key in keys} | changes
        file.write_text(json.dumps(small), encoding="utf-8")
        capsys.readouterr()
        code = main(["doctor", "-c", str(file), "--userdir", str(folder), *options])
        return code, capsys.readouterr().out

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
    for subject in ("python", "freqtrade", "torch", "pandas", "device", "identifier"):
        assert f" {subject} " in output


def test_without_a_timerange_candles_are_not_asked_for(doctor: Doctor) -> None:
    code, output = doctor()
    assert code == 0, output
    assert "candle files" not in output


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
    assert "PyTorchLSTMRegressor.py: must be there, was missing; freqai-lstm install" in output


@pytest.mark.parametrize(
    ("kept", "missing"),
    [
        (lambda date: date.notna(), (0, 0, 0)),
        (lambda date: date >= "2024-01-03", (48, 0, 0)),
        (lambda date: date < "2024-01-31", (0, 0, 24)),
        (lambda date: (date < "2024-01-10") | (date >= "2024-01-10 05:00"), (0, 5, 0)),
        (lambda date: date < "2000", (744, 0, 0)),
    ],
    ids=["whole", "late", "short", "hole", "none"],
)
def test_missing_candles_are_counted_where_they_are_missing(
    config: dict[str, Any],
    candles: Callable[[str, str], pd.DataFrame],
    tmp_path: Path,
    kept: Callable[[Any], Any],
    missing: tuple[int, int, int],
) -> None:
    (tmp_path / "futures").mkdir()
    whole = candles(PAIRS[0], "1h")
    store_candles(tmp_path, PAIRS[0], "1h", whole[kept(whole["date"])].reset_index(drop=True))
    found = coverage(config | {"datadir": tmp_path}, NEEDED)
    assert (found.before, found.between, found.after) == missing
    assert found.missing == sum(missing)


def test_each_way_of_downloading_gets_a_command_of_its_own() -> None:
    def found(pair: str, before: int, between: int, after: int) -> Coverage:
        first = NEEDED.start + timedelta(hours=before)
        needed = Needed(pair, "1h", CandleType.FUTURES, NEEDED.start, NEEDED.stop)
        return Coverage(needed, first, NEEDED.stop, before, between, after)

    commands = list(
        download_commands(
            [
                found("A/B", 1, 0, 0),
                found("C/D", 0, 2, 3),
                found("E/F", 0, 0, 4),
                found("G/H", 5, 0, 6),
            ],
            ["--config=c.json"],
        )
    )
    start = "freqtrade download-data --config=c.json --timerange 20240101-20240201 --timeframes 1h"
    assert commands == [
        f"{start} --pairs C/D --erase",
        f"{start} --pairs A/B G/H --prepend",
        f"{start} --pairs E/F G/H",
    ]
