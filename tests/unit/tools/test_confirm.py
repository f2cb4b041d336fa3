"""What searches and backtests come to in figures and words, and which inputs are refused."""

import json
import math
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.exceptions import OperationalException

from freqai_lstm.cli import main, parse_arguments
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.candles import SplitTimerange
from freqai_lstm.tools.confirm import cli, search
from freqai_lstm.tools.confirm.backtests import (
    Performance,
    daily_returns,
    strategy_file,
    strategy_with_parameters,
)
from freqai_lstm.tools.confirm.folds import Fold, chance_sentence, fold_rows
from freqai_lstm.tools.confirm.search import Found, search_parameters
from freqai_lstm.tools.confirm.verdict import verdict
from freqai_lstm.tools.luck import Luck, count_luck
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


def stats_of(*profits: float, balance: float = 1000.0) -> dict[str, Any]:
    """Make what freqtrade keeps of an epoch that earns this on the days from January 2 on."""
    first, last = (pd.Timestamp(day, tz="UTC") for day in ("2024-01-01", "2024-01-10T12:00"))
    stats = {
        "starting_balance": balance,
        "backtest_start_ts": int(first.timestamp() * 1000),
        "backtest_end_ts": int(last.timestamp() * 1000),
    }
    # freqtrade has no such list where nothing was traded.
    days = [[f"2024-01-{day:02}", profit] for day, profit in enumerate(profits, 2)]
    return stats | ({"daily_profit": days} if days else {"daily_profit_list": []})


def test_returns_are_those_of_each_day_of_the_range() -> None:
    returns = daily_returns(stats_of(10.0, -5.0))
    assert returns.tolist() == [0, 0.01, -0.005, *[0] * 7]
    assert returns.index[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert daily_returns(stats_of()).tolist() == [0] * 10


def test_luck_of_a_search_counts_all_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    profits = [random.normal(size=8) for _ in range(4)] + [np.empty(0)]
    best = {1, 3}
    exported: list[Any] = []

    def hyperopt(command: list[str], check: bool) -> Any:
        folder = tmp_path / "hyperopt_results"
        folder.mkdir()
        lines = [
            json.dumps({"epoch": number, "is_best": number in best, "results_metrics": stats})
            for number, stats in enumerate(stats_of(*each) for each in profits)
        ]
        (folder / "strategy_Mine_2024-01-01_00-00-00.fthypt").write_text("\n".join(lines))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(search.subprocess, "run", hyperopt)
    monkeypatch.setattr(
        search.HyperoptTools, "export_params", lambda *arguments: exported.append(arguments)
    )
    found = search_parameters({"user_data_dir": tmp_path, "strategy": "Mine"}, [])
    [(epoch, name, file)] = exported
    # The last of those that were the best so far.
    assert (epoch["epoch"], name, file) == (3, "Mine", found.parameters)
    assert found.parameters.name == "strategy_Mine_2024-01-01_00-00-00.json"
    returns = np.zeros((10, 5))
    returns[1:9, :4] = np.column_stack(profits[:4]) / 1000
    assert found.luck == count_luck(returns, 3)
    assert found.luck.trials == 5
    assert 0 < found.luck.deflated_sharpe_ratio < 1


def fold(confirm: str, profit_pct: float, luck: Luck) -> Fold:
    days = pd.date_range(confirm[:8], confirm[9:], tz="UTC")
    returns = pd.Series(np.random.default_rng(int(confirm[7])).normal(size=len(days)), days)
    found = Performance(40, profit_pct, 1.0, 1.0, returns)
    default = Performance(10, -50.0, 1.0, 1.0, 0 * returns)
    return Fold(SplitTimerange("", confirm), Path("found.json"), luck, default, found)


def test_folds_are_summed_up() -> None:
    lucks = [Luck(30, 0.9, 0.2), Luck(30, 0.5, math.nan)]
    folds = [fold("20240101-20240111", 10.0, lucks[0]), fold("20240111-20240121", -10.0, lucks[1])]
    first, second, whole, default = fold_rows(folds)
    assert first[:3] == ["20240101-20240111", "40", "10.00"]
    assert (first[4:], second[4:]) == (["0.90", "0.20"], ["0.50", "-"])
    # Profits are those of one account after the other.
    assert whole[:3] == ["all", "80", "-1.00"]
    assert whole[4:] == ["0.70", "0.20"]
    assert default == ["all, default parameters", "20", "-75.00", "-", "-", "-"]
    joined = pd.concat([each.found.returns for each in folds]).groupby(level=0).sum()
    assert len(joined) == 21
    ratio = math.sqrt(365) * joined.mean() / joined.std()
    assert whole[3].startswith(f"{ratio:.2f} ± ")
    assert "is above 0 with a probability of " in chance_sentence(folds)
    still = [
        Fold(each.parts, each.parameters, each.luck, each.default, each.default) for each in folds
    ]
    assert "made the same on each day" in chance_sentence(still)


@pytest.mark.parametrize("folds", [1, 2])
def test_each_fold_searches_before_the_range_it_confirms_on(
    folds: int,
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    searched: list[str] = []
    backtested: list[str] = []

    def pretended(config: dict[str, Any], options: list[str]) -> Found:
        searched.append(options[options.index("--timerange") + 1])
        parameters = tmp_path / f"found{len(searched)}.json"
        parameters.write_text("{}")
        return Found(parameters, Luck(100, 0.5, 0.4))

    def backtest(options: dict[str, Any], folder: Path, timerange: str) -> Performance:
        backtested.append(timerange)
        days = pd.date_range("2024-01-01", periods=3, tz="UTC")
        return Performance(5, 10.0, 1.0, 1.0, pd.Series([0.0, 0.2, -0.1], days))

    config["freqai"]["feature_parameters"]["label_period_candles"] = 6
    monkeypatch.setattr(cli, "freqai_configuration", lambda options: config)
    monkeypatch.setattr(cli, "_train_ahead", lambda *_, **__: None)
    monkeypatch.setattr(cli, "search_parameters", pretended)
    monkeypatch.setattr(cli, "backtest_performance", backtest)
    command = ["confirm", "-c", "config.json", "--timerange", "20240101-20240131"]
    args = parse_arguments([*command, "--folds", str(folds), "--split", "0.5"])
    assert args.run(args) == 0
    # The windows are of five days, the gap of six hours.
    parts = {
        1: [("20240101-20240115T1800", "20240116-20240131")],
        2: [
            ("20240101-20240115T1800", "20240116-20240121"),
            ("20240101-20240120T1800", "20240121-20240131"),
        ],
    }[folds]
    assert searched == [search for search, _ in parts]
    assert backtested == [each for part in parts for each in (*part, *part)]
    output = capsys.readouterr().out
    for search_range, confirm_range in parts:
        assert f"SEARCHED ON {search_range}, CONFIRMED ON {confirm_range}" in output
    assert output.count("Deflated Sharpe ratio 0.50") == folds
    assert output.count("WALKED FORWARD OVER 20240101-20240131") == folds - 1
    assert ("21.00" in output) == (folds == 2)
    assert output.count("  cp ") == 1
    assert f"  cp {tmp_path}/found{folds}.json " in output


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
    assert args.folds == 1
    assert args.hyperopt_loss == "SharpeHyperOptLossDaily"
    args = parse_arguments([*required, "--spaces", "buy", "roi", "--split", "0.5"])
    assert (args.split, args.spaces) == (0.5, ["buy", "roi"])
