"""The digest of code: whatever features and labels reach counts, and nothing else."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freqai_lstm.bridge import digest
from freqai_lstm.bridge.digest import FEATURE_METHODS, featured_by, package_digest
from freqai_lstm.bridge.manifest import IdentifierGuard, labelled_by
from freqai_lstm.exceptions import SettingsError

STRATEGY = "class Strategy:\n" + "\n".join(
    f'''
    def {name}(self, dataframe, **kwargs):
        dataframe["{name}"] = dataframe["close"] * 2
        return dataframe
'''
    for name in (*FEATURE_METHODS, "populate_entry_trend")
)
Digests = Callable[..., dict[str, Any]]


@pytest.fixture
def digests(tmp_path: Path) -> Digests:
    """Return what :func:`labelled_by` says about a strategy with the given source."""
    sources: list[str] = []

    def of(source: str, class_name: str = "Strategy") -> dict[str, Any]:
        sources.append(source)
        path = tmp_path / f"strategy_{len(sources)}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return labelled_by(getattr(module, class_name)(), ["&-a"])

    return of


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    assert first.keys() == second.keys()
    return [key for key in first if first[key] != second[key]]


def test_labels_and_the_code_of_the_features_are_recorded(digests: Digests) -> None:
    recorded = digests(STRATEGY)
    assert recorded["labels"] == ["&-a"]
    assert set(recorded) == {"labels", *(f"code of {name}" for name in FEATURE_METHODS)}


@pytest.mark.parametrize(
    "source",
    [
        STRATEGY.replace("        return", "        # Twice the price.\n\n        return"),
        STRATEGY.replace("        return", "#        dataframe = None\n        return"),
        STRATEGY.replace("* 2", "* 2  # twice"),
        STRATEGY.replace("**kwargs):", '**kwargs):\n        """Double the price."""'),
        STRATEGY.replace('"close"', "'close'").replace(" * ", "*"),
        STRATEGY.replace("dataframe, **kwargs", "\n        dataframe,\n        **kwargs,\n    "),
        STRATEGY.replace('dataframe["close"] * 2', '(\n  dataframe["close"]\n* 2)'),
    ],
    ids=["line", "margin", "comment", "docstring", "quotes and spaces", "signature", "broken line"],
)
def test_comments_and_formatting_do_not_count(digests: Digests, source: str) -> None:
    assert source != STRATEGY
    assert differing(digests(STRATEGY), digests(source)) == []


@pytest.mark.parametrize("name", FEATURE_METHODS)
def test_code_of_each_method_counts(digests: Digests, name: str) -> None:
    source = STRATEGY.replace(f'["{name}"] = dataframe["close"] * 2', f'["{name}"] = 3')
    assert differing(digests(STRATEGY), digests(source)) == [f"code of {name}"]


def test_code_of_other_methods_does_not_count(digests: Digests) -> None:
    head, tail = STRATEGY.split("def populate_entry_trend")
    source = head + "def populate_entry_trend" + tail.replace("* 2", "* 3")
    assert source != STRATEGY
    assert differing(digests(STRATEGY), digests(source)) == []


def test_order_of_the_labels_does_not_count(digests: Digests) -> None:
    class Strategy:
        def anything(self) -> None: ...

    for name in FEATURE_METHODS:
        setattr(Strategy, name, Strategy.anything)
    strategy = Strategy()
    assert labelled_by(strategy, ["&-b", "&-a"]) == labelled_by(strategy, iter(["&-a", "&-b"]))
    assert differing(labelled_by(strategy, ["&-a"]), labelled_by(strategy, ["&-b"])) == ["labels"]


def test_changed_code_is_refused(digests: Digests, tmp_path: Path) -> None:
    guard = IdentifierGuard(tmp_path / "models")
    guard.check(digests(STRATEGY))
    model = tmp_path / "models" / "sub-train-BTC_1" / "cb_btc_1_model.zip"
    model.parent.mkdir()
    model.touch()
    changed = digests(STRATEGY.replace('standard"] = dataframe', 'standard"] = 1 + dataframe'))
    with pytest.raises(
        SettingsError,
        match=r"code of feature_engineering_standard: trained with '[0-9a-f]+', was '[0-9a-f]+'$",
    ):
        guard.check(changed)


# What is reached

BODY = 'dataframe["set_freqai_targets"] = dataframe["close"] * 2'
REACHING = {
    "helper of the class": (
        BODY.replace("* 2", "* self.factor()"),
        "    def factor(self):\n        return 2\n",
        "",
    ),
    "static method": (
        BODY.replace("* 2", "* self.factor()"),
        "    @staticmethod\n    def factor():\n        return 2\n",
        "",
    ),
    "property": (
        BODY.replace("* 2", "* self.factor"),
        "    @property\n    def factor(self):\n        return 2\n",
        "",
    ),
    "constant of the class": (BODY.replace("* 2", "* self.factor"), "    factor = 2\n", ""),
    "function": (BODY.replace("* 2", "* factor()"), "", "def factor():\n    return 2\n"),
    "function of a function": (
        BODY.replace("* 2", "* outer()"),
        "",
        "def outer():\n    return factor()\n\n\ndef factor():\n    return 2\n",
    ),
    "function in a comprehension": (
        BODY.replace("* 2", "* max(factor() for _ in range(3))"),
        "",
        "def factor():\n    return 2\n",
    ),
    "lambda": (BODY.replace("* 2", "* factor()"), "", "factor = lambda: 2\n"),
    "constant": (BODY.replace("* 2", "* FACTOR"), "", "FACTOR = 2\n"),
    "nested constant": (BODY.replace("* 2", '* FACTORS["a"][0]'), "", 'FACTORS = {"a": [2]}\n'),
    "array": (
        BODY.replace("* 2", "* FACTORS[0]"),
        "",
        "import numpy as np\nFACTORS = np.array([2])\n",
    ),
    "class": (
        BODY.replace("* 2", "* Factor().value()"),
        "",
        "class Factor:\n    def value(self):\n        return 2\n",
    ),
    "object": (
        BODY.replace("* 2", "* FACTOR.value"),
        "",
        "class Factor:\n    def __init__(self, value):\n        self.value = value\n\n\n"
        "FACTOR = Factor(2)\n",
    ),
    "decorator": (
        BODY.replace("* 2", "* factor()"),
        "",
        "def doubled(function):\n    def wrapper():\n        return 2 * function()\n"
        "    return wrapper\n\n\n@doubled\ndef factor():\n    return 1\n",
    ),
    "wrapped function": (
        BODY.replace("* 2", "* factor()"),
        "",
        "import functools\n\n\n@functools.cache\ndef factor():\n    return 2\n",
    ),
    "partial function": (
        BODY.replace("* 2", "* factor()"),
        "",
        "import functools\n\n\ndef by(number):\n    return number\n\n\n"
        "factor = functools.partial(by, 2)\n",
    ),
    "default": (
        BODY.replace("* 2", "* factor()"),
        "",
        "FACTOR = 2\n\n\ndef factor(by=FACTOR):\n    return by\n",
    ),
    "hyperopt parameter": (
        BODY.replace("* 2", "* self.factor.value"),
        '    factor = IntParameter(1, 9, default=2, space="buy")\n',
        "from freqtrade.strategy import IntParameter\n",
    ),
}


def strategy_of(body: str, members: str, functions: str) -> str:
    return f"{functions}\n\n{STRATEGY.replace(BODY, body)}\n{members}"


@pytest.mark.parametrize("case", REACHING)
def test_whatever_a_method_reaches_counts_for_that_method_alone(
    digests: Digests, case: str
) -> None:
    body, members, functions = REACHING[case]
    before = digests(strategy_of(body, members, functions))
    assert digests(strategy_of(body, members, functions)) == before
    changed = (re.sub(r"\b2\b", "3", text) for text in (members, functions))
    assert differing(before, digests(strategy_of(body, *changed))) == ["code of set_freqai_targets"]


def test_function_that_nothing_reaches_does_not_count(digests: Digests) -> None:
    before = digests(strategy_of(BODY, "", "def factor():\n    return 2\n"))
    after = digests(strategy_of(BODY, "", "def factor():\n    return 3\n"))
    assert differing(before, after) == []


def test_module_beside_the_strategy_counts_however_it_is_imported(
    digests: Digests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_bytecode: None
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for number, (imported, inner, used) in enumerate(
        [
            ("import {0}\n", "", "{0}.factor()"),
            ("import {0} as helper\n", "", "helper.factor()"),
            ("from {0} import factor\n", "", "factor()"),
            ("from {0} import *\n", "", "factor()"),
            ("", "from {0} import factor\n        ", "factor()"),
            ("", "import {0}\n        ", "{0}.factor()"),
        ]
    ):
        found = []
        for value in (2, 3):
            name = f"helper_{number}_{value}"
            (tmp_path / f"{name}.py").write_text(f"def factor():\n    return {value}\n")
            body = inner.format(name) + BODY.replace("* 2", f"* {used.format(name)}")
            source = strategy_of(body, "", imported.format(name)).replace(name, "helper_module")
            (tmp_path / "helper_module.py").write_text((tmp_path / f"{name}.py").read_text())
            sys.modules.pop("helper_module", None)
            importlib.invalidate_caches()
            found.append(digests(source))
        sys.modules.pop("helper_module", None)
        assert differing(*found) == ["code of set_freqai_targets"], imported + inner


# The classes of a strategy

SUBCLASS = "\n\nclass Own(Strategy):\n    {0}\n"


def test_inherited_code_is_the_same_code(digests: Digests) -> None:
    body, members, functions = REACHING["helper of the class"]
    base = strategy_of(body, members, functions)
    assert differing(digests(base), digests(base + SUBCLASS.format("pass"), "Own")) == []
    trading = "def populate_exit_trend(self, dataframe):\n        return dataframe"
    assert differing(digests(base), digests(base + SUBCLASS.format(trading), "Own")) == []


def test_changed_helper_of_the_base_class_counts_for_the_subclass(digests: Digests) -> None:
    body, members, functions = REACHING["helper of the class"]
    base = strategy_of(body, members, functions)
    own = SUBCLASS.format("pass")
    changed = strategy_of(body, members.replace("2", "3"), functions)
    assert differing(digests(base + own, "Own"), digests(changed + own, "Own")) == [
        "code of set_freqai_targets"
    ]


def test_helper_that_the_subclass_replaces_counts(digests: Digests) -> None:
    body, members, functions = REACHING["helper of the class"]
    base = strategy_of(body, members, functions)
    own = SUBCLASS.format("def factor(self):\n        return 3")
    assert differing(digests(base), digests(base + own, "Own")) == ["code of set_freqai_targets"]
    # What it replaced is not reached any more.
    changed = strategy_of(body, members.replace("2", "4"), functions)
    assert differing(digests(base + own, "Own"), digests(changed + own, "Own")) == []


@pytest.mark.parametrize(
    "call",
    ["super().set_freqai_targets(dataframe)", "Strategy.set_freqai_targets(self, dataframe)"],
)
def test_overridden_method_that_is_called_counts(digests: Digests, call: str) -> None:
    own = SUBCLASS.format(
        f"def set_freqai_targets(self, dataframe, **kwargs):\n        return {call}"
    )
    changed = STRATEGY.replace(BODY, BODY.replace("2", "3"))
    assert differing(digests(STRATEGY + own, "Own"), digests(changed + own, "Own")) == [
        "code of set_freqai_targets"
    ]
    other = STRATEGY.replace('populate_entry_trend"] = dataframe["close"] * 2', 'x"] = 0')
    assert other != STRATEGY
    assert differing(digests(STRATEGY + own, "Own"), digests(other + own, "Own")) == []


def test_code_without_source_counts_by_its_bytecode(tmp_path: Path) -> None:
    def targets(text: str) -> dict[str, str]:
        scope: dict[str, Any] = {}
        exec(compile(text, str(tmp_path / "gone.py"), "exec"), scope)
        own = dict.fromkeys(FEATURE_METHODS, lambda self: None)
        return featured_by(type("Own", (), own | {"set_freqai_targets": scope["f"]})())

    one, same, other = (targets(f"f = lambda self: {text}") for text in ("1 + 1", "1 + 1", "2 + 2"))
    assert one == same
    assert differing(one, other) == ["code of set_freqai_targets"]


# This package


def test_edit_of_the_score_counts(monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]) -> None:
    from freqtrade.resolvers import StrategyResolver

    from freqai_lstm.score import components, indicators, returns

    strategy = StrategyResolver.load_strategy(config)
    before = featured_by(strategy)
    assert featured_by(strategy) == before

    def other(*_: Any, **__: Any) -> None: ...

    labels_and_scores = ["code of feature_engineering_standard", "code of set_freqai_targets"]
    with monkeypatch.context() as patch:
        patch.setattr(components, "rolling_mean_to_std", other)
        assert differing(before, featured_by(strategy)) == labels_and_scores
    with monkeypatch.context() as patch:
        patch.setattr(components, "_LONG_REGIME_PERIOD", 101)
        assert differing(before, featured_by(strategy)) == labels_and_scores
    with monkeypatch.context() as patch:
        patch.setattr(returns, "ATR_PERIOD", 15)
        assert differing(before, featured_by(strategy)) == ["code of set_freqai_targets"]
    with monkeypatch.context() as patch:
        patch.setattr(indicators, "_nonzero", other)
        assert set(differing(before, featured_by(strategy))) == {
            f"code of {name}" for name in FEATURE_METHODS
        }
    with monkeypatch.context() as patch:
        patch.setattr(components, "compose_score", other)
        assert differing(before, featured_by(strategy)) == []


def test_package_counts_but_for_its_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("regressor.py", "cli.py", "model/network.py", "tools/walk.py", "replay/feed.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("a = 1\n")
    monkeypatch.setattr(digest, "_PACKAGE", tmp_path)

    def found() -> str:
        package_digest.cache_clear()
        return package_digest()

    before = found()
    try:
        for name in ("cli.py", "tools/walk.py", "replay/feed.py"):
            (tmp_path / name).write_text("a = 2\n")
        (tmp_path / "regressor.py").write_text("a = 1  # the same\n")
        assert found() == before
        (tmp_path / "model" / "network.py").write_text("a = 2\n")
        assert found() != before
    finally:
        package_digest.cache_clear()
