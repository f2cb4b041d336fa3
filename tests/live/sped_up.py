"""Runs a Python module while its wall clock goes faster, for hours of trading in minutes.

Usage: ``python sped_up.py START SPEED MODULE [ARGUMENTS...]``. At the real time START (seconds since
1970) the clock shows START, and from then on it goes SPEED times as fast. All processes of a test
are given the same START, and so have the same time.

``time.time`` and ``datetime.now`` are sped up, and ``time.sleep`` is as much shorter; time-outs,
which use the monotonic clock, stay real.
"""

import runpy
import sys
import time

import time_machine


def speed_up(start: float, speed: float) -> None:
    """Speed this process's clock up.

    :param start: Real time from which on it goes faster, in seconds since 1970.
    :param speed: How many times as fast.
    """
    real_time_ns, real_sleep = time.time_ns, time.sleep
    origin = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.monotonic_ns()
    start_ns = int(start * 1e9)

    def sped_up_ns() -> int:
        elapsed = origin + time.monotonic_ns() - start_ns
        return start_ns + int(elapsed * speed)

    traveller = time_machine.travel(real_time_ns() / 1e9).start()
    traveller.time_ns = sped_up_ns
    time.sleep = lambda seconds: real_sleep(seconds / speed)


if __name__ == "__main__":
    started_at, faster, module = sys.argv[1:4]
    sys.argv = sys.argv[3:]
    speed_up(float(started_at), float(faster))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
