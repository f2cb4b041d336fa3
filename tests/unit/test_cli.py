"""The command line: every command is offered, and only the one that is run is imported."""

import subprocess
import sys

import pytest

from freqai_lstm.cli import parse_arguments

COMMANDS = {
    *("install", "doctor", "replay", "pretrain", "skill", "report", "evaluate", "confirm"),
    *("parity", "tune", "cache"),
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_a_help_of_its_own(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse_arguments([command, "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: freqai-lstm {command} [-h] ")
    assert len(shown.splitlines()) > 5


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse_arguments(["--help"])
    commands = capsys.readouterr().out.split("commands:")[1].splitlines()
    named = {line.split()[0] for line in commands if line.startswith("    ") and line[4] != " "}
    assert named == COMMANDS


@pytest.mark.parametrize("arguments", [["--help"], ["install", "--help"], ["replay", "--help"]])
def test_commands_that_need_no_network_start_without_torch(arguments: list[str]) -> None:
    program = (
        "import sys; from freqai_lstm.cli import parse_arguments\n"
        "try: parse_arguments(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(["trade"])
    assert "'trade'" in capsys.readouterr().err
