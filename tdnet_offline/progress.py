"""Progress of a command on the terminal, and lines about the frames that cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tdnet.errors import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from tdnet_offline.frames import RefusedFrame

MAX_REPORTED = 20
"""Refused frames that are named; further ones are only counted."""


class Progress:
    """A progress bar on stderr.

    Attributes:
        refused: number of refused frames.
    """

    def __init__(self, bar: Bar, task: TaskID) -> None:
        self.refused = 0
        self._bar, self._task = bar, task

    @property
    def done(self) -> int:
        """Number of steps so far."""
        return int(self._bar.tasks[self._task].completed)

    def advance(self) -> None:
        """Move on by one step."""
        self._bar.advance(self._task)

    def refuse(self, frame: RefusedFrame) -> None:
        """Count a frame that cannot be used, and report the first ones with the reason."""
        self.refused += 1
        if self.refused <= MAX_REPORTED:
            self._print(f"tdnet: refused {frame.name}: {frame.reason}")
        if self.refused == MAX_REPORTED:
            self._print("tdnet: further refused frames are only counted")

    def _print(self, text: str) -> None:
        line = one_line(text)
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def show_progress(
    description: str, total: int | None, *, visible: bool = True
) -> Iterator[Progress]:
    """Show the progress of a block, if stderr is a terminal.

    Args:
        description: of the work.
        total: number of steps; None if unknown.
        visible: False hides the bar, but not the lines about refused frames.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # Not `console.is_terminal`: FORCE_COLOR sets it for a file, too.
    with Bar(*columns, console=console, disable=not (visible and sys.stderr.isatty())) as bar:
        yield Progress(bar, bar.add_task(description, total=total))


@contextmanager
def show_steps() -> Iterator[Callable[[str], None]]:
    """Show the current step of a block, if stderr is a terminal; yield a function that sets it."""
    from rich.console import Console
    from rich.text import Text

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(Text(text))
