"""Every place that names a version agrees with the constraints file."""

import re
import tomllib
from importlib.metadata import distribution, version

import pytest
import yaml
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


def test_continuous_integration_runs_on_the_oldest_and_the_newest_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    supported = [
        classifier.rsplit(" ", 1)[1]
        for classifier in PROJECT["classifiers"]
        if classifier.startswith("Programming Language :: Python :: 3.")
    ]
    assert matrix == [supported[0], supported[-1]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"make ([a-z-]+)", str(workflow))
    assert set(commands) == {"install-dev", "check", "test", "docker-test"}
    for target in commands:
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
