"""Tables for people, in the looks of freqtrade's own."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

# What is not a terminal has no width: rich would squeeze the table into 80 columns.
_FILE_WIDTH = 160


def print_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table whose first column is never cut.

    :param title: What the table shows.
    :param headers: Names of the columns.
    :param rows: A value for each column, printed as it is.
    """
    table = Table(title=title)
    for position, header in enumerate(headers):
        table.add_column(header, justify="right", no_wrap=position == 0)
    for row in rows:
        table.add_row(*map(str, row))
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)
