"""The tables of all pages, which a terminal can print too, and how their numbers are formatted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from tdnet.errors import one_line

NOTHING = "\N{EN DASH}"
"""Text of a missing value."""
_MAX_NAME = 60
"""Characters of a name on a terminal."""


@dataclass(frozen=True)
class Measure:
    """How values of one kind are formatted and compared.

    Attributes:
        written: formats a value.
        changed: formats a difference, without its sign.
        better: 1 if more is better, -1 if less is better, 0 if neither.
    """

    written: Callable[[float], str]
    changed: Callable[[float], str]
    better: int


def percent(share: float) -> str:
    """Format a share of 0 to 1 as percent with one decimal."""
    return f"{share:.1%}"


def points(difference: float) -> str:
    """Format a difference of two shares in points, which are 0.01 each."""
    return f"{100 * difference:.1f} points"


def digits(value: float) -> str:
    """Format a number with about three digits."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f}"


def milliseconds(value: float) -> str:
    """Format a time with about three digits."""
    return f"{digits(value)} ms"


def whole(value: float) -> str:
    """Format a whole number with thousands separators."""
    return f"{value:,.0f}"


def number_of(count: int, noun: str) -> str:
    """Format a number of things, such as ``2 frames``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size_text(size: tuple[int, int]) -> str:
    """Format a height and a width."""
    return "{} x {}".format(*size)


SCORE = Measure(percent, points, better=1)
GAIN = Measure(
    lambda gain: f"{100 * gain:+.1f} points".replace("-", "\N{MINUS SIGN}"), points, better=1
)
SHARE = Measure(percent, points, better=0)
TIME = Measure(milliseconds, milliseconds, better=-1)
BARE_TIME = Measure(digits, digits, better=-1)
NUMBER = Measure(whole, whole, better=0)


@dataclass(frozen=True)
class Cell:
    """A value of one run.

    Attributes:
        text: formatted value.
        share: length of its bar, 0 to 1; None: no bar.
        best: whether no run is better and one is worse.
        change: difference from the first run, with sign; empty for the first, or if equal.
    """

    text: str
    share: float | None = None
    best: bool = False
    change: str = ""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: heading of the row.
        groups: cells of each column.
        color: CSS colour of the swatch before the name; empty: no swatch.
        note: explanation of the name.
    """

    name: str
    groups: tuple[tuple[Cell, ...], ...]
    color: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        titles: headings of the columns.
        rows: its rows.
        head: heading of the column of names.
    """

    titles: tuple[str, ...]
    rows: tuple[Row, ...]
    head: str = ""

    def rich(self) -> RichTable:
        """Return the table for a terminal, which does not act upon the names in it."""
        table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column(Text(one_line(self.head, _MAX_NAME)))
        for title in self.titles:
            table.add_column(Text(one_line(title, _MAX_NAME)), justify="right")
        for row in self.rows:
            name = " ".join(part for part in (row.name, row.note) if part)
            cells = ("\n".join(cell.text for cell in group) for group in row.groups)
            table.add_row(Text(one_line(name, _MAX_NAME)), *map(Text, cells))
        return table


def text_row(name: str, texts: Iterable[str], note: str = "") -> Row:
    """Return a row with one text in each column."""
    return Row(name, tuple((Cell(text),) for text in texts), note=note)


def make_cells(
    values: Sequence[float | None], measure: Measure, *, drawn: bool = False
) -> tuple[Cell, ...]:
    """Format the values of one measure.

    Args:
        values: value of each run; None and NaN are missing.
        measure: the measure.
        drawn: whether to draw a bar; values are shares from 0 to 1.
    """
    numbers = [math.nan if value is None else value for value in values]
    known = [value for value in numbers if not math.isnan(value)]
    differ = len({measure.written(value) for value in known}) > 1
    best = max((measure.better * value for value in known), default=0.0)
    return tuple(
        Cell(NOTHING)
        if math.isnan(value)
        else Cell(
            text=measure.written(value),
            share=value if drawn else None,
            best=bool(measure.better) and differ and measure.better * value == best,
            change=_change(value - numbers[0], measure),
        )
        for value in numbers
    )


def _change(difference: float, measure: Measure) -> str:
    if math.isnan(difference) or measure.changed(abs(difference)) == measure.changed(0.0):
        return ""
    sign = "+" if difference > 0 else "\N{MINUS SIGN}"
    return f"{sign}{measure.changed(abs(difference))}"
