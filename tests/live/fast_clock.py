"""A clock for tests that goes on while a bot sleeps, so that hours of trading take minutes.

Usage: ``python fast_clock.py CLOCK SPEED MODULE [ARGUMENTS...]`` runs a module on the clock that
the file CLOCK holds. It stands still while the module works, unless that is what a test is about.
When its main thread sleeps, the clock moves on by as much, in a SPEED-th of the time; so a busy
machine makes a test slow but changes nothing. All processes of a test share the file. Time-outs use
the monotonic clock and stay real.
"""

import faulthandler
import mmap
import runpy
import signal
import struct
import sys
import threading
import time
from pathlib import Path

import time_machine


class FastClock:
    """The time that a file holds, shared by all processes that open it.

    :param path: A file of two integers of eight bytes: nanoseconds since 1970, and 1 if those of
        the monotonic clock are to be added, for a clock that goes on while a process works.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 16)
        self._goes_on: int = struct.unpack_from("q", self._memory, 8)[0]

    @classmethod
    def create(cls, path: Path, now: float, goes_on: bool = False) -> "FastClock":
        """Make the file and set it to a time in seconds since 1970."""
        path.write_bytes(struct.pack("qq", int(now * 1e9) - goes_on * time.monotonic_ns(), goes_on))
        return cls(path)

    def time_ns(self) -> int:
        """Tell the time in nanoseconds since 1970."""
        nanoseconds: int = struct.unpack_from("q", self._memory)[0]
        return nanoseconds + self._goes_on * time.monotonic_ns()

    def time(self) -> float:
        """Tell the time in seconds since 1970."""
        return self.time_ns() / 1e9

    def advance(self, seconds: float) -> None:
        """Let the time go on."""
        (nanoseconds,) = struct.unpack_from("q", self._memory)
        struct.pack_into("q", self._memory, 0, nanoseconds + int(seconds * 1e9))

    def install(self, speed: float) -> None:
        """Make this the clock of the process.

        :param speed: How many times as fast as in reality its sleep is over.
        """
        sleep_really, main = time.sleep, threading.main_thread()

        def sleep(seconds: float) -> None:
            sleep_really(seconds / speed)
            if threading.current_thread() is main:
                self.advance(seconds * (1 - self._goes_on / speed))

        time_machine.travel(self.time()).start().time_ns = self.time_ns
        time.sleep = sleep


if __name__ == "__main__":
    # A shell's background jobs, and what they start, ignore Ctrl+C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Shows where a process hangs.
    faulthandler.register(signal.SIGUSR1)
    clock, faster, module = sys.argv[1:4]
    sys.argv = sys.argv[3:]
    FastClock(Path(clock)).install(float(faster))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
