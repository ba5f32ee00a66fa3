"""The page of a benchmark: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from tdnet_offline.benchmark.benchmark_result import Benchmark, BenchmarkRun
from tdnet_offline.benchmark.benchmark_tables import (
    accuracy_table,
    measures_table,
    operators_table,
    run_groups,
    setting_text,
    summary_table,
)
from tdnet_offline.report.figures import (
    AFTER,
    Line,
    latency_figure,
    run_color,
    shown,
    stage_color,
    stage_figure,
)
from tdnet_offline.report.page import write_page

FLOOR, FLOOR_COLOR = "arithmetic floor", "#d1603d"


def write_benchmark_page(benchmark: Benchmark, path: Path) -> None:
    """Write a benchmark as a page.

    Raises:
        OSError: it cannot be written; an existing file stays as it was.
    """
    write_page(
        path,
        Path(__file__).parent / "page.html",
        title="Benchmark",
        subtitle=benchmark.hardware,
        summary=summary_table(benchmark.runs),
        groups=[
            {
                "title": title,
                "note": note,
                "colors": [(run.setting.numbers, run_color(i)) for i, run in enumerate(runs)],
                "legend": _legend(runs),
                "stages": _stages(runs),
                "latencies": _latencies(runs),
                "table": measures_table(runs),
            }
            for title, note, runs in run_groups(benchmark)
        ],
        accuracy=accuracy_table(benchmark.accuracy),
        profiles=[
            (setting_text(run.setting), operators_table(run))
            for run in benchmark.runs
            if run.operators
        ],
        failed=[(setting_text(failure.setting), failure.reason) for failure in benchmark.failed],
        setting={
            "hardware": benchmark.hardware,
            **benchmark.versions,
            "commit": benchmark.git_commit or "none",
            "started": benchmark.started,
            "frames": benchmark.frames,
        },
    )


def _legend(runs: Sequence[BenchmarkRun]) -> list[tuple[str, str]]:
    stages = dict.fromkeys(stage for run in runs for stage in (*run.stages_ms, AFTER))
    return [*((stage, stage_color(stage)) for stage in stages), (FLOOR, FLOOR_COLOR)]


def _stages(runs: Sequence[BenchmarkRun]) -> go.Figure:
    """Draw the median of each stage, the time after the labels, and the arithmetic floor."""
    bars = []
    for run in runs:
        stages = {name: found.p50 for name, found in run.stages_ms.items()}
        bars.append((run.setting.numbers, stages | {AFTER: run.after_ms.p50}))
    figure = stage_figure(bars)
    figure.add_scatter(
        x=[run.floor_ms for run in runs],
        y=shown([run.setting.numbers for run in runs]),
        mode="markers",
        name=FLOOR,
        marker={"symbol": "line-ns", "size": 26, "line": {"width": 3, "color": FLOOR_COLOR}},
        hovertemplate="%{x:.2f} ms at the peak of the device<extra></extra>",
    )
    return figure


def _latencies(runs: Sequence[BenchmarkRun]) -> go.Figure:
    """Draw the time of every frame, a line for each run."""
    lines = [
        Line(run.setting.numbers, run_color(i), range(len(run.latencies_ms)), run.latencies_ms)
        for i, run in enumerate(runs)
    ]
    return latency_figure(lines, "frame")
