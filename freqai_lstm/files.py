"""Files that survive a crash: written beside their place and moved there when whole."""

import contextlib
import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

_temporary_folders: set[Path] = set()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that is gone after the block; nothing waits for the disk to have its files."""
    with TemporaryDirectory(prefix="freqai-lstm-") as name:
        folder = Path(name)
        _temporary_folders.add(folder)
        try:
            yield folder
        finally:
            _temporary_folders.remove(folder)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file that takes the place of ``path`` when the block succeeds.

    ``path`` holds either its old or its whole new content at any moment.

    :param path: File to replace; its folder must exist.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        _wait_for_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of ``path`` when the block succeeds.

    ``path`` is either whole or not there at any moment. What a killed process has left of it is
    removed, so there must be one writer at a time.

    :param path: Folder to replace; its own folder must exist.
    """
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*"):
        shutil.rmtree(remains)
    temporary, old = (path.with_name(f".{path.name}.{uuid.uuid4().hex}") for _ in range(2))
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _wait_for_disk(file)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        for remains in (temporary, old):
            shutil.rmtree(remains, ignore_errors=True)


def _wait_for_disk(file: Path) -> None:
    if _temporary_folders.isdisjoint(file.parents):
        with file.open("rb") as written:
            os.fsync(written.fileno())
