"""What is left of a run: soak.json, tables in Markdown and on the console, a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from tools.soak.chart import chart
from tools.soak.checks import memory_growth
from tools.soak.phase import Phase
from tools.soak.run import RunRecord
from tools.soak.tables import fault_table, time_table


@dataclass(frozen=True)
class Report:
    """A run and what is to be said of it.

    Attributes:
        minutes: that it was to last.
        rate: of the camera, frames a second.
        record: what was seen.
        problems: what does not hold, a line each.
        system: hardware and versions.
    """

    minutes: float
    rate: float
    record: RunRecord
    problems: list[str]
    system: Mapping[str, str]


def write_report(output: Path, report: Report, console: Console) -> None:
    """Write everything into a folder, and what matters on the console."""
    growth = memory_growth(report.record.samples)
    content = {
        "minutes": report.minutes,
        "rate": report.rate,
        "system": dict(report.system),
        "problems": report.problems,
        "memory_growth_mib": growth,
        **asdict(report.record),
    }
    (output / "soak.json").write_text(json.dumps(content, indent=1) + "\n")
    (output / "soak.svg").write_text(chart(report.record.samples))
    tables = (fault_table(report.record.phases), time_table(report.record.samples))
    lines = [f"- {name}: {value}" for name, value in report.system.items()]
    for table in tables:
        lines += ["", f"## {table.title}", "", table.markdown()]
    grown = "not judged, the run was too short" if growth is None else f"{growth:+.1f} MiB"
    said = [f"memory from the first quarter to the last: {grown}"]
    said += [f"**{text}**" for text in report.problems] or ["every check holds"]
    lines += ["", *(f"- {text}" for text in said)]
    (output / "soak.md").write_text("\n".join(lines) + "\n")
    for table in tables:
        console.print(table.rich())
    console.print(f"soak: memory from the first quarter to the last: {grown}", highlight=False)
    for text in report.problems:
        console.print(f"[red]soak: {text}", highlight=False)
    verdict = f"{len(report.problems)} problems" if report.problems else "every check holds"
    console.print(f"soak: {verdict}; {output / 'soak.md'}, {output / 'soak.svg'}")


def say(console: Console, phase: Phase) -> None:
    """Write a line on a phase that has ended, and one for each problem."""
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
