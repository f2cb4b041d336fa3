"""What went wrong while the bot ran on: told in the log in one line, counted, and kept on disk.

FreqAI logs a failed training among many lines and goes on. Here every failure of a pair has a count
that survives restarts and that ``freqai-lstm parity`` shows.
"""

import json
import logging
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from freqai_lstm.files import replacing

logger = logging.getLogger(__name__)

INCIDENTS_NAME = "incidents.json"


@dataclass
class Incident:
    """One kind of failure of one pair.

    :param pair: The pair, or the file, that it is about.
    :param kind: What failed, such as ``training``.
    :param count: How often.
    :param first: When first, in ISO format.
    :param last: When last.
    :param message: What the latest one said.
    """

    pair: str
    kind: str
    count: int
    first: str
    last: str
    message: str


class IncidentLog:
    """Counts failures, tells them in the log, and keeps the counts in a file.

    :param path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._incidents = {(each.pair, each.kind): each for each in read_incidents(path)}

    def record(self, pair: str, kind: str, message: str) -> None:
        """Count a failure and tell it in the log.

        :param message: Why, and what happens now.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock:
            incident = self._incidents.setdefault(
                (pair, kind), Incident(pair, kind, 0, now, now, message)
            )
            incident.count += 1
            incident.last, incident.message = now, message
            logger.error(f"{pair}: {kind} failed ({incident.count} so far): {message}")
            self._save()

    def _save(self) -> None:
        document = [asdict(incident) for incident in self._incidents.values()]
        try:
            with replacing(self.path) as temporary:
                temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            # A full disk is an incident itself: the log has it, and the count goes on in memory.
            logger.warning(f"{self.path} could not be written: {error}")


def described(error: BaseException) -> str:
    """Return what an error is called and what it says."""
    return f"{type(error).__name__}: {error}"


def read_incidents(path: Path) -> list[Incident]:
    """Return the incidents that a file holds, in the order of their first occurrence.

    :param path: The file; none is the same as no incidents.
    """
    try:
        return [Incident(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        logger.warning(f"{path} must hold a list of incidents, counting starts again: {error}")
        return []
