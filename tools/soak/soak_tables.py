"""The tables of a run: frames by fault, and the node over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable

from tdnet._util.percentiles import Percentiles
from tools.harness.node_view import FrameCounts
from tools.soak.phase import Phase
from tools.soak.run import RunSample

# Rows of the table over time.
TIME_ROWS = 12
_WIDTH = 150


def wide_console() -> Console:
    """Return a console at least as wide as the tables; a narrower one would wrap them."""
    console = Console()
    console.width = max(console.width, _WIDTH)
    return console


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Attributes:
        title: title of the table.
        columns: headings; the first column has words, the others numbers.
        rows: cells of each row.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> RichTable:
        """Return the table for the console."""
        table = RichTable(title=self.title, title_justify="left")
        for index, name in enumerate(self.columns):
            table.add_column(name, justify="right" if index else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table


def fault_table(phases: Sequence[Phase]) -> TextTable:
    """Return the results of the frames, a row for each fault and one for the sum."""
    names = list(dict.fromkeys(phase.fault for phase in phases))
    groups = [(name, [phase for phase in phases if phase.fault == name]) for name in names]
    return TextTable(
        "Frames by fault",
        (
            *("fault", "times", "sent", "lost", "received", "segmented", "dropped", "refused"),
            *("outputs", "age ms p50, p95", "longest gap s"),
        ),
        (
            *(_fault_row(name, group) for name, group in groups),
            _fault_row("all", phases),
        ),
    )


def _fault_row(name: str, phases: Sequence[Phase]) -> tuple[str, ...]:
    counts = FrameCounts()
    for phase in phases:
        counts += phase.counts
    timed = [phase for phase in phases if phase.stamps_are_now]
    ages = [phase.age for phase in timed if phase.age is not None]
    gaps = [phase.longest_gap for phase in phases if phase.longest_gap is not None]
    whole = name == "all"
    return (
        name,
        str(len(phases)),
        str(sum(phase.sent for phase in phases)),
        str(sum(phase.lost for phase in phases)),
        str(counts.received),
        str(counts.segmented),
        str(counts.dropped),
        str(counts.refused),
        str(sum(phase.outputs for phase in phases)),
        "" if whole else _median(ages),
        f"{max(gaps):.1f}" if gaps else "",
    )


def time_table(samples: Sequence[RunSample]) -> TextTable:
    """Return the state of the node over time, in equal parts of the run."""
    if not samples:
        return TextTable("The node over time", ("minutes",), ())
    end = samples[-1].seconds
    rows = []
    for index in range(TIME_ROWS):
        low, high = end * index / TIME_ROWS, end * (index + 1) / TIME_ROWS
        part = [s for s in samples if low < s.seconds <= high]
        if part:
            rows.append(_time_row(low, high, part))
    return TextTable(
        "The node over time",
        (
            *("minutes", "own MiB", "at most", "shared MiB", "device MiB"),
            *("threads", "files", "CPU"),
            *("outputs/s", "age ms p50, p95", "sent", "segmented", "dropped", "refused"),
        ),
        tuple(rows),
    )


def _time_row(low: float, high: float, part: Sequence[RunSample]) -> tuple[str, ...]:
    ages = [s.age for s in part if s.age is not None and s.stamps_are_now]
    device = [s.device_mib for s in part if s.device_mib is not None]
    last = part[-1]
    return (
        f"{low / 60:.3g}-{high / 60:.3g}",
        f"{np.median([s.usage.own_mib for s in part]):.0f}",
        f"{max(s.usage.own_mib for s in part):.0f}",
        f"{np.median([s.usage.shared_mib for s in part]):.0f}",
        f"{np.median(device):.0f}" if device else "-",
        f"{np.median([s.usage.threads for s in part]):.0f}",
        f"{np.median([s.usage.files for s in part]):.0f}",
        f"{np.mean([s.cpu for s in part]):.2f}",
        f"{np.mean([s.rate for s in part]):.1f}",
        _median(ages),
        str(last.sent),
        str(last.counts.segmented),
        str(last.counts.dropped),
        str(last.counts.refused),
    )


def _median(ages: Sequence[Percentiles]) -> str:
    """Return the median of several medians and 95th percentiles; empty without values."""
    if not ages:
        return ""
    return (
        f"{np.median([age.p50 for age in ages]):.0f}, {np.median([age.p95 for age in ages]):.0f}"
    )
