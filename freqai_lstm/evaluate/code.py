"""The code that decides what a model predicts, as digests."""

import ast
import hashlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from freqtrade.enums import RunMode
from freqtrade.resolvers import StrategyResolver

import freqai_lstm
from freqai_lstm.identifier import FEATURE_METHODS, code_without_docstrings, featured_by

_PACKAGE = Path(freqai_lstm.__file__).parent
_SCORE_MODULES = ("indicators", "returns", "score")
# These and what only they import: checks, files, logs and live trading. None of it decides what a
# backtest predicts. Every other module that the regressor imports counts.
_WITHOUT_EFFECT = frozenset(
    {
        "compatibility",
        "exceptions",
        "files",
        "folders",
        "identifier",
        "label_statistics",
        "live",
        "salvage",
    }
)


def strategy_code(config: Mapping[str, Any]) -> str:
    """Return the digest of the code that makes labels and features.

    Trading rules do not count, nor do comments, docstrings and formatting.

    :param config: freqtrade's configuration.
    :raises OperationalException: If there is no such strategy.
    """
    strategy = StrategyResolver.load_strategy(dict(config, runmode=RunMode.BACKTEST))
    parts = [*featured_by(strategy).values(), str(strategy.startup_candle_count)]
    methods = [inspect.unwrap(getattr(type(strategy), name)) for name in FEATURE_METHODS]
    imported = {name for method in methods for name in _imports(Path(inspect.getfile(method)))}
    parts += module_digests({*_SCORE_MODULES, *imported})
    return hashlib.sha256("".join(parts).encode()).hexdigest()


@cache
def model_code(freqaimodel: str) -> str:
    """Return the digest of the code that predicts labels from features.

    :param freqaimodel: The class that FreqAI loads.
    """
    ours = module_digests(["regressor"]) if freqaimodel == "PyTorchLSTMRegressor" else []
    return hashlib.sha256("".join([version("freqtrade"), *ours]).encode()).hexdigest()


def module_digests(names: Iterable[str]) -> list[str]:
    """Return a digest of each module of this package, and of those it imports with an effect.

    :param names: Names below ``freqai_lstm``.
    """
    return [_module_digest(_file(name)) for name in sorted(modules_with_effect(names))]


def modules_with_effect(names: Iterable[str]) -> set[str]:
    """Return modules of this package, and all they import that decides a prediction.

    :param names: Names below ``freqai_lstm``.
    """
    found: set[str] = set()
    pending = set(names)
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= set(_imports(_file(name))) - found - _WITHOUT_EFFECT
    return found


def _imports(file: Path) -> Iterator[str]:
    """Give the modules of this package that a file imports, by their names below it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            named = [node.module or ""]
        elif isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        else:
            continue
        yield from (
            name.removeprefix("freqai_lstm.") for name in named if name.startswith("freqai_lstm.")
        )


def _file(name: str) -> Path:
    return _PACKAGE.joinpath(*name.split(".")).with_suffix(".py")


@cache
def _module_digest(file: Path) -> str:
    code = code_without_docstrings(file.read_text(encoding="utf-8"))
    return hashlib.sha256(code.encode()).hexdigest()
