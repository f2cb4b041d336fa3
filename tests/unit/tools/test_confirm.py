"""What the verdict says, and which inputs are refused."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from freqtrade.exceptions import OperationalException

from freqai_lstm.cli import main, parse_arguments
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.confirm import (
    Performance,
    search_parameters,
    strategy_file,
    strategy_with_parameters,
    verdict,
)
from tests.conftest import ROOT


def performance(profit_pct: float, sharpe: float, trades: int = 100) -> Performance:
    return Performance(trades, profit_pct, sharpe, max_drawdown_pct=1.0)


DEFAULT = performance(2.0, 1.0)
BETTER = performance(5.0, 3.0)


def test_verdict_on_parameters_that_are_better_on_both_ranges() -> None:
    said = verdict(DEFAULT, BETTER, DEFAULT, BETTER)
    assert said.startswith("What was found held up")
    assert "profit 5.00 % against 2.00 %, Sharpe 3.00 against 1.00" in said
    assert "says little" not in said
    assert "does not earn" not in said


@pytest.mark.parametrize("found", [performance(1.0, 0.5), performance(5.0, 0.5), DEFAULT])
def test_verdict_on_parameters_that_are_better_on_the_search_range_alone(
    found: Performance,
) -> None:
    said = verdict(DEFAULT, BETTER, DEFAULT, found)
    assert said.startswith("What was found did not hold up")
    assert "likely overfitted" in said


def test_verdict_on_a_search_that_found_nothing() -> None:
    assert "nothing better" in verdict(DEFAULT, DEFAULT, DEFAULT, BETTER)


def test_verdict_tells_of_losses_and_few_trades() -> None:
    bad, less_bad = performance(-4.0, -9.0, trades=7), performance(-3.0, -8.0, trades=6)
    said = verdict(DEFAULT, BETTER, bad, less_bad)
    assert said.startswith("What was found held up")
    assert "does not earn anything there" in said
    assert "With 6 trades on the confirm range this says little" in said


def test_strategy_copy_has_the_parameters_and_the_modules_beside_it(tmp_path: Path) -> None:
    strategy = tmp_path / "Mine.py"
    strategy.write_text("import beside\n")
    (tmp_path / "beside.py").write_text("")
    strategy.with_suffix(".json").write_text("the user's own")
    parameters = tmp_path / "found.json"
    parameters.write_text("found")
    with strategy_with_parameters(strategy, parameters) as folder:
        assert {path.name for path in folder.iterdir()} == {"Mine.py", "beside.py", "Mine.json"}
        assert (folder / "Mine.json").read_text() == "found"
    assert not folder.exists()
    assert strategy.with_suffix(".json").read_text() == "the user's own"


def test_strategy_is_found_by_its_class(config: dict[str, Any]) -> None:
    expected = ROOT / "user_data" / "strategies" / "ExampleLSTMStrategy.py"
    assert strategy_file(config) == expected


def test_missing_strategy_is_refused(config: dict[str, Any]) -> None:
    config["strategy"] = "Nowhere"
    with pytest.raises(SettingsError, match=r"strategy: must be a class .* was 'Nowhere'"):
        strategy_file(config)
    del config["strategy"]
    with pytest.raises(SettingsError, match=r"strategy: must name .* was missing"):
        strategy_file(config)


def test_search_that_fails_is_an_error(tmp_path: Path) -> None:
    config = {"user_data_dir": tmp_path, "strategy": "ExampleLSTMStrategy"}
    with pytest.raises(OperationalException, match=r"hyperopt must succeed, had exit code 2"):
        search_parameters(config, ["--config", str(tmp_path / "none.json")])


def test_search_that_evaluates_no_epoch_is_an_error(tmp_path: Path) -> None:
    # What an earlier search left behind is not taken for this one's.
    (tmp_path / "hyperopt_results").mkdir()
    (tmp_path / "hyperopt_results" / "strategy_Old_2024-01-01_00-00-00.fthypt").write_text("{}")
    config = {"user_data_dir": tmp_path, "strategy": "ExampleLSTMStrategy"}
    with pytest.raises(OperationalException, match="must find an epoch with trades, found none"):
        search_parameters(config, ["--help"])


def test_command_refuses_a_configuration_without_freqai(
    tmp_path: Path, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = json.loads((ROOT / "config-torch.json").read_text(encoding="utf-8"))
    loaded["freqai"]["enabled"] = False
    path = tmp_path / "config.json"
    path.write_text(json.dumps(loaded))
    options = ["--timerange", "20240101-20240301", "--userdir", str(config["user_data_dir"])]
    assert main(["confirm", "--config", str(path), *options]) == 2
    assert "freqai.enabled: must be true" in capsys.readouterr().err


def test_command_searches_weights_and_thresholds_unless_told_otherwise() -> None:
    required = ["confirm", "--config", "config-torch.json", "--timerange", "20240101-20240301"]
    args: Namespace = parse_arguments(required)
    assert (args.split, args.spaces, args.job_workers) == (0.67, ["buy", "sell"], 1)
    assert args.hyperopt_loss == "SharpeHyperOptLossDaily"
    args = parse_arguments([*required, "--spaces", "buy", "roi", "--split", "0.5"])
    assert (args.split, args.spaces) == (0.5, ["buy", "roi"])
