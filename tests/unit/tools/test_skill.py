"""The skill of a finished backtest, from predictions whose skill is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from unit_predictions import Store

from freqai_lstm.cli import main
from freqai_lstm.exceptions import SkillError
from freqai_lstm.score import WEIGHT_NAMES
from freqai_lstm.tools.predictions import load_predictions
from freqai_lstm.tools.skill import Skill, pair_skill

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def backtest_skill(config: dict[str, Any]) -> list[Skill]:
    return [pair_skill(pair) for pair in load_predictions(config)["score"]]


def test_perfect_predictions_have_perfect_skill(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    [skill] = backtest_skill(config)
    assert (skill.pair, skill.windows, skill.candles) == (BTC, 2, 240)
    assert skill.correlation == pytest.approx(1)
    assert skill.r_squared == pytest.approx(1)
    assert skill.sign_accuracy == 1
    assert skill.persistence == pytest.approx(1)
    assert skill.predicted_share == 1


def test_reversed_predictions_have_none(config: dict[str, Any], store: Store) -> None:
    labels = [f"&-score_{name}" for name in WEIGHT_NAMES]
    store(BTC, lambda predicted: predicted.assign(**{name: -predicted[name] for name in labels}))
    [skill] = backtest_skill(config)
    assert skill.correlation == pytest.approx(-1)
    assert skill.r_squared < 0
    assert skill.sign_accuracy == 0


def test_forecast_is_compared_with_the_score_ahead(config: dict[str, Any], store: Store) -> None:
    config["freqai"]["feature_parameters"]["label_period_candles"] = 6
    store(BTC, lambda predicted: predicted, ahead=6)
    [skill] = backtest_skill(config)
    # Today's volatility turns the components of the future into a score: nearly, not quite.
    assert skill.correlation > 0.9
    assert skill.persistence < 0.6
    assert skill.candles == 240


def test_candles_without_prediction_do_not_count(config: dict[str, Any], store: Store) -> None:
    def half(predicted: pd.DataFrame) -> pd.DataFrame:
        trusted = np.arange(len(predicted)) % 2
        return predicted.where(pd.Series(trusted == 1), 0.0).assign(
            date=predicted["date"], do_predict=trusted
        )

    store(BTC, half)
    [skill] = backtest_skill(config)
    assert skill.candles == 120
    assert skill.predicted_share == 0.5
    assert skill.correlation == pytest.approx(1)


def test_constant_predictions_have_no_correlation(config: dict[str, Any], store: Store) -> None:
    labels = [f"&-score_{name}" for name in WEIGHT_NAMES]
    store(BTC, lambda predicted: predicted.assign(**dict.fromkeys(labels, 0.0)))
    [skill] = backtest_skill(config)
    assert np.isnan(skill.correlation)
    assert skill.sign_accuracy == 0


def test_pairs_without_predictions_are_left_out(config: dict[str, Any], store: Store) -> None:
    store(ETH, lambda predicted: predicted)
    assert [skill.pair for skill in backtest_skill(config)] == [ETH]


def test_no_predictions_at_all_are_an_error(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    config["timerange"] = "20240211-20240220"
    with pytest.raises(SkillError, match=r"backtesting_predictions.*'20240211-20240220'"):
        backtest_skill(config)


def test_command_without_a_configuration_file_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none.json")
    assert main(["skill", "-c", missing, "--timerange", "20240101-20240201"]) == 2
    assert missing in capsys.readouterr().err
