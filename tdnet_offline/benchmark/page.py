"""The page of a benchmark: one HTML file that needs nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tdnet import __version__
from tdnet_offline.benchmark.figures import (
    AFTER,
    AFTER_COLOR,
    FLOOR,
    FLOOR_COLOR,
    OTHER_COLOR,
    STAGE_COLORS,
    latency_figure,
    run_colors,
    stage_figure,
)
from tdnet_offline.benchmark.measures import (
    ACCURACY_TITLES,
    Rows,
    accuracy_texts,
    cost_rows,
    size_text,
    small,
    speed_rows,
    stage_rows,
    weights_text,
)
from tdnet_offline.benchmark.result import Benchmark, Run, Setting
from tdnet_offline.report.self_contained import render
from tdnet_offline.report.table import digits, number_of
from tdnet_offline.writers.atomic_files import replacing


@dataclass(frozen=True)
class Group:
    """The runs of one network at one size on one device, which differ in precision.

    Attributes:
        title: what they have in common.
        note: the rest of it.
        precisions: name and colour of each run.
        legend: name and colour of each part of the bars.
        stages: plotly's JSON.
        latencies: plotly's JSON.
        tables: title and rows.
    """

    title: str
    note: str
    precisions: list[tuple[str, str]]
    legend: list[tuple[str, str]]
    stages: str
    latencies: str
    tables: list[tuple[str, Rows]]


def write_page(benchmark: Benchmark, path: Path) -> None:
    """Write a benchmark as a page.

    Args:
        benchmark: what was measured.
        path: of the HTML file.

    Raises:
        OSError: it cannot be written.
    """
    page = render(
        Path(__file__).parent / "page.html",
        subtitle=benchmark.hardware,
        version=__version__,
        summary=[_summary(run) for run in benchmark.runs],
        groups=[_group(runs) for runs in _grouped(benchmark)],
        accuracy_titles=ACCURACY_TITLES,
        accuracy=[
            ((row.variant, weights_text(row.weights), row.device, row.numbers), texts)
            for row, texts in ((row, accuracy_texts(row)) for row in benchmark.accuracy)
        ],
        profiles=[(_name(run.setting), run.operators) for run in benchmark.runs if run.operators],
        failed=[(_name(failure.setting), failure.reason) for failure in benchmark.failed],
        setting=_setting_rows(benchmark),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def _grouped(benchmark: Benchmark) -> list[list[Run]]:
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in benchmark.runs:
        one = run.setting
        key = one.variant, one.input_size, one.camera_size, one.device
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _summary(run: Run) -> tuple[str, str, tuple[str, ...]]:
    setting = run.setting
    return (
        f"{setting.variant}, {setting.numbers}",
        f"{size_text(setting.input_size)} on {setting.device}",
        (
            f"{small(run.frame_to_labels_ms.p50)} ms",
            digits(run.frames_per_second),
            f"{run.versus.ratio:.2f}",
            digits(run.times_floor),
        ),
    )


def _group(runs: list[Run]) -> Group:
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
    return Group(
        title=f"{setting.variant} at {size_text(setting.input_size)} on {setting.device}",
        note=" · ".join(facts),
        precisions=list(zip(names, run_colors(len(runs)), strict=True)),
        legend=[
            *((stage, STAGE_COLORS.get(stage, OTHER_COLOR)) for stage in stages),
            (AFTER, AFTER_COLOR),
            (FLOOR, FLOOR_COLOR),
        ],
        stages=stage_figure(runs).to_json(),
        latencies=latency_figure(runs).to_json(),
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


def _name(setting: Setting) -> str:
    return (
        f"{setting.variant} at {size_text(setting.input_size)} on {setting.device}, "
        f"{setting.numbers}"
    )
