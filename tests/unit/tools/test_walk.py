"""What travels to a worker."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from freqai_lstm.tools.walk import pack_project
from tests.integration.conftest import Backtest


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
def test_project_travels_without_secrets_and_paths(config: dict[str, Any], tmp_path: Path) -> None:
    config["exchange"].update(key="sesame", secret="sesame", password="sesame")
    config["telegram"] = {"enabled": False, "token": "sesame", "chat_id": "1"}
    config["api_server"] = {"password": "sesame"}
    strategy = Backtest(config).strategy
    project = pack_project(config, strategy, threads=1)
    packed = pickle.dumps(project)
    assert b"sesame" not in packed
    opened = pickle.loads(packed).open(tmp_path / "elsewhere", "20240210-20240212")
    assert type(opened).__name__ == type(strategy).__name__
    assert opened.freqai.full_path == tmp_path / "elsewhere" / "models" / "torch-lstm"
    assert (
        opened.freqai.freqai_info["model_training_parameters"]["trainer_kwargs"]["num_threads"] == 1
    )


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (8, 4)])
def test_project_uses_no_more_threads_than_it_may(
    config: dict[str, Any], threads: int, expected: int
) -> None:
    trainer = config["freqai"]["model_training_parameters"]["trainer_kwargs"]
    trainer["num_threads"] = 4
    packed = pack_project(config, Backtest(config).strategy, threads).config
    packed_trainer = packed["freqai"]["model_training_parameters"]["trainer_kwargs"]
    assert packed_trainer["num_threads"] == expected
    assert packed_trainer["progress_bar"] is False
    assert trainer["num_threads"] == 4
