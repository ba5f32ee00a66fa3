"""The tables of a benchmark, for terminal and page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from tdnet._util.percentiles import Percentiles
from tdnet.errors import one_line
from tdnet_offline.benchmark.benchmark_result import (
    PACKAGED,
    RANDOM,
    Accuracy,
    Benchmark,
    BenchmarkRun,
    BenchmarkSetting,
)
from tdnet_offline.report.table import (
    NOTHING,
    Table,
    digits,
    number_of,
    size_text,
    text_row,
    whole,
)

_Measures = dict[str, Callable[[BenchmarkRun], str]]

_SPEED: _Measures = {
    "frame to labels, ms": lambda run: _three(run.frame_to_labels_ms),
    "after the labels, ms": lambda run: digits(run.after_ms.p50),
    "frames/s": lambda run: digits(run.frames_per_second),
    "arithmetic floor, ms": lambda run: _known(run.floor_ms),
    "times the floor": lambda run: _known(run.times_floor),
}
_COST: _Measures = {
    "cold start, s": lambda run: digits(run.cold_start.total),
    "cold start: libraries, s": lambda run: digits(run.cold_start.libraries),
    "cold start: model, s": lambda run: digits(run.cold_start.model),
    "cold start: warm-up, s": lambda run: digits(run.cold_start.warm_up),
    "host memory, MiB": lambda run: _mebibytes(run.memory.host_steady),
    "host memory, peak, MiB": lambda run: _mebibytes(run.memory.host_peak),
    "device memory, MiB": lambda run: _mebibytes(run.memory.device_steady),
    "device memory, peak, MiB": lambda run: _mebibytes(run.memory.device_peak),
    "GMAC per frame": lambda run: _known(run.multiply_adds, 1e9),
    "peak of the device, GMAC/s": lambda run: whole(run.peak_multiply_adds / 1e9),
    "operators per frame": lambda run: whole(run.counts.operators),
    "allocated per frame, MiB": lambda run: _mebibytes(run.counts.bytes_allocated),
    "transfers per frame": lambda run: whole(run.counts.transfers),
    "waits per frame": lambda run: whole(run.counts.synchronisations),
}
_SUMMARY = ("frame to labels, ms", "frames/s", "times the floor")


def print_benchmark(benchmark: Benchmark, console: Console) -> None:
    """Print runs, accuracy, profiles and failures."""
    _print(console, f"{benchmark.hardware}; {benchmark.frames}")
    for title, note, runs in run_groups(benchmark):
        console.print()
        _print(console, f"{title} · {note}")
        console.print(measures_table(runs).rich())
    if benchmark.accuracy:
        console.print("", accuracy_table(benchmark.accuracy).rich(), sep="\n")
    for run in benchmark.runs:
        if run.operators:
            console.print()
            _print(console, setting_text(run.setting))
            console.print(operators_table(run).rich())
    for failure in benchmark.failed:
        _print(console, f"not measured: {setting_text(failure.setting)}: {failure.reason}")


def run_groups(benchmark: Benchmark) -> list[tuple[str, str, list[BenchmarkRun]]]:
    """Return title, note and runs of each network at one size on one device."""
    groups = []
    for title, group in groupby(benchmark.runs, lambda run: _network_text(run.setting)):
        runs = list(group)
        facts = (
            f"camera {size_text(runs[0].setting.camera_size)}",
            f"{digits(runs[0].multiply_adds / 1e9)} GMAC a frame" if runs[0].multiply_adds else "",
            f"{number_of(runs[0].threads, 'thread')} of PyTorch",
            _weights_text(runs[0].setting),
        )
        groups.append((title, " · ".join(filter(None, facts)), runs))
    return groups


def summary_table(runs: Sequence[BenchmarkRun]) -> Table:
    """Return the main numbers, a row for each run."""
    rows = (
        text_row(
            f"{run.setting.variant}, {run.setting.numbers}",
            (digits(run.frame_to_labels_ms.p50), *(_SPEED[name](run) for name in _SUMMARY[1:])),
            note=f"{size_text(run.setting.input_size)} on {run.setting.device}",
        )
        for run in runs
    )
    return Table(_SUMMARY, tuple(rows), "median")


def measures_table(runs: Sequence[BenchmarkRun]) -> Table:
    """Return all measures, a column for each run; measures that no run has are left out."""
    stages = dict.fromkeys(stage for run in runs for stage in run.stages_ms)
    measured = {
        **{name: [text(run) for run in runs] for name, text in _SPEED.items()},
        **{f"{name}, ms": [_three(run.stages_ms[name]) for run in runs] for name in stages},
        **{name: [text(run) for run in runs] for name, text in _COST.items()},
    }
    rows = (text_row(name, texts) for name, texts in measured.items() if {*texts} != {NOTHING})
    titles = tuple(run.setting.numbers for run in runs)
    return Table(titles, tuple(rows), "p50 / p95 / p99, or the median")


def accuracy_table(accuracy: Sequence[Accuracy]) -> Table:
    """Return the accuracy of each precision."""
    rows = []
    for row in accuracy:
        scores = NOTHING, NOTHING
        if row.mean_iou is not None and row.mean_iou_float32 is not None:
            lost = 100 * (row.mean_iou_float32 - row.mean_iou)
            scores = f"{row.mean_iou:.2%}", f"{lost:+.2f}"
        one = row.setting
        note = ", ".join(filter(None, (one.device, _weights_text(one))))
        texts = f"{row.label_agreement:.3%}", *scores, whole(row.frames)
        rows.append(text_row(f"{one.variant}, {one.numbers}", texts, note))
    return Table(("labels as float32", "mIoU", "points lost", "frames"), tuple(rows), "precision")


def operators_table(run: BenchmarkRun) -> Table:
    """Return the slowest operators of a run."""
    rows = (
        text_row(cost.name, (digits(cost.calls), digits(cost.milliseconds), f"{cost.share:.1%}"))
        for cost in run.operators
    )
    return Table(("calls per frame", "ms per frame", "share"), tuple(rows), "slowest operators")


def setting_text(setting: BenchmarkSetting) -> str:
    """Name a setting in one line."""
    return f"{_network_text(setting)}, {setting.numbers}"


def _network_text(setting: BenchmarkSetting) -> str:
    return f"{setting.variant} at {size_text(setting.input_size)} on {setting.device}"


def _weights_text(setting: BenchmarkSetting) -> str:
    """Name the weights; empty for packaged ones."""
    return {PACKAGED: "", RANDOM: "random weights"}.get(setting.weights, setting.weights)


def _three(found: Percentiles) -> str:
    """Format median, 95th and 99th percentile."""
    return " / ".join(digits(value) for value in (found.p50, found.p95, found.p99))


def _known(value: float | None, unit: float = 1.0) -> str:
    return NOTHING if value is None else digits(value / unit)


def _mebibytes(count: int | None) -> str:
    return NOTHING if count is None else digits(count / 2**20)


def _print(console: Console, text: str) -> None:
    console.print(Text(one_line(text)), soft_wrap=True)
