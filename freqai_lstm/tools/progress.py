"""A progress bar over work of unequal size, with a remaining time that knows how unequal it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from freqtrade.loggers import error_console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@dataclass(frozen=True)
class WorkBar:
    """Says how many things are done, and how long the rest will take."""

    progress: Progress
    task: TaskID

    def advance(self, things: int, work: float) -> None:
        """Note that things are done.

        :param work: How much of the whole work they were.
        """
        done = self.progress.tasks[self.task].fields["done"] + things
        self.progress.update(self.task, advance=work, done=done)


@contextmanager
def work_bar(what: str, things: int, work: float) -> Iterator[WorkBar]:
    """Show a bar on the terminal while the block runs.

    :param things: How many there are.
    :param work: All of it, in any unit.
    """
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[done]}/{task.fields[things]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # The speed of the last ten minutes: a single thing may take one.
    with Progress(
        *columns, console=error_console, expand=True, speed_estimate_period=600
    ) as progress:
        yield WorkBar(progress, progress.add_task(what, total=work, things=things, done=0))
