"""Every place that names a version agrees with the constraints file."""

import re
import tomllib
from importlib.metadata import distribution, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from freqai_lstm import __version__
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = {
    canonicalize_name(name): pinned
    for name, pinned in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
}
REQUIREMENTS = [
    Requirement(text)
    for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_pin_lies_within_the_range_of_the_project(requirement: Requirement) -> None:
    pinned = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_installed_version_is_the_pinned_one(requirement: Requirement) -> None:
    installed = version(requirement.name).split("+", 1)[0]
    assert installed == PINS[canonicalize_name(requirement.name)]


def test_every_line_of_the_constraints_is_an_exact_pin() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pins)
    assert len(pins) == len(PINS)


def test_package_states_its_version_once() -> None:
    assert distribution("freqai-lstm").version == __version__


def test_pandas_is_kept_below_the_release_that_breaks_live_retraining() -> None:
    pandas = next(item for item in REQUIREMENTS if item.name == "pandas")
    assert pandas.specifier.contains("3.0.6")
    assert not pandas.specifier.contains("3.1.0")
    assert not pandas.specifier.contains("2.3.3")
