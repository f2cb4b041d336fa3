"""Timing of contenders in turns, so that whatever else the machine does meets all of them."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes, until the device has finished it."""
    _synchronise()
    begin = time.perf_counter()
    run()
    _synchronise()
    return time.perf_counter() - begin


def in_turns(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time each contender once a round, after a round to warm up.

    :param contenders: What to call, by name.
    :param rounds: Rounds to time.
    :return: Seconds of each round, by name.
    """
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            seconds[name].append(timed(run))
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median over the rounds of our time in units of theirs."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
