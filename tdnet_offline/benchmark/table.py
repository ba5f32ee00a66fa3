"""A benchmark on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tdnet.errors import one_line
from tdnet_offline.benchmark.measures import (
    ACCURACY_TITLES,
    accuracy_texts,
    cost_rows,
    size_text,
    speed_rows,
    stage_rows,
    weights_text,
)
from tdnet_offline.benchmark.plan import TORCH
from tdnet_offline.benchmark.result import Accuracy, Benchmark, FailedRun, Run, Setting

_NAMES, _COLUMN = 34, 21
"""Characters of the names of measures, and of a run beside them."""


def print_benchmark(benchmark: Benchmark, console: Console) -> None:
    """Print the runs: speed, stages, cost; then the accuracy, the profiles, and what failed.

    Args:
        benchmark: what was measured.
        console: where to.
    """
    console.print(Text(one_line(f"{benchmark.hardware}; {benchmark.frames}")), soft_wrap=True)
    beside = max(1, (console.width - _NAMES) // _COLUMN)
    for first in range(0, len(benchmark.runs), beside):
        console.print(_measures(benchmark.runs[first : first + beside]))
    if benchmark.accuracy:
        console.print(_accuracy(benchmark.accuracy))
    for run in benchmark.runs:
        if run.operators:
            console.print(_operators(run))
    for failure in benchmark.failed:
        console.print(Text(_failed(failure)), soft_wrap=True)


def _measures(runs: Sequence[Run]) -> Table:
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


def _operators(run: Run) -> Table:
    title = f"{run.setting.variant}, {run.setting.numbers}: dearest operators"
    table = _table(title, "calls a frame", "ms a frame", "share")
    for cost in run.operators:
        name = Text(one_line(cost.name, 60))
        milliseconds = f"{cost.milliseconds:.2f}"
        table.add_row(name, f"{cost.calls:.1f}", milliseconds, f"{cost.share:.1%}")
    return table


def _failed(failure: FailedRun) -> str:
    setting = failure.setting
    what = f"{setting.variant} at {size_text(setting.input_size)} on {setting.device} in "
    return one_line(f"not measured: {what}{setting.numbers}: {failure.reason}")


def _heading(setting: Setting) -> str:
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
