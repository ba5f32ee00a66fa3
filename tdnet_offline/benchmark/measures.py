"""The numbers of a run as they are read, in the order in which table and page show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tdnet_offline.benchmark.result import Accuracy, Run
from tdnet_offline.benchmark.weights import RANDOM
from tdnet_offline.evaluation.metrics import Percentiles
from tdnet_offline.report.table import NOTHING, digits, whole

Rows = list[tuple[str, list[str]]]
"""Name of a measure, and its text for each run."""

_MIB = 1 << 20
_SPEED: dict[str, Callable[[Run], str]] = {
    "frame to labels, ms": lambda run: three(run.frame_to_labels_ms),
    "after the labels, ms": lambda run: digits(run.after_ms.p50),
    "frames/s": lambda run: digits(run.frames_per_second),
    "plain float32, ms": lambda run: three(run.versus.plain_frame_to_labels_ms),
    "times as fast": lambda run: f"{run.versus.ratio:.2f}",
    "labels as plain": lambda run: f"{run.versus.label_agreement:.2%}",
    "arithmetic floor, ms": lambda run: small(run.floor_ms),
    "times the floor": lambda run: digits(run.times_floor),
}
_COST: dict[str, Callable[[Run], str]] = {
    "cold start, s": lambda run: f"{run.cold_start.total:.1f}",
    "of it libraries, s": lambda run: f"{run.cold_start.libraries:.1f}",
    "of it model, s": lambda run: f"{run.cold_start.model:.1f}",
    "of it warm-up, s": lambda run: f"{run.cold_start.warm_up:.1f}",
    "host memory, MiB": lambda run: mebibytes(run.memory.host_steady),
    "at its peak, MiB": lambda run: mebibytes(run.memory.host_peak),
    "device memory, MiB": lambda run: mebibytes(run.memory.device_steady),
    "at its peak on the device, MiB": lambda run: mebibytes(run.memory.device_peak),
    "GMAC a frame": lambda run: digits(run.multiply_adds / 1e9),
    "peak of the device, GMAC/s": lambda run: whole(run.peak_multiply_adds / 1e9),
    "operators a frame": lambda run: whole(run.counts.operators),
    "allocated a frame, MiB": lambda run: mebibytes(run.counts.bytes_allocated),
    "transfers a frame": lambda run: whole(run.counts.transfers),
    "waits a frame": lambda run: whole(run.counts.synchronisations),
}


def speed_rows(runs: Sequence[Run]) -> Rows:
    """Give what tells how fast the runs are."""
    return _rows(_SPEED, runs)


def stage_rows(runs: Sequence[Run]) -> Rows:
    """Give the stages, ours and those of the plain formulation."""
    names = dict.fromkeys(name for run in runs for name in run.stages_ms)
    plain = dict.fromkeys(name for run in runs for name in run.versus.plain_stages_ms)
    return [
        *((f"{name}, ms", [three(run.stages_ms[name]) for run in runs]) for name in names),
        *(
            (f"plain {name}, ms", [three(run.versus.plain_stages_ms[name]) for run in runs])
            for name in plain
        ),
    ]


def cost_rows(runs: Sequence[Run]) -> Rows:
    """Give what the runs take beside time; nothing that none of them has."""
    return [row for row in _rows(_COST, runs) if any(text != NOTHING for text in row[1])]


def accuracy_texts(row: Accuracy) -> tuple[str, ...]:
    """Give label agreement, mean IoU, points lost against float32, and frames."""
    scores = NOTHING, NOTHING
    if row.mean_iou is not None and row.mean_iou_float32 is not None:
        lost = 100 * (row.mean_iou_float32 - row.mean_iou)
        scores = f"{row.mean_iou:.2%}", f"{lost:+.2f}"
    return f"{row.label_agreement:.3%}", *scores, str(row.frames)


ACCURACY_TITLES = ("labels as float32", "mIoU", "points lost", "frames")


def size_text(size: tuple[int, int]) -> str:
    """Write a size as height x width."""
    return "{} x {}".format(*size)


def weights_text(weights: str) -> str:
    """Call the weights; packaged ones are not worth a word."""
    return {"packaged": "", RANDOM: "random weights"}.get(weights, weights)


def three(found: Percentiles) -> str:
    """Write median, 95th and 99th percentile."""
    return " / ".join(small(value) for value in (found.p50, found.p95, found.p99))


def small(value: float) -> str:
    """Write a number to about three digits, also below 10."""
    return f"{value:.2f}" if value < 10 else digits(value)


def mebibytes(count: int | None) -> str:
    """Write bytes; nothing for None."""
    return NOTHING if count is None else digits(count / _MIB)


def _rows(measures: dict[str, Callable[[Run], str]], runs: Sequence[Run]) -> Rows:
    return [(name, [text(run) for run in runs]) for name, text in measures.items()]
