"""The page of a benchmark: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from tdnet_offline.benchmark.benchmark_result import Benchmark, BenchmarkRun
from tdnet_offline.benchmark.benchmark_tables import (
    ACCURACY_TITLES,
    Rows,
    accuracy_texts,
    cost_rows,
    setting_text,
    size_text,
    small,
    speed_rows,
    stage_rows,
    weights_text,
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
from tdnet_offline.report.table import digits, number_of

FLOOR, FLOOR_COLOR = "arithmetic floor", "#d1603d"


@dataclass(frozen=True)
class RunGroup:
    """The runs of one network at one size on one device, which differ in precision.

    Attributes:
        title: network, size and device.
        note: further facts.
        precisions: name and colour of each run.
        legend: name and colour of each part of the bars.
        stages: median of each stage.
        latencies: time of every frame.
        tables: title and rows of each table.
    """

    title: str
    note: str
    precisions: list[tuple[str, str]]
    legend: list[tuple[str, str]]
    stages: go.Figure
    latencies: go.Figure
    tables: list[tuple[str, Rows]]


def write_benchmark_page(benchmark: Benchmark, path: Path) -> None:
    """Write a benchmark as a page.

    Args:
        benchmark: the results.
        path: the HTML file.

    Raises:
        OSError: it cannot be written; an existing file stays as it was.
    """
    write_page(
        path,
        Path(__file__).parent / "page.html",
        title="Benchmark",
        subtitle=benchmark.hardware,
        summary=[_summary(run) for run in benchmark.runs],
        groups=[_group(runs) for runs in _grouped(benchmark)],
        accuracy_titles=ACCURACY_TITLES,
        accuracy=[
            ((row.variant, weights_text(row.weights), row.device, row.numbers), texts)
            for row, texts in ((row, accuracy_texts(row)) for row in benchmark.accuracy)
        ],
        profiles=[
            (setting_text(run.setting), run.operators) for run in benchmark.runs if run.operators
        ],
        failed=[(setting_text(failure.setting), failure.reason) for failure in benchmark.failed],
        setting=_setting_rows(benchmark),
    )


def _grouped(benchmark: Benchmark) -> list[list[BenchmarkRun]]:
    groups: dict[tuple[object, ...], list[BenchmarkRun]] = {}
    for run in benchmark.runs:
        one = run.setting
        key = one.variant, one.input_size, one.camera_size, one.device
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _summary(run: BenchmarkRun) -> tuple[str, str, tuple[str, ...]]:
    setting = run.setting
    return (
        f"{setting.variant}, {setting.numbers}",
        f"{size_text(setting.input_size)} on {setting.device}",
        (
            f"{small(run.frame_to_labels_ms.p50)} ms",
            digits(run.frames_per_second),
            digits(run.times_floor),
        ),
    )


def _group(runs: list[BenchmarkRun]) -> RunGroup:
    setting = runs[0].setting
    names = [run.setting.numbers for run in runs]
    stages = dict.fromkeys(stage for run in runs for stage in run.stages_ms)
    weights = weights_text(setting.weights)
    facts = (
        f"camera {size_text(setting.camera_size)}",
        f"{digits(runs[0].multiply_adds / 1e9)} GMAC a frame",
        f"{number_of(runs[0].threads, 'thread')} of PyTorch",
        *([weights] if weights else []),
    )
    return RunGroup(
        title=f"{setting.variant} at {size_text(setting.input_size)} on {setting.device}",
        note=" · ".join(facts),
        precisions=[(name, run_color(i)) for i, name in enumerate(names)],
        legend=[
            *((stage, stage_color(stage)) for stage in stages),
            (AFTER, stage_color(AFTER)),
            (FLOOR, FLOOR_COLOR),
        ],
        stages=_stages(runs),
        latencies=_latencies(runs),
        tables=[
            ("p50 / p95 / p99", [*speed_rows(runs), *stage_rows(runs)]),
            ("start, memory and counts", cost_rows(runs)),
        ],
    )


def _setting_rows(benchmark: Benchmark) -> list[tuple[str, str]]:
    return [
        ("hardware", benchmark.hardware),
        *benchmark.versions.items(),
        ("commit", benchmark.git_commit or "none"),
        ("started", benchmark.started),
        ("frames", benchmark.frames),
    ]


def _stages(runs: Sequence[BenchmarkRun]) -> go.Figure:
    """Draw the median of each stage, the time after the labels, and the arithmetic floor."""
    figure = stage_figure(
        [
            (
                run.setting.numbers,
                {name: found.p50 for name, found in run.stages_ms.items()}
                | {AFTER: run.after_ms.p50},
            )
            for run in runs
        ]
    )
    figure.add_trace(
        go.Scatter(
            x=[run.floor_ms for run in runs],
            y=shown([run.setting.numbers for run in runs]),
            mode="markers",
            name=FLOOR,
            marker={
                "symbol": "line-ns",
                "size": 26,
                "line": {"width": 3, "color": FLOOR_COLOR},
            },
            hovertemplate="%{x:.2f} ms at the peak of the device<extra></extra>",
        )
    )
    return figure


def _latencies(runs: Sequence[BenchmarkRun]) -> go.Figure:
    """Draw the time of every frame, a line for each run."""
    lines = [
        Line(run.setting.numbers, run_color(i), range(len(run.latencies_ms)), run.latencies_ms)
        for i, run in enumerate(runs)
    ]
    return latency_figure(lines, "frame")
