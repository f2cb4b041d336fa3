"""Tells whether the bot of a container is alive: ``python -m freqai_lstm.tools.heartbeat``.

freqtrade's main loop writes "Bot heartbeat" into the log every ``internals.heartbeat_interval``
seconds, 60 where nothing is said. A bot whose loop hangs stops doing so, though its process and its
API go on. What is no bot, such as a backtest, has no heart to beat and is never called sick.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

HEARTBEAT = "Bot heartbeat"
LONGEST_SILENCE = timedelta(minutes=5)

_STAMP = "%Y-%m-%d %H:%M:%S,%f"
_STAMP_LENGTH = len("2024-03-01 12:00:00,000")


def main() -> int:
    """Check the first process of the container.

    :return: Exit code, as Docker wants it: 0 for healthy, 1 for not.
    """
    command = Path("/proc/1/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    problem = bot_problem(command, os.environ, datetime.now())
    print(problem or "healthy")
    return 1 if problem else 0


def bot_problem(
    command: Sequence[str], environment: Mapping[str, str], now: datetime
) -> str | None:
    """Return what is wrong with a bot, or None.

    :param command: The command line that was started.
    :param environment: Its environment.
    :param now: Local time.
    """
    if "trade" not in command:
        return None
    named = command[command.index("--logfile") + 1] if "--logfile" in command else None
    file = Path(named or environment.get("FREQTRADE__LOGFILE", ""))
    if not file.is_file():
        return f"no log in {file}"
    beat = last_heartbeat(file)
    if beat is None:
        return f"no heartbeat in {file}"
    silence = now - beat
    return f"no heartbeat for {silence}" if silence > LONGEST_SILENCE else None


def last_heartbeat(logfile: Path) -> datetime | None:
    """Return the time of the newest heartbeat of a log, or of the one it was rotated out to."""
    for file in (logfile, logfile.with_name(f"{logfile.name}.1")):
        if not file.is_file():
            continue
        with file.open(encoding="utf-8", errors="replace") as lines:
            beats = [line for line in lines if HEARTBEAT in line]
        if beats:
            return datetime.strptime(beats[-1][:_STAMP_LENGTH], _STAMP)
    return None


if __name__ == "__main__":
    sys.exit(main())
