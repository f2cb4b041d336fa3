"""The source distribution and the wheel hold everything, and the wheel works by itself."""

import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from freqai_lstm.bridge.versions import TESTED
from freqai_lstm.tools.install import shipped_files
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def python(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("distribution")
    python("-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def site(source: Path) -> Path:
    """What the wheel of the source distribution installs."""
    folder = source.parent / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    python("-m", "pip", "install", *options, "--target", str(folder), str(source), cwd=source)
    return folder


@pytest.mark.parametrize(
    "name",
    ["Dockerfile", "Makefile", "constraints.txt", "scripts/backtest.sh", "tests/conftest.py"],
)
def test_source_distribution_is_the_whole_project(source: Path, name: str) -> None:
    assert (source / name).read_bytes() == (ROOT / name).read_bytes()


def test_wheel_holds_every_module(site: Path) -> None:
    def modules(root: Path) -> set[str]:
        files = (root / "freqai_lstm").rglob("*")
        return {str(file.relative_to(root)) for file in files if file.suffix in {".py", ".typed"}}

    assert modules(site) >= modules(ROOT)


def test_wheel_installs_its_files_into_a_user_directory(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "user_data"
    folder.mkdir()
    command = ["-m", "freqai_lstm.cli", "install", "--userdir", str(folder)]
    output = python(*command, cwd=tmp_path, PYTHONPATH=str(site))
    assert output.count("installed") == len(shipped_files())
    for place, original in shipped_files().items():
        assert (folder / place).read_bytes() == original.read_bytes()


def test_every_drop_in_and_configuration_is_shipped() -> None:
    user_data = ROOT / "user_data"
    found = [
        *user_data.glob("freqaimodels/*.py"),
        *user_data.glob("strategies/*.py"),
        *user_data.glob("config-*.json"),
        *ROOT.glob("config-*.json"),
    ]
    assert set(shipped_files().values()) == set(found)
    build = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert build == {
        str(file.relative_to(ROOT)): f"freqai_lstm/user_data/{place}"
        for place, file in shipped_files().items()
    }


def test_tested_versions_are_what_is_asked_for() -> None:
    required = dict(
        requirement.split(">=", 1) for requirement in PROJECT["project"]["dependencies"]
    )
    assert TESTED["pandas"] == SpecifierSet(f">={required['pandas']}")
    # A newer freqtrade is warned of, not refused: who trades upgrades freqtrade by its own clock.
    assert str(TESTED["freqtrade"]).endswith(f">={required['freqtrade[freqai,hyperopt]']}")
