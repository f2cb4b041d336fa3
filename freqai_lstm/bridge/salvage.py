"""Makes the identifier's folder usable after a crash or a damaged disk, before FreqAI reads it.

FreqAI writes some of its files in place and reads them without a check, so that half a file would
keep the bot from ever starting again. A file that cannot be read is moved aside, never deleted.
"""

import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
from pandas import DataFrame

from freqai_lstm.bridge.folders import GLOBAL_METADATA, HISTORY, HISTORY_BACKUP, METRICS, PAIRS

logger = logging.getLogger(__name__)

_PAIR_KEYS = {"model_filename", "trained_timestamp", "data_path"}
# What files.replacing leaves behind when the process is killed.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}")
_TEMPORARY_SECONDS = 600.0


def salvage_folder(folder: Path) -> None:
    """Move what cannot be read aside, and remove the leftovers of killed processes.

    :param folder: The identifier's folder; it may not exist yet.
    """
    _keep_readable(folder / PAIRS, _read_pairs, "all pairs are trained again")
    _keep_readable(folder / GLOBAL_METADATA, _read_object, "it is written anew")
    _keep_readable(folder / METRICS, _read_object, "metrics start again")
    history, backup = folder / HISTORY, folder / HISTORY_BACKUP
    _keep_readable(backup, _read_predictions, "the other copy is used")
    if not _keep_readable(history, _read_predictions, "its backup is used") and backup.exists():
        shutil.copy(backup, history)
    for path in folder.rglob(".*"):
        old = time.time() - path.stat().st_mtime > _TEMPORARY_SECONDS
        if old and path.is_file() and _TEMPORARY.fullmatch(path.name):
            path.unlink()


def set_aside(path: Path, reason: str, consequence: str) -> Path:
    """Rename a file or folder that cannot be used, and tell so in the log.

    :param path: What cannot be used.
    :param reason: Why.
    :param consequence: What happens now.
    :return: Its new place, beside the old one.
    """
    aside = path.with_name(f"{path.name}.unusable-{time.time_ns()}")
    path.rename(aside)
    logger.warning(f"{path} cannot be used ({reason}): moved to {aside.name}, {consequence}")
    return aside


def _keep_readable(path: Path, read: Callable[[Path], Any], consequence: str) -> bool:
    """Return whether a file is there and can be read, after moving one aside that cannot."""
    if not path.exists():
        return False
    try:
        read(path)
    except Exception as error:  # noqa: BLE001 - unpickling half a file raises nearly anything
        set_aside(path, f"{type(error).__name__}: {error}", consequence)
        return False
    return True


def _read_object(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"must be a JSON object, was a {type(content).__name__}")
    return content


def _read_pairs(path: Path) -> None:
    for pair, entry in _read_object(path).items():
        if not isinstance(entry, dict) or not entry.keys() >= _PAIR_KEYS:
            raise TypeError(f"{pair} must have {', '.join(sorted(_PAIR_KEYS))}, was {entry!r}")


def _read_predictions(path: Path) -> None:
    content = cloudpickle.loads(path.read_bytes())
    if not isinstance(content, dict) or not all(
        isinstance(frame, DataFrame) for frame in content.values()
    ):
        raise TypeError("must be a dictionary of tables")
