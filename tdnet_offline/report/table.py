"""A table of a report: things down, measures across, and in each cell a value of every run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NOTHING = "\N{EN DASH}"
"""Where there is no value."""


@dataclass(frozen=True)
class Measure:
    """How values of one kind are written and judged.

    Attributes:
        written: gives the text of a value.
        changed: gives the text of a difference, without its sign.
        better: 1 the more the better, -1 the less the better, 0 neither.
    """

    written: Callable[[float], str]
    changed: Callable[[float], str]
    better: int


def percent(share: float) -> str:
    """Write a share of 0 to 1 with one decimal."""
    return f"{share:.1%}"


def milliseconds(value: float) -> str:
    """Write a time to about three digits."""
    return f"{digits(value)} ms"


def digits(value: float) -> str:
    """Write a number to about three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def whole(value: float) -> str:
    """Write a whole number with its thousands apart."""
    return f"{value:,.0f}"


def number_of(count: int, noun: str) -> str:
    """Write how many there are of something, such as ``2 frames``."""
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
        text: as it is read.
        share: length of its bar, 0 to 1; None: no bar.
        best: whether no other run does better while one does worse.
        change: against the first run, with its sign; empty for the first, and where they agree.
    """

    text: str
    share: float | None
    best: bool
    change: str


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: at its head.
        groups: a group of cells for each measure, in each a cell for every run.
        color: of the swatch before the name, in CSS; empty: none.
        note: what the name means.
    """

    name: str
    groups: tuple[tuple[Cell, ...], ...]
    color: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under the titles of their measures."""

    titles: tuple[str, ...]
    rows: tuple[Row, ...]


def make_cells(
    values: Sequence[float | None], measure: Measure, *, drawn: bool = False
) -> tuple[Cell, ...]:
    """Write what the runs have of one measure.

    Args:
        values: of the runs; None and NaN are missing.
        measure: what they are.
        drawn: whether they are shares from 0 to 1 that get a bar.
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
