"""The command line of the installation into a user directory."""

import argparse
from pathlib import Path

from freqai_lstm.exceptions import InstallError
from freqai_lstm.install.copying import State, copies
from freqai_lstm.install.shipped import CONFIGURATION, shipped_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``install``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Copy the model, the strategy and the example configuration into a freqtrade user"
        " directory. A file that was changed there is left alone, and the difference is shown."
    )
    parser.add_argument(
        "--userdir",
        "--user-data-dir",
        dest="user_data_dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="where to, made by freqtrade create-userdir",
    )
    parser.add_argument("--force", action="store_true", help="replace changed files too")
    parser.set_defaults(run=run_install)


def run_install(args: argparse.Namespace) -> int:
    """Copy what is missing, and with ``--force`` what differs.

    :return: Exit code: 0 if everything is as shipped now, 1 if a changed file was left alone.
    :raises InstallError: If there is no such user directory, or it cannot be written.
    """
    folder: Path = args.user_data_dir
    if not folder.is_dir():
        raise InstallError(
            f"--userdir: must be a folder, was {str(folder)!r}; freqtrade create-userdir makes one"
        )
    kept = 0
    for copy in copies(shipped_files(), folder):
        state = copy.state
        if state is State.CHANGED:
            print(copy.diff())
        if state is State.CHANGED and not args.force:
            kept += 1
            print(f"left alone  {copy.target} (differs from the shipped one)")
            continue
        if state is not State.SAME:
            try:
                copy.write()
            except OSError as error:
                raise InstallError(f"{copy.target}: must be writable, was: {error}") from error
        done = {State.MISSING: "installed", State.SAME: "unchanged", State.CHANGED: "replaced"}
        print(f"{done[state]:<10}  {copy.target}")
    if kept:
        print(f"{kept} changed file(s) left alone; --force replaces them")
        return 1
    print(f"Next: freqai-lstm doctor --userdir {folder} -c {folder / CONFIGURATION}")
    return 0
