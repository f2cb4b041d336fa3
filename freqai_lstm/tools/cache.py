"""Show what is kept of computed features and labels, or remove it.

evaluate, tune, pretrain and confirm compute the features and labels of a pair once for each set of
candles, code and settings, and keep them in the folder "cache" of the user directory. What is not
there is computed again.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import joblib
from freqtrade.configuration import setup_utils_configuration
from freqtrade.enums import RunMode

from freqai_lstm.files import replacing

LIMIT_BYTES = 8 * 2**30
"""Beyond it, what was not read for longest is removed, unless it is in use."""

# Files have times that are some milliseconds old.
_CLOCK_NS = 10**9

_T = TypeVar("_T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--userdir", "--user-data-dir", dest="user_data_dir", metavar="DIR")
    parser.add_argument("--clear", action="store_true", help="remove all of it")
    parser.set_defaults(run=run_cache)


def run_cache(args: argparse.Namespace) -> int:
    """Print how much is kept where, and remove it if asked to.

    :return: 0.
    """
    config = setup_utils_configuration(vars(args), RunMode.UTIL_NO_EXCHANGE)
    cache = DiskCache(cache_folder(config["user_data_dir"]))
    size, count = cache.size, len(cache.files())
    if args.clear:
        cache.clear()
    print(
        f"{cache.folder}: {count} files, {size / 2**20:,.0f} MiB of at most "
        f"{LIMIT_BYTES / 2**20:,.0f} MiB{', removed' if args.clear else ''}"
    )
    return 0


def cache_folder(user_data_dir: Path) -> Path:
    """Return where a user directory has its cache."""
    return Path(user_data_dir) / "cache"


class DiskCache:
    """Values by name, each in a file that is there as a whole or not at all.

    Arrays within them are mapped into memory when read, so they must not be written to.

    :param folder: Where the files are; it is made when the first one is.
    :param limit: Most bytes of all files together; what is read or written from now on stays, since
        workers may map it at any time.
    """

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES) -> None:
        self.folder, self.limit = folder, limit
        self._used_since = time.time_ns() - _CLOCK_NS

    def path(self, name: str) -> Path:
        """Return the file of a value, whether it is there or not."""
        return self.folder / f"{name}.joblib"

    def load(self, name: str) -> Any:
        """Return a value; None if there is none that can be read."""
        path = self.path(name)
        try:
            value = joblib.load(path, mmap_mode="r")
            os.utime(path)
        except Exception:  # noqa: BLE001 - unpickling a damaged file raises nearly anything
            return None
        return value

    def keep(self, name: str, value: Any) -> Path:
        """Write a value, and remove the ones that were not read for longest if there are too many.

        :return: Its file.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(name)
        with replacing(path) as file:
            joblib.dump(value, file)
        self._shrink()
        return path

    def remember(self, name: str, compute: Callable[[], _T]) -> _T:
        """Return a value that is there, or compute and keep it."""
        value: _T | None = self.load(name)
        if value is None:
            value = compute()
            self.keep(name, value)
        return value

    def files(self) -> list[Path]:
        """Return the files, the one that was not read for longest first."""
        return [path for _, _, path in self._stats()]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size, _ in self._stats())

    def clear(self) -> None:
        """Remove all files."""
        for path in self.files():
            path.unlink(missing_ok=True)

    def _stats(self) -> list[tuple[int, int, Path]]:
        found = []
        # Also what a killed process has left half-written.
        for path in self.folder.glob("*.joblib*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                # Another process has removed it.
                continue
            found.append((status.st_mtime_ns, status.st_size, path))
        return sorted(found)

    def _shrink(self) -> None:
        stats = self._stats()
        excess = sum(size for _, size, _ in stats) - self.limit
        for used, size, path in stats:
            if excess <= 0 or used >= self._used_since:
                return
            path.unlink(missing_ok=True)
            excess -= size
