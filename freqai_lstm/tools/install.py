"""Copy the model, the strategy and the example configuration into a freqtrade user directory.

A file that was changed there is left alone, and the difference is shown.
"""

import argparse
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from freqai_lstm.exceptions import InstallError
from freqai_lstm.files import replacing

CONFIGURATION = "config-torch.json"
OVERLAYS = ("config-forecast.json", "config-relative.json", "config-spot.json")
DROP_INS = (
    "freqaimodels/PyTorchLSTMRegressor.py",
    "freqaimodels/PyTorchLSTMClassifier.py",
    "freqaimodels/RidgeRegressor.py",
    "strategies/ExampleLSTMStrategy.py",
    "strategies/ForecastLSTMStrategy.py",
)

# Values of these keys are somebody's own, and a diff ends up in logs and bug reports.
_SECRET = re.compile(
    r'("(?:\w*key|\w*secret|\w*password|\w*token|uid|account_?id|private_?key|wallet_?address)"\s*:\s*)'
    r'"[^"]+"',
    re.IGNORECASE,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def shipped_files() -> dict[Path, Path]:
    """Return the shipped files by where each belongs in a user directory.

    A wheel holds them inside the package; in a checkout they lie where freqtrade finds them.
    """
    package = Path(__file__).parents[1]
    in_wheel, checkout = package / "user_data", package.parent
    if in_wheel.is_dir():
        return {Path(name): in_wheel / name for name in (CONFIGURATION, *OVERLAYS, *DROP_INS)}
    files = {Path(name): checkout / "user_data" / name for name in (*OVERLAYS, *DROP_INS)}
    return {Path(CONFIGURATION): checkout / CONFIGURATION, **files}


class State(StrEnum):
    """What was found where a file belongs."""

    MISSING = "missing"
    SAME = "same"
    CHANGED = "changed"


@dataclass(frozen=True)
class Copy:
    """A file to copy, and what is in its place."""

    source: Path
    target: Path

    @property
    def state(self) -> State:
        """What is at the target now."""
        if not self.target.exists():
            return State.MISSING
        same = self.target.read_bytes() == self.source.read_bytes()
        return State.SAME if same else State.CHANGED

    def diff(self) -> str:
        """Return what copying would change in the target, without its secrets."""
        before, after = (
            _SECRET.sub(r'\1"***"', file.read_text(encoding="utf-8", errors="replace"))
            for file in (self.target, self.source)
        )
        lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
        return "".join(difflib.unified_diff(*lines, str(self.target), "as shipped"))

    def write(self) -> None:
        """Copy the file; the target holds its old or its whole new content at any moment."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        # A link stays one: its own target is written.
        with replacing(self.target.resolve()) as temporary:
            temporary.write_bytes(self.source.read_bytes())


def copies(files: Mapping[Path, Path], folder: Path) -> list[Copy]:
    """Return what there is to copy into a folder."""
    return [Copy(source, folder / place) for place, source in files.items()]
