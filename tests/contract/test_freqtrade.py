"""Every name of freqtrade that is used exists, and takes what it is given.

With a new release of freqtrade, these tests show at once what broke.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from freqtrade.data.dataprovider import DataProvider
from freqtrade.exchange import Exchange
from freqtrade.freqai.base_models.BasePyTorchRegressor import BasePyTorchRegressor
from freqtrade.freqai.data_drawer import FreqaiDataDrawer
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.freqai.torch.PyTorchModelTrainer import PyTorchModelTrainer

from freqai_lstm import heartbeat
from freqai_lstm.data_drawer import SafeDataDrawer
from freqai_lstm.data_kitchen import WindowedDataKitchen
from freqai_lstm.live import LiveRegressor
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.trainer import PyTorchLSTMTrainer
from tests.conftest import ROOT

SOURCES = sorted([*(ROOT / "freqai_lstm").rglob("*.py"), *(ROOT / "user_data").rglob("*.py")])

# What we override, or give for freqtrade to call: renamed there, ours would never run.
HOOKS: dict[type, tuple[type, list[str]]] = {
    LiveRegressor: (
        BasePyTorchRegressor,
        [
            "start_live",
            "build_strategy_return_arrays",
            "extract_data_and_train_model",
            "_start_scanning",
            "model_exists",
        ],
    ),
    SafeDataDrawer: (
        FreqaiDataDrawer,
        [
            "save_data",
            "save_metadata",
            "load_data",
            "append_model_predictions",
            "set_initial_return_values",
            "save_historic_predictions_to_disk",
            "save_metric_tracker_to_disk",
            "save_drawer_to_disk",
            "save_global_metadata_to_disk",
        ],
    ),
    LSTMRegressor: (
        BasePyTorchRegressor,
        [
            "data_convertor",
            "start",
            "start_backtesting",
            "train",
            "fit",
            "predict",
            "define_label_pipeline",
            "fit_live_predictions",
            "backtesting_fit_live_predictions",
            "_append_null_backtesting_predictions",
        ],
    ),
    WindowedDataKitchen: (
        FreqaiDataKitchen,
        [
            "save_backtesting_prediction",
            "check_if_backtest_prediction_is_valid",
            "slice_dataframe",
        ],
    ),
    PyTorchLSTMTrainer: (PyTorchModelTrainer, ["fit", "save", "load_from_checkpoint"]),
}

# freqtrade's objects by the names we hold them under.
RECEIVERS: dict[str, type] = {
    "dk": FreqaiDataKitchen,
    "kitchen": FreqaiDataKitchen,
    "self.dk": FreqaiDataKitchen,
    "self.dd": SafeDataDrawer,
    "strategy.dp": DataProvider,
    "provider": DataProvider,
    "exchange": Exchange,
}


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported_names() -> list[tuple[str, str]]:
    """Every ``from freqtrade.module import name``, as module and name."""
    names = {
        (str(node.module), alias.name)
        for file in SOURCES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("freqtrade")
        for alias in node.names
    }
    return sorted(names)


def imported_into(file: Path) -> dict[str, Any]:
    """The objects of freqtrade that a file imports, by its names for them."""
    return {
        alias.asname or alias.name: getattr(
            importlib.import_module(str(node.module)), alias.name, None
        )
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("freqtrade")
        for alias in node.names
    }


def called(node: ast.Call, names: dict[str, Any]) -> tuple[Any, bool] | None:
    """Return what of freqtrade a call calls, and whether it is called on an instance."""
    match node.func:
        case ast.Name(id=name) if name in names:
            return names[name], False
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in names:
            return getattr(names[name], attribute, None), False
        case ast.Attribute(value=value, attr=attribute) if ast.unparse(value) in RECEIVERS:
            return getattr(RECEIVERS[ast.unparse(value)], attribute, None), True
    return None


def calls() -> Iterator[Any]:
    for file in SOURCES:
        names = imported_into(file)
        for node in ast.walk(tree(file)):
            if not isinstance(node, ast.Call) or (found := called(node, names)) is None:
                continue
            where = f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node.func)}"
            yield pytest.param(node, *found, id=where)


@pytest.mark.parametrize(("module", "name"), imported_names())
def test_imported_name_exists(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("node", "function", "on_instance"), list(calls()))
def test_call_fits_the_signature(node: ast.Call, function: Any, on_instance: bool) -> None:
    assert function is not None, "freqtrade has no such name any more"
    starred = any(isinstance(argument, ast.Starred) for argument in node.args)
    keywords = [keyword.arg for keyword in node.keywords if keyword.arg is not None]
    if inspect.isclass(function) and issubclass(function, Exception):
        return
    signature = inspect.signature(function)
    positional = [None] * (len(node.args) + on_instance)
    # With * or ** in the call, only what is written out can be checked.
    bind = signature.bind_partial if starred or None in node.keywords else signature.bind
    bind(*positional, **dict.fromkeys(keywords))


def attributes() -> list[tuple[type, str]]:
    """Every attribute that is read of freqtrade's objects."""
    seen = set()
    for file in SOURCES:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in RECEIVERS:
                seen.add((RECEIVERS[ast.unparse(node.value)], node.attr))
    return sorted(seen, key=str)


@pytest.mark.parametrize(("owner", "name"), attributes())
def test_attribute_exists(owner: type, name: str) -> None:
    # Ours, on freqtrade's data kitchen.
    if hasattr(owner, name) or name in {"history", "stale"}:
        return
    assigned = "".join(inspect.getsource(base) for base in owner.__mro__[:-1])
    assert re.search(rf"self\.{name}\b|^    {name}\b\s*[:=]", assigned, re.MULTILINE)


@pytest.mark.parametrize(
    ("ours", "base", "name"),
    [(ours, base, name) for ours, (base, names) in HOOKS.items() for name in names],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_hook_is_freqtrades_and_takes_what_freqtrade_gives(
    ours: type, base: type, name: str
) -> None:
    theirs = getattr(base, name)
    assert name in vars(ours)
    if isinstance(theirs, property):
        return
    parameters = inspect.signature(getattr(ours, name)).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        required = [
            parameter.name
            for parameter in inspect.signature(theirs).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            and parameter.default is parameter.empty
        ]
        assert list(parameters)[: len(required)] == required
    else:
        assert list(parameters) == list(inspect.signature(theirs).parameters)


def test_every_method_of_freqtrades_that_we_replace_is_listed() -> None:
    for ours, (base, names) in HOOKS.items():
        replaced = {
            name
            for name, value in vars(ours).items()
            if hasattr(base, name) and (inspect.isfunction(value) or isinstance(value, property))
        }
        assert replaced - {"__init__", "__getstate__"} == set(names)


def test_heartbeat_is_what_freqtrades_worker_logs() -> None:
    from freqtrade import worker

    assert f'f"{heartbeat.HEARTBEAT}. PID=' in inspect.getsource(worker)
    from freqtrade.loggers import LOGFORMAT

    assert LOGFORMAT.startswith("%(asctime)s - ")
