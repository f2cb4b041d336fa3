"""The drop-ins and the example configuration, through freqtrade's real resolvers and validation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from freqtrade.configuration.config_validation import (
    validate_config_consistency,
    validate_config_schema,
)
from freqtrade.enums import RunMode
from freqtrade.freqai.base_models.BasePyTorchRegressor import BasePyTorchRegressor
from freqtrade.freqai.base_models.BaseRegressionModel import BaseRegressionModel
from freqtrade.freqai.torch.PyTorchModelTrainer import PyTorchModelTrainer
from freqtrade.misc import deep_merge_dicts
from freqtrade.resolvers import StrategyResolver
from freqtrade.resolvers.freqaimodel_resolver import FreqaiModelResolver
from freqtrade.strategy import IStrategy

from freqai_lstm.bridge.configuration import read_settings
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.score import DEFAULT_WEIGHTS, RETURN_LABEL, WEIGHT_NAMES
from freqai_lstm.settings import FreqaiSettings
from freqai_lstm.trainer import PyTorchLSTMTrainer
from tests.conftest import ROOT


@pytest.fixture
def example() -> dict[str, Any]:
    """``config-torch.json`` as it stands. Plain JSON: other tools must read it too."""
    loaded: dict[str, Any] = json.loads((ROOT / "config-torch.json").read_text(encoding="utf-8"))
    return loaded


def test_model_loads_through_freqtrades_resolver(config: dict[str, Any]) -> None:
    model = FreqaiModelResolver.load_freqaimodel(config)
    assert type(model).__name__ == "PyTorchLSTMRegressor"
    assert isinstance(model, BasePyTorchRegressor)
    assert model.dd.model_type == "pytorch"
    assert issubclass(PyTorchLSTMTrainer, PyTorchModelTrainer)


def test_ridge_loads_through_freqtrades_resolver(config: dict[str, Any]) -> None:
    config["freqaimodel"] = "RidgeRegressor"
    config["freqai"]["model_training_parameters"] = {"alpha_per_row": 0.5}
    model = FreqaiModelResolver.load_freqaimodel(config)
    assert type(model).__name__ == "RidgeRegressor"
    assert isinstance(model, BaseRegressionModel)
    assert model.settings.alpha_per_row == 0.5
    config["freqai"]["model_training_parameters"] = {"alpha_per_rows": 1.0, "alpha_per_row": 0}
    with pytest.raises(SettingsError, match=r"2 problem\(s\)") as error:
        FreqaiModelResolver.load_freqaimodel(config)
    path = "freqai.model_training_parameters"
    assert f"{path}.alpha_per_row: must be greater than 0, was 0" in str(error.value)
    unknown = f"{path}.alpha_per_rows: unknown key (did you mean 'alpha_per_row'?), was 1.0"
    assert unknown in str(error.value)


def test_strategy_loads_through_freqtrades_resolver(config: dict[str, Any]) -> None:
    strategy = StrategyResolver.load_strategy(config)
    assert isinstance(strategy, IStrategy)
    assert strategy.can_short
    assert -0.2 <= strategy.stoploss < 0
    assert strategy.startup_candle_count >= 200


def test_weights_and_thresholds_are_hyperopt_parameters(config: dict[str, Any]) -> None:
    strategy = StrategyResolver.load_strategy(config)
    strategy.ft_load_hyper_params(hyperopt=True)
    spaces = {
        space: {name for name, parameter in strategy.enumerate_parameters(space)}
        for space in ("buy", "sell", "protection")
    }
    return_head = {"require_return", "return_threshold"}
    assert spaces == {
        "buy": {*WEIGHT_NAMES, "threshold_buy", "direction", *return_head, "min_certainty"},
        "sell": {"threshold_sell"},
        "protection": {"cooldown_candles", "max_stops_a_day", "max_weekly_drawdown"},
    }
    assert tuple(getattr(strategy, name).value for name in WEIGHT_NAMES) == DEFAULT_WEIGHTS
    assert strategy.threshold_buy.low > 0 > strategy.threshold_sell.high
    assert strategy.direction.value == "follow"


@pytest.mark.parametrize("return_head", [False, True])
def test_return_head_is_searched_only_where_there_is_one(
    config: dict[str, Any], return_head: bool
) -> None:
    config["freqai"]["feature_parameters"].update(label_period_candles=4, return_head=return_head)
    strategy = StrategyResolver.load_strategy(config)
    strategy.bot_start()
    strategy.ft_load_hyper_params(hyperopt=True)
    searched = {name for name, parameter in strategy.enumerate_parameters() if parameter.optimize}
    assert ({"require_return", "return_threshold"} <= searched) == return_head
    assert {*WEIGHT_NAMES, "threshold_buy", "threshold_sell", "direction"} <= searched


@pytest.mark.parametrize("networks", [1, 2])
def test_certainty_is_searched_only_with_an_ensemble(config: dict[str, Any], networks: int) -> None:
    config["freqai"]["model_training_parameters"]["model_kwargs"]["ensemble_size"] = networks
    strategy = StrategyResolver.load_strategy(config)
    strategy.bot_start()
    strategy.ft_load_hyper_params(hyperopt=True)
    searched = {name for name, parameter in strategy.enumerate_parameters() if parameter.optimize}
    assert ("min_certainty" in searched) == (networks > 1)


def test_settings_error_reaches_the_user_through_the_resolver(config: dict[str, Any]) -> None:
    config["freqai"]["data_split_parameters"]["shuffle"] = True
    config["freqai"]["model_training_parameters"]["model_kwargs"]["hidden_dims"] = 64
    config["freqai"]["model_training_parameters"]["model_kwargs"]["window_size"] = 100_000
    with pytest.raises(SettingsError) as error:
        FreqaiModelResolver.load_freqaimodel(config)
    message = str(error.value)
    assert "3 problem(s)" in message
    assert "freqai.data_split_parameters.shuffle" in message
    assert "model_kwargs.hidden_dims: unknown key (did you mean 'hidden_dim'?)" in message
    assert "freqai.train_period_days: must be at least" in message
    assert not list((config["user_data_dir"] / "models").iterdir())


@pytest.mark.parametrize("mode", [RunMode.BACKTEST, RunMode.HYPEROPT, RunMode.DRY_RUN])
def test_example_configuration_passes_freqtrades_validation(
    example: dict[str, Any], mode: RunMode
) -> None:
    # What the strategy and the command line add before freqtrade validates.
    example.update(
        runmode=mode, stoploss=-0.06, minimal_roi={"0": 0.1}, timerange="20240301-20240401"
    )
    checked = validate_config_schema(example)
    validate_config_consistency(checked)


def test_overlay_of_the_forecast_fits_the_example(
    example: dict[str, Any], config: dict[str, Any]
) -> None:
    overlay = json.loads((ROOT / "user_data" / "config-forecast.json").read_text(encoding="utf-8"))
    # Models of the two profiles must not mix.
    assert overlay["freqai"]["identifier"] != example["freqai"]["identifier"]
    config["freqai"] = deep_merge_dicts(overlay, example)["freqai"]
    settings = read_settings(config["freqai"], 3600)
    assert settings.feature_parameters.label_period_candles == 4
    assert settings.feature_parameters.return_head
    trainer = settings.model_training_parameters.trainer_kwargs
    assert [*trainer.huber_delta] == [RETURN_LABEL]
    strategy = StrategyResolver.load_strategy(config)
    strategy.bot_start()
    assert strategy.require_return.optimize


def test_overlay_of_spot_fits_the_example(example: dict[str, Any]) -> None:
    overlay = json.loads((ROOT / "user_data" / "config-spot.json").read_text(encoding="utf-8"))
    assert overlay["freqai"]["identifier"] != example["freqai"]["identifier"]
    pairs = [pair.removesuffix(":USDT") for pair in example["exchange"]["pair_whitelist"]]
    assert overlay["exchange"]["pair_whitelist"] == pairs
    assert set(overlay["freqai"]["feature_parameters"]["include_corr_pairlist"]) <= set(pairs)
    config = deep_merge_dicts(overlay, example)
    config.update(runmode=RunMode.DRY_RUN, stoploss=-0.06, minimal_roi={"0": 0.1})
    validate_config_consistency(validate_config_schema(config))


def test_example_configuration_has_no_key_that_nothing_reads(example: dict[str, Any]) -> None:
    from freqtrade.config_schema import CONF_SCHEMA

    read_by_the_strategy = {"leverage", "stake_by_certainty"}
    # Options of commands that freqtrade reads from the configuration as well.
    options = {"strategy", "freqaimodel", "enable_protections"}
    known = {*CONF_SCHEMA["properties"], *options, *read_by_the_strategy}
    assert set(example) <= known
    strategy = (ROOT / "user_data" / "strategies" / "ExampleLSTMStrategy.py").read_text()
    assert all(f'self.config.get("{name}"' in strategy for name in read_by_the_strategy)
    assert read_settings(example["freqai"], 3600).window_size == 5


def test_example_configuration_has_no_keys_of_an_account(example: dict[str, Any]) -> None:
    assert example["dry_run"] is True
    assert example["exchange"]["key"] == example["exchange"]["secret"] == ""


def schema_keys(section: dict[str, Any]) -> Iterator[str]:
    yield from section["properties"]


def test_settings_know_every_key_of_freqtrades_schema() -> None:
    from freqtrade.config_schema import CONF_SCHEMA

    schema = CONF_SCHEMA["definitions"]["freqai"]
    # Reinforcement learning has no place in a regressor.
    missing = set(schema_keys(schema)) - set(FreqaiSettings.model_fields) - {"rl_config"}
    assert not missing
    for name in ("feature_parameters", "data_split_parameters"):
        annotation: Any = FreqaiSettings.model_fields[name].annotation
        assert not set(schema_keys(schema["properties"][name])) - set(annotation.model_fields)


def test_every_file_of_user_data_is_a_drop_in_or_an_overlay() -> None:
    names = {path.name for path in Path(ROOT / "user_data").rglob("*.py")}
    models = {"PyTorchLSTMRegressor.py", "PyTorchLSTMClassifier.py", "RidgeRegressor.py"}
    assert names == {*models, "ExampleLSTMStrategy.py", "ForecastLSTMStrategy.py"}
