"""What a check found."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A line of the report.

    :param subject: What was looked at.
    :param found: What was found.
    :param problem: What is wrong with it and how to mend it; empty if nothing is.
    """

    subject: str
    found: Any
    problem: str = ""
