"""The tables of the measurements."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tdnet._util.percentiles import Percentiles
from tools.harness.command_line import number_table
from tools.node_benchmark.node_run import STAGES, NodeRun

_MEASURED = {
    "labels": "labels",
    "last image": "total",
    "overhead of labels": "overhead",
    "overhead of last image": "overhead_of_all",
    "age of last image": "age",
}
"""Columns of the latencies, and their fields of a run."""


def node_tables(runs: Sequence[NodeRun]) -> tuple[Table, Table, Table]:
    """Return rate and resources of the busy node, and latency and stages at half the rate."""
    busy = [run for run in runs if run.busy]
    calm = [run for run in runs if not run.busy]
    rates = number_table(
        "Node kept busy",
        (
            *("camera", "asked/s", "published/s", "processors", "resident MiB", "own MiB"),
            *("grown", "age ms p50", "p95", "p99"),
        ),
        [
            (
                run.name,
                f"{run.camera_rate:.1f}",
                f"{run.rate:.1f}",
                f"{run.process.cpu:.2f}",
                f"{run.process.resident_mib:.0f}",
                f"{run.process.own_mib:.0f}",
                f"{run.process.grown_mib:+.1f}",
                *_texts(run.age),
            )
            for run in busy
        ],
    )
    latencies = number_table(
        "Arrival to publish call, ms, at half the rate: p50 / p95 / p99",
        ("camera", *_MEASURED),
        [
            (run.name, *(" / ".join(_texts(getattr(run, name))) for name in _MEASURED.values()))
            for run in calm
        ],
    )
    stages = number_table(
        "Stages, ms, at half the rate: p50 / p95 / p99",
        ("camera", *STAGES),
        [(run.name, *(" / ".join(_texts(run.stages[name])) for name in STAGES)) for run in calm],
    )
    return rates, latencies, stages


def _texts(spread: Percentiles) -> tuple[str, ...]:
    return tuple(_digits(value) for value in (spread.p50, spread.p95, spread.p99))


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
