"""Every name of freqtrade that is used exists, and takes what it is given.

With a new release of freqtrade, these tests show at once what broke.
"""

import ast
import functools
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from freqtrade.data.dataprovider import DataProvider
from freqtrade.data.history.datahandlers.idatahandler import IDataHandler
from freqtrade.exchange import Exchange
from freqtrade.freqai.base_models.BasePyTorchRegressor import BasePyTorchRegressor
from freqtrade.freqai.base_models.BaseRegressionModel import BaseRegressionModel
from freqtrade.freqai.data_drawer import FreqaiDataDrawer
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.freqai.torch.PyTorchModelTrainer import PyTorchModelTrainer
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy

from freqai_lstm.bridge.drawer import SafeDataDrawer
from freqai_lstm.bridge.internals import OpenRegressor
from freqai_lstm.bridge.kitchen import PreparedDataKitchen, WindowedDataKitchen
from freqai_lstm.bridge.live import LiveRegressor
from freqai_lstm.bridge.strategy import ReconcilingStrategy
from freqai_lstm.bridge.windowed import WindowedRegressor
from freqai_lstm.classifier import LSTMClassifier
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.ridge import LinearRegressor
from freqai_lstm.tools import heartbeat
from freqai_lstm.trainer import PyTorchLSTMTrainer
from tests.conftest import ROOT

SOURCES = sorted([*(ROOT / "freqai_lstm").rglob("*.py"), *(ROOT / "user_data").rglob("*.py")])

# What we override, or give for freqtrade to call: renamed there, ours would never run.
HOOKS: dict[type, tuple[type, list[str]]] = {
    OpenRegressor: (
        BasePyTorchRegressor,
        ["_start_scanning", "_append_null_backtesting_predictions"],
    ),
    LiveRegressor: (
        BasePyTorchRegressor,
        [
            "data_convertor",
            "start_live",
            "build_strategy_return_arrays",
            "extract_data_and_train_model",
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
    LinearRegressor: (
        BaseRegressionModel,
        ["fit", "define_data_pipeline", "define_label_pipeline"],
    ),
    WindowedRegressor: (BasePyTorchRegressor, ["start", "start_backtesting", "train"]),
    LSTMRegressor: (
        BasePyTorchRegressor,
        [
            "fit",
            "predict",
            "define_label_pipeline",
            "fit_live_predictions",
            "backtesting_fit_live_predictions",
        ],
    ),
    LSTMClassifier: (BasePyTorchRegressor, ["define_label_pipeline"]),
    WindowedDataKitchen: (
        FreqaiDataKitchen,
        [
            "save_backtesting_prediction",
            "check_if_backtest_prediction_is_valid",
            "get_backtesting_prediction",
            "get_unique_classes_from_labels",
            "slice_dataframe",
            "find_features",
            "use_strategy_to_populate_indicators",
        ],
    ),
    PreparedDataKitchen: (FreqaiDataKitchen, ["use_strategy_to_populate_indicators"]),
    ReconcilingStrategy: (
        IStrategy,
        ["bot_loop_start", "confirm_trade_entry", "confirm_trade_exit"],
    ),
    PyTorchLSTMTrainer: (PyTorchModelTrainer, ["fit", "save", "load_from_checkpoint"]),
}

# freqtrade's objects by the names we hold them under.
RECEIVERS: dict[str, type] = {
    "dk": FreqaiDataKitchen,
    "kitchen": FreqaiDataKitchen,
    "self.dk": FreqaiDataKitchen,
    "self.dd": SafeDataDrawer,
    "drawer": SafeDataDrawer,
    "strategy.dp": DataProvider,
    "provider": DataProvider,
    "exchange": Exchange,
    "self._exchange": Exchange,
    "trade": Trade,
    "handler": IDataHandler,
    "backtesting": Backtesting,
    "strategy": IStrategy,
}
INTERNALS = ROOT / "freqai_lstm" / "bridge" / "internals.py"


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
            owner = RECEIVERS[ast.unparse(value)]
            found = inspect.getattr_static(owner, attribute, None)
            bound = isinstance(found, classmethod | staticmethod)
            return getattr(owner, attribute, None), not bound
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
    assert name in {"history", "stale"} or has_attribute(owner, name)


@functools.cache
def given_attributes(owner: type) -> frozenset[str]:
    """Return the attributes that a class gives its instances or annotates."""
    nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(owner)))))
    assigned = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) == "self"
    }
    annotated = {
        node.target.id
        for node in nodes
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return frozenset(assigned | annotated)


def has_attribute(owner: type, name: str) -> bool:
    """Say whether a class or one of its bases has an attribute, or gives it to its instances."""
    bases = [base for base in owner.__mro__ if base.__module__ not in {"abc", "builtins"}]
    return hasattr(owner, name) or any(name in given_attributes(base) for base in bases)


def ours_of(module: ModuleType) -> Iterator[type]:
    """Give the classes of a module that subclass one of freqtrade's."""
    for value in vars(module).values():
        if not inspect.isclass(value) or issubclass(value, Exception):
            continue
        bases = {base.__module__.partition(".")[0] for base in value.__mro__[1:]}
        if value.__module__ == module.__name__ and "freqtrade" in bases:
            yield value


OUR_CLASSES = [
    owner
    for info in pkgutil.walk_packages([str(ROOT / "freqai_lstm")], "freqai_lstm.")
    if info.name.split(".")[1] not in {"indicators", "returns", "spread"}
    for owner in ours_of(importlib.import_module(info.name))
]


def own_uses() -> Iterator[Any]:
    """Every ``self.name`` within our subclasses of freqtrade's classes."""
    for owner in OUR_CLASSES:
        within = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(owner))))
        names = {
            node.attr
            for node in within
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
        }
        for name in sorted(names):
            yield pytest.param(owner, name, id=f"{owner.__name__}.{name}")


@pytest.mark.parametrize(("owner", "name"), list(own_uses()))
def test_attribute_of_ourselves_is_ours_or_freqtrades(owner: type, name: str) -> None:
    assert has_attribute(owner, name)


def test_renamed_attribute_of_freqtrades_would_be_noticed() -> None:
    assert {("OpenRegressor", "_stop_event"), ("OpenRegressor", "get_corr_dataframes")} <= {
        (parameter.values[0].__name__, parameter.values[1]) for parameter in own_uses()
    }
    assert (DataProvider, "_exchange") in attributes()
    assert (Exchange, "_pairs_last_poll_time") in attributes()
    assert (IDataHandler, "_ohlcv_load") in attributes()
    assert has_attribute(OpenRegressor, "_stop_event")
    assert not has_attribute(OpenRegressor, "_stopping_event")


def test_private_and_internal_names_of_freqtrades_are_in_one_module() -> None:
    elsewhere = {
        f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for file in SOURCES
        if file != INTERNALS
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]|ft_", node.attr)
        and ast.unparse(node.value) not in {"self", "cls", "os"}
    }
    assert elsewhere == set()
    for owner in OUR_CLASSES:
        if inspect.getsourcefile(owner) == str(INTERNALS):
            continue
        private = {name for name in vars(owner) if re.match(r"_[a-z]", name)} - {"_abc_impl"}
        freqtrades = [base for base in owner.__mro__ if base.__module__.startswith("freqtrade.")]
        assert not [name for name in private for base in freqtrades if has_attribute(base, name)]


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
    assert set(OUR_CLASSES) == set(HOOKS)
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
