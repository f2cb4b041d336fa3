"""Digests of code: of what a strategy's features and labels really reach, and of this package.

One rule for the identifier's manifest and for the comparisons of ``freqai-lstm evaluate``.
Comments, docstrings, formatting and other libraries do not count.
"""

import ast
import functools
import hashlib
import importlib
import inspect
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import freqtrade
from freqtrade.strategy.parameters import BaseParameter

import freqai_lstm
from freqai_lstm.bridge.internals import informative_methods

LABEL_METHOD = "set_freqai_targets"
FEATURE_METHODS = (
    "feature_engineering_expand_all",
    "feature_engineering_expand_basic",
    "feature_engineering_standard",
    LABEL_METHOD,
)
"""The methods of a strategy that make features and labels."""
# What prepares the candles that features are made of.
_CANDLE_METHODS = ("informative_pairs", "populate_indicators")

_PACKAGE = Path(freqai_lstm.__file__).resolve().parent
_LIBRARIES = {
    Path(place).resolve()
    for place in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(site.getusersitepackages(), *site.getsitepackages()),
        str(Path(freqtrade.__file__).parent),
    )
}
# The tools read what a model predicts, and the replay exchange stands for another one.
_WITHOUT_EFFECT = ("cli.py", "replay", "tools")


def featured_by(strategy: Any) -> dict[str, str]:
    """Return a digest of the code of each method that makes features or labels.

    What counts is what the method reaches: overridden methods that it calls with ``super()``, other
    methods and attributes of the strategy along its whole method resolution order, and functions,
    classes and constants of its own modules and of this package, however far away.
    """
    return {
        f"code of {name}": _digest(_code_reached(strategy, [name]))[:12] for name in FEATURE_METHODS
    }


