"""The command line of a tool: its options, its exit status, errors in one line, and tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from tdnet.errors import TdnetError, one_line

FAILED, INTERRUPTED = 2, 130
"""Exit status without a result, and after Ctrl-C."""
_WIDTH = 250


class ToolParser(argparse.ArgumentParser):
    """The options of a tool, ``--output`` among them.

    Args:
        tool: name of the module below `tools`.
        description: what the tool does.
    """

    def __init__(self, tool: str, description: str) -> None:
        super().__init__(prog=f"python -m tools.{tool}", description=description)
        self._name = tool.rpartition(".")[2].replace("_", "-")
        self.add_argument(
            "--output", metavar="DIR", type=Path, required=True, help="folder for the results"
        )

    def error(self, message: str) -> NoReturn:
        """Report a wrong command line in one line, without the usage."""
        self.exit(FAILED, f"{self._name}: {one_line(message)}\n")

    def run(
        self, action: Callable[[argparse.Namespace], int], arguments: Sequence[str] | None
    ) -> int:
        """Run a tool, and report an error in one line.

        Args:
            action: runs the tool with its options; returns the exit status.
            arguments: command line without the program's name; None: of the process.

        Returns:
            Exit status: that of the action, `FAILED` or `INTERRUPTED`.
        """
        args = self.parse_args(arguments)
        status = FAILED
        try:
            return action(args)
        except KeyboardInterrupt:
            text, status = "interrupted", INTERRUPTED
        except TdnetError as error:
            text = str(error)
        except OSError as error:
            text = f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}"
        print(f"{self._name}: {one_line(text)}", file=sys.stderr)
        return status


def wide_console() -> Console:
    """Return a console at least as wide as the tables; a narrower one would wrap them."""
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    return console


def number_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table; its first column has words, the others numbers."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def rows_of(table: Table) -> list[tuple[str, ...]]:
    """Return the cells of a `number_table`, row by row."""
    return [tuple(map(str, row)) for row in zip(*(c.cells for c in table.columns), strict=True)]
