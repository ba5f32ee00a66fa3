"""The results of a run: soak.json, soak.html, and tables on the console."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tdnet._util.percentiles import Percentiles
from tdnet_offline.report.page import write_page
from tdnet_offline.report.table import number_of
from tools.harness.command_line import number_table, rows_of
from tools.harness.node_observer import FrameCounts
from tools.harness.system_info import system_info
from tools.soak.chart import SHADES, timeline_figure
from tools.soak.checks import failed_checks, memory_growth
from tools.soak.phase import Phase
from tools.soak.run import RunRecord, RunSample

# Rows of the table over time.
TIME_ROWS = 12


def write_report(
    output: Path, minutes: float, rate: float, record: RunRecord, console: Console
) -> list[str]:
    """Write ``soak.json`` and ``soak.html`` into a folder, and the tables to the console.

    Args:
        output: the folder.
        minutes: planned length.
        rate: frames per second of the camera.
        record: phases and samples.
        console: takes the tables.

    Returns:
        The failed checks, a line each.
    """
    problems = failed_checks(record)
    growth = memory_growth(record.samples)
    system = system_info()
    content = {
        "minutes": minutes,
        "rate": rate,
        "system": system,
        "memory_growth_mib": growth,
        **asdict(record),
        "problems": problems,
    }
    (output / "soak.json").write_text(json.dumps(content, indent=1) + "\n")
    tables = fault_table(record.phases), time_table(record.samples)
    grown = "too short to judge" if growth is None else f"{growth:+.1f} MiB"
    result = number_of(len(problems), "problem") if problems else "every check holds"
    phases = record.phases
    write_page(
        output / "soak.html",
        Path(__file__).parent / "page.html",
        title=f"Soak: {minutes:g} minutes of faults",
        subtitle=f"Camera at {rate:g} frames per second, on {system['Hardware']}",
        tiles=[
            (result, "every frame and output is checked"),
            (f"{sum(phase.sent for phase in phases):,}", "frames sent"),
            (f"{sum(phase.counts.segmented for phase in phases):,}", "frames segmented"),
            (
                f"{sum(phase.checked for phase in phases):,}",
                "label images show their own frame, of "
                f"{sum(phase.outputs for phase in phases):,}",
            ),
            (grown, "memory, first to last quarter"),
        ],
        problems=problems,
        timeline=timeline_figure(record.samples),
        shades=list(SHADES.items()),
        tables=[(table, rows_of(table)) for table in tables],
        system=system,
    )
    console.print(*tables)
    console.print(f"soak: memory from the first quarter to the last: {grown}")
    for text in problems:
        console.print(f"[red]soak: {text}")
    console.print(f"soak: {result}; open {output / 'soak.html'}")
    return problems


def fault_table(phases: Sequence[Phase]) -> Table:
    """Return the results of the frames, a row for each fault and one for the sum."""
    names = dict.fromkeys(phase.fault for phase in phases)
    groups = {name: [phase for phase in phases if phase.fault == name] for name in names}
    return number_table(
        "Frames by fault",
        (
            *("fault", "times", "sent", "lost", "received", "segmented", "dropped", "refused"),
            *("outputs", "age ms p50, p95", "longest gap s"),
        ),
        [_fault_row(name, group) for name, group in {**groups, "all": phases}.items()],
    )


def _fault_row(name: str, phases: Sequence[Phase]) -> tuple[str, ...]:
    counts = sum((phase.counts for phase in phases), FrameCounts())
    gaps = [phase.longest_gap for phase in phases if phase.longest_gap is not None]
    return (
        name,
        str(len(phases)),
        str(sum(phase.sent for phase in phases)),
        str(sum(phase.lost for phase in phases)),
        *map(str, astuple(counts)),
        str(sum(phase.outputs for phase in phases)),
        "" if name == "all" else _median([phase.age for phase in phases]),
        f"{max(gaps):.1f}" if gaps else "",
    )


def time_table(samples: Sequence[RunSample]) -> Table:
    """Return the state of the node over time, in equal parts of the run."""
    end = samples[-1].seconds if samples else 0.0
    rows = []
    for low, high in pairwise(np.linspace(0.0, end, TIME_ROWS + 1)):
        part = [sample for sample in samples if low < sample.seconds <= high]
        if part:
            rows.append((f"{low / 60:.3g}-{high / 60:.3g}", *_time_row(part)))
    return number_table(
        "The node over time",
        (
            *("minutes", "own MiB", "at most", "shared MiB", "device MiB", "threads", "files"),
            *("CPU", "outputs/s", "age ms p50, p95", "sent", "segmented", "dropped", "refused"),
        ),
        rows,
    )


def _time_row(part: Sequence[RunSample]) -> tuple[str, ...]:
    usages = [sample.usage for sample in part]
    device = [sample.device_mib for sample in part if sample.device_mib is not None]
    last = part[-1]
    return (
        f"{np.median([usage.own_mib for usage in usages]):.0f}",
        f"{max(usage.own_mib for usage in usages):.0f}",
        f"{np.median([usage.shared_mib for usage in usages]):.0f}",
        f"{np.median(device):.0f}" if device else "-",
        f"{np.median([usage.threads for usage in usages]):.0f}",
        f"{np.median([usage.files for usage in usages]):.0f}",
        f"{np.mean([sample.cpu for sample in part]):.2f}",
        f"{np.mean([sample.rate for sample in part]):.1f}",
        _median([sample.age for sample in part]),
        *map(str, (last.sent, *astuple(last.counts)[1:])),
    )


def _median(ages: Sequence[Percentiles | None]) -> str:
    """Return the median of several medians and 95th percentiles; empty without values."""
    pairs = [(age.p50, age.p95) for age in ages if age is not None]
    return "{:.0f}, {:.0f}".format(*np.median(pairs, axis=0)) if pairs else ""