class Code:
    """The code that methods of a strategy reach.

    :ivar digest: Its digest.
    """

    def __init__(self, strategy: Any, methods: Iterable[str]) -> None:
        self._parts = _code_reached(strategy, methods)
        self.digest = _digest(self._parts)

    def mentioned(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the settings whose names the code mentions, so that it may read them."""
        return {
            name: value
            for name, value in settings.items()
            if any(re.search(rf"\b{re.escape(name)}\b", part) for part in self._parts)
        }


def feature_code(strategy: Any) -> Code:
    """Return the code that computes the features of a strategy, from the candles on."""
    methods = [*FEATURE_METHODS, *_CANDLE_METHODS, *informative_methods(strategy)]
    methods.remove(LABEL_METHOD)
    return Code(strategy, methods)


def label_code(strategy: Any) -> Code:
    """Return the code that sets the labels of a strategy."""
    return Code(strategy, [LABEL_METHOD])


@functools.cache
def package_digest() -> str:
    """Return a digest of the code of this package that decides what a model predicts."""
    files = [
        file
        for file in sorted(_PACKAGE.rglob("*.py"))
        if file.relative_to(_PACKAGE).parts[0] not in _WITHOUT_EFFECT
    ]
    return _digest(ast.unparse(_parsed(file.read_text(encoding="utf-8"))) for file in files)


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _code_reached(strategy: Any, methods: Iterable[str]) -> list[str]:
    reached = _Reached(type(strategy))
    for name in methods:
        reached.follow_method(name)
    return sorted(reached.parts)


class _Reached:
    """Follows code from function to function.

    :param owner: The class that ``self`` is an instance of.
    :ivar parts: The sources and constants that were reached.
    """

    def __init__(self, owner: type) -> None:
        self.owner = owner
        self.parts: set[str] = set()
        self._seen: dict[int, Any] = {}

    def follow_method(self, name: str, after: type | None = None) -> None:
        """Follow what a name stands for on the owner, or in the classes after one of its bases."""
        order = self.owner.__mro__
        for base in order[order.index(after) + 1 :] if after else order:
            if name in vars(base):
                if _is_own(_file_of(base)):
                    self._follow(vars(base)[name], name, base, ())
                return

    def _follow(self, value: Any, name: str, base: type | None, names: Iterable[str]) -> None:
        """Follow any value that code refers to.

        :param base: The class that it is an attribute of, if it is.
        :param names: All names that the code uses, to look up in a module or class.
        """
        for function in _functions(value):
            self._follow_function(function, base)
        if isinstance(value, functools.partial):
            self._look_up({"arguments": [*value.args, value.keywords]}, ["arguments"])
        elif isinstance(value, ModuleType):
            if _is_own(getattr(value, "__file__", None)):
                self._look_up(vars(value), names)
        elif isinstance(value, type):
            self._follow_class(value, names)
        elif isinstance(value, BaseParameter):
            self.parts.add(f"{name} = {value.value!r}")
        elif (text := _as_text(value)) is not None:
            self.parts.add(f"{name} = {text}")
        elif _is_own(_file_of(type(value))) and self._is_new(value):
            self._follow_class(type(value), ())
            self._look_up(getattr(value, "__dict__", {}), getattr(value, "__dict__", {}))

    def _follow_class(self, value: type, names: Iterable[str]) -> None:
        if value in self.owner.__mro__:
            # A call of a base class by its name is one more way to say super().
            for name in names:
                if name in vars(value) and _is_own(_file_of(value)):
                    self._follow(vars(value)[name], name, value, ())
        elif _is_own(_file_of(value)) and self._is_new(value):
            for base in value.__mro__:
                if _is_own(_file_of(base)):
                    for name, attribute in vars(base).items():
                        if not name.startswith("__") or callable(attribute):
                            self._follow(attribute, name, None, ())

    def _follow_function(self, function: FunctionType, base: type | None) -> None:
        code = function.__code__
        if not _is_own(code.co_filename) or not self._is_new(function):
            return
        tree = _tree(code)
        self.parts.add(ast.unparse(tree) if tree else _bytecode(code))
        names = set(_names(code))
        known = function.__globals__
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        enclosed = {name: cell.cell_contents for name, cell in cells if name != "__class__"}
        defaults = dict(enumerate(function.__defaults__ or ())) | (function.__kwdefaults__ or {})
        self._look_up({**known, **enclosed}, names)
        for name, value in defaults.items():
            self._follow(value, f"{code.co_name} {name}", None, names)
        for module in _imported(tree, known) if tree else ():
            self._follow(module, module.__name__, None, names)
        for name in sorted(names):
            self.follow_method(name)
            if base is not None and "super" in names:
                self.follow_method(name, after=base)

    def _look_up(self, namespace: Mapping[str, Any], names: Iterable[str]) -> None:
        names = tuple(names)
        for name in sorted(name for name in names if name in namespace):
            self._follow(namespace[name], name, None, names)

    def _is_new(self, value: Any) -> bool:
        """Say whether a value was not followed yet, and keep it, so that its id stays its own."""
        if id(value) in self._seen:
            return False
        self._seen[id(value)] = value
        return True


def _functions(value: Any) -> Iterator[FunctionType]:
    """Give the functions that an attribute or a decorated function is made of."""
    match value:
        case FunctionType():
            yield value
        case staticmethod() | classmethod():
            yield from _functions(value.__func__)
        case property():
            yield from _functions(value.fget)
        case functools.cached_property() | functools.partial():
            yield from _functions(value.func)
    if not isinstance(value, type | staticmethod | classmethod):
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            yield from _functions(wrapped)


def _as_text(value: Any) -> str | None:
    """Return a constant as text, None for what is no constant."""
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value)
        case Mapping():
            items = [(_as_text(key), _as_text(inner)) for key, inner in value.items()]
            return repr(items)
        case set() | frozenset():
            return repr(sorted(str(_as_text(inner)) for inner in value))
        case tuple() | list():
            return repr([_as_text(inner) for inner in value])
    if type(value).__module__.partition(".")[0] in ("numpy", "pandas") and hasattr(value, "tolist"):
        return repr(value.tolist())
    return None


def _is_own(file: str | None) -> bool:
    """Say whether a file is of this package or of no library at all."""
    if file is None or file.startswith("<frozen"):
        return False
    path = Path(file).resolve()
    return path.is_relative_to(_PACKAGE) or not any(map(path.is_relative_to, _LIBRARIES))


def _file_of(owner: type) -> str | None:
    """Return the file that defines a class; freqtrade does not register a strategy's module."""
    if file := getattr(sys.modules.get(owner.__module__), "__file__", None):
        return str(file)
    functions = (function for value in vars(owner).values() for function in _functions(value))
    return next((function.__code__.co_filename for function in functions), None)


def _names(code: CodeType) -> Iterator[str]:
    """Give all names that code uses, that of the functions within it too."""
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _tree(code: CodeType) -> ast.Module | None:
    """Return the program of a function without docstrings; None if there is no source of it."""
    try:
        source = inspect.getsource(code)
        # A method's source is indented: the class makes it a whole program.
        return _parsed(f"class _:\n{source}" if source[0].isspace() else source)
    except (OSError, SyntaxError):
        return None


def _bytecode(code: CodeType) -> str:
    inner = [
        _bytecode(constant) if isinstance(constant, CodeType) else repr(constant)
        for constant in code.co_consts
    ]
    return f"{code.co_name} {code.co_code.hex()} {code.co_names} {inner}"


def _imported(tree: ast.Module, known: Mapping[str, Any]) -> Iterator[ModuleType]:
    """Give the modules that a function itself imports, as far as they are there."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names = [alias.name for alias in aliases]
            case ast.ImportFrom(module=module, level=level):
                names = ["." * level + (module or "")]
            case _:
                continue
        for name in names:
            try:
                yield importlib.import_module(name, known.get("__package__"))
            except ImportError:
                continue


def _parsed(source: str) -> ast.Module:
    """Return a program without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if ast.get_docstring(node, clean=False) is not None and first is not None:
                node.body.remove(first)
    return tree
