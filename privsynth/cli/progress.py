"""Progress on stderr: a bar for a person who watches, one plain line a stage for a log."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Lines:
    """One plain line a stage, with the seconds since the start.

    >>> Lines(time.monotonic(), sys.stdout).stage("training", total=600)
    [   0 s] training (600)
    """

    def __init__(self, start: float, stream: TextIO | None = None) -> None:
        self._start = start
        self._stream = stream or sys.stderr

    def stage(self, title: str, total: int | None = None) -> None:
        """Print the title of the stage."""
        steps = f" ({total:,})" if total and total > 1 else ""
        seconds = time.monotonic() - self._start
        self._stream.write(f"[{seconds:4.0f} s] {title}{steps}\n")
        self._stream.flush()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say nothing: a log wants stages, not steps."""

    def say(self, text: str) -> None:
        """Print a line that the steward should read."""
        self._stream.write(f"note: {text}\n")
        self._stream.flush()


class Bars:
    """A bar a stage: what is done, steps, time left, and where the budget stands."""

    def __init__(self, rich: RichProgress) -> None:
        self._rich = rich
        self._task: TaskID | None = None

    def stage(self, title: str, total: int | None = None) -> None:
        """Finish the bar of the last stage and begin one."""
        self.finish()
        self._task = self._rich.add_task(title, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar."""
        if self._task is not None:
            self._rich.advance(self._task, steps)
            if note:
                self._rich.update(self._task, note=note)

    def say(self, text: str) -> None:
        """Print a line that the steward should read, above the bars."""
        self._rich.console.print(f"note: {text}", markup=False, highlight=False)

    def finish(self) -> None:
        """Fill the bar of the stage that has ended."""
        if self._task is not None:
            total = self._rich.tasks[self._task].total or 1
            self._rich.update(self._task, total=total, completed=total)


@contextmanager
def on_stderr() -> Iterator[Lines | Bars]:
    """Progress for the terminal, or for a log where stderr is not one."""
    if not sys.stderr.isatty():
        yield Lines(time.monotonic())
        return
    with _rich() as rich:
        bars = Bars(rich)
        yield bars
        bars.finish()


def _rich() -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=Console(stderr=True),
    )
