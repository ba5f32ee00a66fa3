"""The results of a run: soak.json, soak.html, and tables on the console."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from tdnet_offline.report.page import write_page
from tdnet_offline.report.table import number_of
from tools.soak.chart import SHADES, timeline_figure
from tools.soak.checks import memory_growth
from tools.soak.phase import Phase
from tools.soak.run import RunRecord
from tools.soak.soak_tables import fault_table, time_table


@dataclass(frozen=True)
class SoakReport:
    """A run and its result.

    Attributes:
        minutes: planned length.
        rate: frames per second of the camera.
        record: phases and samples.
        problems: failed checks, a line each.
        system: hardware and versions.
    """

    minutes: float
    rate: float
    record: RunRecord
    problems: list[str]
    system: Mapping[str, str]


def write_report(output: Path, report: SoakReport, console: Console) -> None:
    """Write ``soak.json`` and ``soak.html`` into a folder, and the tables to the console."""
    record = report.record
    growth = memory_growth(record.samples)
    content = {
        "minutes": report.minutes,
        "rate": report.rate,
        "system": dict(report.system),
        "problems": report.problems,
        "memory_growth_mib": growth,
        **asdict(record),
    }
    (output / "soak.json").write_text(json.dumps(content, indent=1) + "\n")
    tables = fault_table(record.phases), time_table(record.samples)
    grown = "not judged: the run was too short" if growth is None else f"{growth:+.1f} MiB"
    write_page(
        output / "soak.html",
        Path(__file__).parent / "page.html",
        title=f"Soak: {report.minutes:g} minutes of faults",
        subtitle=f"Camera at {report.rate:g} frames per second, on {report.system['Processor']}",
        tiles=_tiles(report, growth),
        problems=report.problems,
        timeline=timeline_figure(record.samples),
        shades=list(SHADES.items()),
        tables=tables,
        system=report.system,
    )
    for table in tables:
        console.print(table.rich())
    console.print(f"soak: memory from the first quarter to the last: {grown}", highlight=False)
    for text in report.problems:
        console.print(f"[red]soak: {text}", highlight=False)
    console.print(f"soak: {_result(report)}; open {output / 'soak.html'}")


def say(console: Console, phase: Phase) -> None:
    """Write a line about a phase that has ended, and one for each problem."""
    counts = phase.counts
    console.print(
        f"{phase.started / 60:5.1f} min  {phase.fault:18} {phase.sent:5} sent: "
        f"{counts.segmented} segmented, {counts.dropped} dropped, {counts.refused} refused, "
        f"{phase.lost} lost{''.join(f'; {note}' for note in phase.notes)}",
        highlight=False,
        soft_wrap=True,
    )
    for text in phase.problems:
        console.print(f"[red]           {text}", highlight=False, soft_wrap=True)


def _tiles(report: SoakReport, growth: float | None) -> list[tuple[str, str]]:
    phases = report.record.phases
    outputs = sum(phase.outputs for phase in phases)
    return [
        (_result(report), "every frame and output is checked"),
        (f"{sum(phase.sent for phase in phases):,}", "frames sent"),
        (f"{sum(phase.counts.segmented for phase in phases):,}", "frames segmented"),
        (
            f"{sum(phase.checked for phase in phases):,}",
            f"label images show their own frame, of {outputs:,}",
        ),
        (
            "not judged" if growth is None else f"{growth:+.1f} MiB",
            "memory, first to last quarter",
        ),
    ]


def _result(report: SoakReport) -> str:
    count = len(report.problems)
    return number_of(count, "problem") if count else "every check holds"
