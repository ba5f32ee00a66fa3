"""Tables of an evaluation: a measure in each column, with a value of every run in each cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NOTHING = "\N{EN DASH}"
"""Text of a missing value."""


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


def milliseconds(value: float) -> str:
    """Format a time with about three digits."""
    return f"{digits(value)} ms"


def digits(value: float) -> str:
    """Format a number with about three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def whole(value: float) -> str:
    """Format a whole number with thousands separators."""
    return f"{value:,.0f}"


def number_of(count: int, noun: str) -> str:
    """Format a number of things, such as ``2 frames``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


SCORE = Measure(percent, lambda points: f"{100 * points:.1f} points", better=1)
GAIN = Measure(
    lambda points: f"{100 * points:+.1f} points".replace("-", "\N{MINUS SIGN}"),
    lambda points: f"{100 * points:.1f} points",
    better=1,
)
SHARE = Measure(percent, lambda points: f"{100 * points:.1f} points", better=0)
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
    share: float | None
    best: bool
    change: str


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: heading of the row.
        groups: a group for each measure, with a cell for each run.
        color: CSS colour of the swatch before the name; empty: no swatch.
        note: explanation of the name.
    """

    name: str
    groups: tuple[tuple[Cell, ...], ...]
    color: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows, and the titles of the measures."""

    titles: tuple[str, ...]
    rows: tuple[Row, ...]


def make_cells(
    values: Sequence[float | None], measure: Measure, *, drawn: bool = False
) -> tuple[Cell, ...]:
    """Format the values of one measure.

    Args:
        values: value of each run; None and NaN are missing.
        measure: the measure.
        drawn: whether to draw a bar; values are shares from 0 to 1.
    """
    known = [value for value in values if value is not None and not math.isnan(value)]
    differ = len({measure.written(value) for value in known}) > 1
    best = max((measure.better * value for value in known), default=0.0)
    cells = []
    for index, value in enumerate(values):
        if value is None or math.isnan(value):
            cells.append(Cell(NOTHING, None, False, ""))
            continue
        first = values[0]
        change = "" if index == 0 or first is None else _change(value, first, measure)
        cells.append(
            Cell(
                text=measure.written(value),
                share=value if drawn else None,
                best=bool(measure.better) and differ and measure.better * value == best,
                change=change,
            )
        )
    return tuple(cells)


def _change(value: float, first: float, measure: Measure) -> str:
    difference = value - first
    if math.isnan(difference) or measure.changed(abs(difference)) == measure.changed(0.0):
        return ""
    sign = "+" if difference > 0 else "\N{MINUS SIGN}"
    return f"{sign}{measure.changed(abs(difference))}"
