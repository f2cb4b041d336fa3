"""Copies files without losing what somebody changed in them."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from freqai_lstm.files import replacing

# Values of these keys are somebody's own, and a diff ends up in logs and bug reports.
_SECRET = re.compile(
    r'("(?:\w*key|\w*secret|\w*password|\w*token|uid|account_?id|private_?key|wallet_?address)"\s*:\s*)'
    r'"[^"]+"',
    re.IGNORECASE,
)


class State(StrEnum):
    """What was found where a file belongs."""

    MISSING = "missing"
    SAME = "same"
    CHANGED = "changed"


@dataclass(frozen=True)
class Copy:
    """A file to copy, and what is in its place.

    :param source: The file to copy.
    :param target: Where to.
    """

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
        return "".join(
            difflib.unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                fromfile=str(self.target),
                tofile="as shipped",
            )
        )

    def write(self) -> None:
        """Copy the file; the target holds its old or its whole new content at any moment."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        # A link stays one: its own target is written.
        with replacing(self.target.resolve()) as temporary:
            temporary.write_bytes(self.source.read_bytes())


def copies(files: Mapping[Path, Path], folder: Path) -> list[Copy]:
    """Return what there is to copy into a folder.

    :param files: Files by where each belongs in the folder.
    :param folder: The folder.
    """
    return [Copy(source, folder / place) for place, source in files.items()]
