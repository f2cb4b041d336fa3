"""A line of the doctor's report, and an ear for what other code logs while it is examined."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A line of the report.

    :param found: What was found.
    :param problem: What is wrong with it and how to mend it; empty if nothing is.
    """

    subject: str
    found: Any
    problem: str = ""


@contextmanager
def listening() -> Iterator[list[str]]:
    """Keep to itself what is logged and warned of, tracebacks too.

    freqtrade logs why it cannot read or import a file, and goes on without it.

    :return: The messages of level WARNING and above, oldest first; it fills as they come.
    """
    heard: list[str] = []

    class _Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers[:] = [_Ear(logging.WARNING)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield heard
    finally:
        root.handlers[:] = handlers
