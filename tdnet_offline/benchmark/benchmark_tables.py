"""The numbers of a benchmark as text: rows for terminal and page, and the terminal's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tdnet.errors import one_line
from tdnet_offline.benchmark.benchmark_result import (
    Accuracy,
    Benchmark,
    BenchmarkRun,
    BenchmarkSetting,
)
from tdnet_offline.benchmark.cases import TORCH
from tdnet_offline.benchmark.weights import RANDOM
from tdnet_offline.evaluation.metrics import Percentiles
from tdnet_offline.report.table import NOTHING, digits, whole

Rows = list[tuple[str, list[str]]]
"""Name of a measure, and its text for each run."""
Measures = Mapping[str, Callable[[BenchmarkRun], str]]

ACCURACY_TITLES = ("labels as float32", "mIoU", "points lost", "frames")

_MIB = 1 << 20
_SPEED: Measures = {
    "frame to labels, ms": lambda run: three(run.frame_to_labels_ms),
    "after the labels, ms": lambda run: digits(run.after_ms.p50),
    "frames/s": lambda run: digits(run.frames_per_second),
    "arithmetic floor, ms": lambda run: small(run.floor_ms),
    "times the floor": lambda run: digits(run.times_floor),
}
_COST: Measures = {
    "cold start, s": lambda run: f"{run.cold_start.total:.1f}",
    "cold start: libraries, s": lambda run: f"{run.cold_start.libraries:.1f}",
    "cold start: model, s": lambda run: f"{run.cold_start.model:.1f}",
    "cold start: warm-up, s": lambda run: f"{run.cold_start.warm_up:.1f}",
    "host memory, MiB": lambda run: mebibytes(run.memory.host_steady),
    "host memory, peak, MiB": lambda run: mebibytes(run.memory.host_peak),
    "device memory, MiB": lambda run: mebibytes(run.memory.device_steady),
    "device memory, peak, MiB": lambda run: mebibytes(run.memory.device_peak),
    "GMAC per frame": lambda run: digits(run.multiply_adds / 1e9),
    "peak of the device, GMAC/s": lambda run: whole(run.peak_multiply_adds / 1e9),
    "operators per frame": lambda run: whole(run.counts.operators),
    "allocated per frame, MiB": lambda run: mebibytes(run.counts.bytes_allocated),
    "transfers per frame": lambda run: whole(run.counts.transfers),
    "waits per frame": lambda run: whole(run.counts.synchronisations),
}
_NAMES, _COLUMN = 34, 21
"""Characters of the column of names, and of the column of a run."""


def print_benchmark(benchmark: Benchmark, console: Console) -> None:
    """Print runs, accuracy, profiles and failures.

    Args:
        benchmark: the results.
        console: the output.
    """
    console.print(Text(one_line(f"{benchmark.hardware}; {benchmark.frames}")), soft_wrap=True)
    per_table = max(1, (console.width - _NAMES) // _COLUMN)
    for first in range(0, len(benchmark.runs), per_table):
        console.print(_measures(benchmark.runs[first : first + per_table]))
    if benchmark.accuracy:
        console.print(_accuracy(benchmark.accuracy))
    for run in benchmark.runs:
        if run.operators:
            console.print(_operators(run))
    for failure in benchmark.failed:
        text = f"not measured: {setting_text(failure.setting)}: {failure.reason}"
        console.print(Text(one_line(text)), soft_wrap=True)


def speed_rows(runs: Sequence[BenchmarkRun]) -> Rows:
    """Return latency, rate and arithmetic floor of the runs."""
    return _rows(_SPEED, runs)


def stage_rows(runs: Sequence[BenchmarkRun]) -> Rows:
    """Return the time of each stage of the runs."""
    names = dict.fromkeys(name for run in runs for name in run.stages_ms)
    return [(f"{name}, ms", [three(run.stages_ms[name]) for run in runs]) for name in names]


def cost_rows(runs: Sequence[BenchmarkRun]) -> Rows:
    """Return start, memory and counts of the runs; rows without a value are left out."""
    return [row for row in _rows(_COST, runs) if any(text != NOTHING for text in row[1])]


def accuracy_texts(row: Accuracy) -> tuple[str, ...]:
    """Return the cells of `ACCURACY_TITLES`."""
    scores = NOTHING, NOTHING
    if row.mean_iou is not None and row.mean_iou_float32 is not None:
        lost = 100 * (row.mean_iou_float32 - row.mean_iou)
        scores = f"{row.mean_iou:.2%}", f"{lost:+.2f}"
    return f"{row.label_agreement:.3%}", *scores, str(row.frames)


def size_text(size: tuple[int, int]) -> str:
    """Format a size as height x width."""
    return "{} x {}".format(*size)


def setting_text(setting: BenchmarkSetting) -> str:
    """Name a setting in one line."""
    where = f"{size_text(setting.input_size)} on {setting.device}"
    return f"{setting.variant} at {where}, {setting.numbers}"


def weights_text(weights: str) -> str:
    """Name the weights; empty for packaged ones."""
    return {"packaged": "", RANDOM: "random weights"}.get(weights, weights)


def three(found: Percentiles) -> str:
    """Format median, 95th and 99th percentile."""
    return " / ".join(small(value) for value in (found.p50, found.p95, found.p99))


def small(value: float) -> str:
    """Format a number with about three digits."""
    return f"{value:.2f}" if value < 10 else digits(value)


def mebibytes(count: int | None) -> str:
    """Format bytes as MiB; `NOTHING` for None."""
    return NOTHING if count is None else digits(count / _MIB)


def _rows(measures: Measures, runs: Sequence[BenchmarkRun]) -> Rows:
    return [(name, [text(run) for run in runs]) for name, text in measures.items()]


def _measures(runs: Sequence[BenchmarkRun]) -> Table:
    table = _table("p50 / p95 / p99, or the median", *(_heading(run.setting) for run in runs))
    for rows in (speed_rows(runs), stage_rows(runs), cost_rows(runs)):
        table.add_section()
        for name, texts in rows:
            table.add_row(name, *texts)
    return table


def _accuracy(rows: Sequence[Accuracy]) -> Table:
    table = _table("precision", *ACCURACY_TITLES)
    for row in rows:
        named = (row.variant, weights_text(row.weights), row.device, row.numbers)
        table.add_row(Text(one_line(" ".join(named))), *accuracy_texts(row))
    return table


def _operators(run: BenchmarkRun) -> Table:
    title = f"{run.setting.variant}, {run.setting.numbers}: slowest operators"
    table = _table(title, "calls per frame", "ms per frame", "share")
    for cost in run.operators:
        name = Text(one_line(cost.name, 60))
        milliseconds = f"{cost.milliseconds:.2f}"
        table.add_row(name, f"{cost.calls:.1f}", milliseconds, f"{cost.share:.1%}")
    return table


def _heading(setting: BenchmarkSetting) -> str:
    lines = (
        setting.variant,
        weights_text(setting.weights),
        size_text(setting.input_size),
        f"camera {size_text(setting.camera_size)}",
        f"{setting.device}, {setting.precision}",
        "" if setting.runtime == TORCH else setting.runtime,
    )
    return "\n".join(one_line(line, 24) for line in lines if line)


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title)
    for column in columns:
        table.add_column(Text(column), justify="right")
    return table
