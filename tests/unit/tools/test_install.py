"""``freqai-lstm install``."""

from pathlib import Path

import pytest

from freqai_lstm.cli import main
from freqai_lstm.tools.install import shipped_files

STRATEGY = "strategies/ExampleLSTMStrategy.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user directory with everything installed."""
    (tmp_path / "strategies").mkdir()
    assert main(["install", "--userdir", str(tmp_path)]) == 0
    return tmp_path


def test_every_shipped_file_is_copied(folder: Path) -> None:
    for place, source in shipped_files().items():
        assert (folder / place).read_bytes() == source.read_bytes()
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == {
        "config-forecast.json",
        "config-relative.json",
        "config-spot.json",
        "config-torch.json",
        "freqaimodels/PyTorchLSTMRegressor.py",
        "freqaimodels/PyTorchLSTMClassifier.py",
        "freqaimodels/RidgeRegressor.py",
        STRATEGY,
        "strategies/ForecastLSTMStrategy.py",
    }


def test_second_time_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / STRATEGY).stat().st_mtime_ns
    capsys.readouterr()
    assert main(["install", "--userdir", str(folder)]) == 0
    assert (folder / STRATEGY).stat().st_mtime_ns == before
    assert capsys.readouterr().out.count("unchanged") == len(shipped_files())


def test_changed_file_is_left_alone_and_its_diff_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strategy = folder / STRATEGY
    mine = strategy.read_text(encoding="utf-8").replace("stoploss = -0.06", "stoploss = -0.03")
    strategy.write_text(mine, encoding="utf-8")
    (folder / "config-torch.json").unlink()
    capsys.readouterr()
    assert main(["install", "--userdir", str(folder)]) == 1
    output = capsys.readouterr().out
    assert strategy.read_text(encoding="utf-8") == mine
    assert "-    stoploss = -0.03\n+    stoploss = -0.06" in output
    assert "--force" in output
    # What is merely missing is copied all the same.
    assert (folder / "config-torch.json").is_file()


def test_force_replaces_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strategy = folder / STRATEGY
    strategy.write_text("mine", encoding="utf-8")
    assert main(["install", "--userdir", str(folder), "--force"]) == 0
    assert strategy.read_bytes() == shipped_files()[Path(STRATEGY)].read_bytes()
    assert "-mine" in capsys.readouterr().out


def test_diff_does_not_show_the_keys_of_an_account(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "config-torch.json"
    text = config.read_text(encoding="utf-8").replace('"secret": ""', '"secret": "hush"')
    config.write_text(text.replace('"key": ""', '"key": "abc"'), encoding="utf-8")
    assert main(["install", "--userdir", str(folder)]) == 1
    output = capsys.readouterr().out
    assert '"secret": "***"' in output
    assert '"key": "***"' in output
    assert "hush" not in output
    assert "abc" not in output


def test_link_stays_a_link(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.py"
    elsewhere.write_text("old", encoding="utf-8")
    strategy = folder / STRATEGY
    strategy.unlink()
    strategy.symlink_to(elsewhere)
    assert main(["install", "--userdir", str(folder), "--force"]) == 0
    assert strategy.is_symlink()
    assert elsewhere.read_bytes() == shipped_files()[Path(STRATEGY)].read_bytes()


def test_missing_user_directory_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--userdir", str(tmp_path / "none")]) == 2
    message = capsys.readouterr().err
    assert "--userdir: must be a folder, was" in message
    assert "freqtrade create-userdir" in message


def test_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "strategies").write_text("a file in its place", encoding="utf-8")
    assert main(["install", "--userdir", str(tmp_path)]) == 2
    assert "ExampleLSTMStrategy.py: must be writable" in capsys.readouterr().err
