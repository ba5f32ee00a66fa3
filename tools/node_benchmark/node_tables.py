"""The tables of the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tdnet._util.percentiles import Percentiles
from tools.node_benchmark.frame_record import STAGES
from tools.node_benchmark.node_run import NodeRun
from tools.soak.soak_tables import TextTable


def rate_table(runs: Sequence[NodeRun]) -> TextTable:
    """Return the published rate, and the resources of the node."""
    return TextTable(
        "Node kept busy",
        (
            "camera",
            *("asked/s", "published/s", "processors", "resident MiB", "own MiB", "grown"),
            *("age ms p50", "p95", "p99"),
        ),
        tuple(
            (
                _name(run),
                f"{run.camera_rate:.1f}",
                f"{run.rate:.1f}",
                f"{run.process.cpu:.2f}",
                f"{run.process.resident_mib:.0f}",
                f"{run.process.own_mib:.0f}",
                f"{run.process.grown_mib:+.1f}",
                *_texts(run.age),
            )
            for run in runs
            if run.busy
        ),
    )


def latency_table(runs: Sequence[NodeRun]) -> TextTable:
    """Return the latency of a frame that does not wait for another."""
    measured = ("labels", "total", "overhead", "overhead_of_all", "age")
    return TextTable(
        "Arrival to publish call, ms, at half the rate: p50 / p95 / p99",
        (
            *("camera", "labels", "last image", "overhead of labels", "overhead of last image"),
            "age of last image",
        ),
        tuple(
            (_name(run), *(" / ".join(_texts(getattr(run, name))) for name in measured))
            for run in runs
            if not run.busy
        ),
    )


def stage_table(runs: Sequence[NodeRun]) -> TextTable:
    """Return the stages of such a frame."""
    return TextTable(
        "Stages, ms, at half the rate: p50 / p95 / p99",
        ("camera", *STAGES),
        tuple(
            (_name(run), *(" / ".join(_texts(run.stages[name])) for name in STAGES))
            for run in runs
            if not run.busy
        ),
    )


def _name(run: NodeRun) -> str:
    overlay = ", overlay" if run.overlay else ""
    return f"{run.size[1]} x {run.size[0]}{overlay}"


def _texts(spread: Percentiles) -> Iterable[str]:
    return tuple(_digits(value) for value in (spread.p50, spread.p95, spread.p99))


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
