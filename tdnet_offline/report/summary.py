"""The main numbers and the settings of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Counts, Evaluation, WithheldMemory
from tdnet_offline.report.runs import EvaluationRun
from tdnet_offline.report.table import (
    GAIN,
    NUMBER,
    SCORE,
    SHARE,
    TIME,
    Measure,
    Row,
    Table,
    make_cells,
    number_of,
    percent,
    size_text,
)

_SHOWN_HASH = 16


def summary_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return the main numbers, a column for each run; numbers that no run has are left out."""
    rows = []
    for quantity in _QUANTITIES:
        values = [quantity.value(run.evaluation) for run in runs]
        if any(found is not None and not math.isnan(found) for found in values):
            notes = {quantity.note(run.evaluation) for run in runs}
            note = notes.pop() if len(notes) == 1 else ""
            cells = make_cells(values, quantity.measure)
            rows.append(Row(quantity.name, tuple((cell,) for cell in cells), note=note))
    return Table(tuple(run.name for run in runs), tuple(rows))


def withheld_lines(runs: Sequence[EvaluationRun]) -> list[tuple[EvaluationRun, str]]:
    """Return a line about the memory's worth for each run that measured it."""
    return [
        (
            run,
            f"{number_of(found.frames, 'labelled frame')} with a full memory, segmented with it "
            f"and without: the memory is worth {GAIN.written(metrics.memory_gain(found))} "
            f"({_withheld(run.evaluation)}), and changes {percent(metrics.changed_share(found))} "
            "of the labels.",
        )
        for run in runs
        if (found := run.evaluation.withheld_memory) is not None
    ]


def setting_rows(runs: Sequence[EvaluationRun]) -> list[tuple[str, list[str]]]:
    """Return the settings with a value for each run; empty rows are left out."""
    described = [_described(run.evaluation) for run in runs]
    found = [(name, [rows[name] for rows in described]) for name in described[0]]
    return [(name, values) for name, values in found if any(values)]


class _Quantity(NamedTuple):
    name: str
    value: Callable[[Evaluation], float | None]
    measure: Measure
    note: Callable[[Evaluation], str] = lambda _: ""


def _classes(evaluation: Evaluation) -> str:
    scores = metrics.class_iou(metrics.total_confusion(evaluation))
    return f"of {np.isfinite(scores).sum()} classes"


def _ceiling(score: Callable[[Counts], float]) -> Callable[[Evaluation], str]:
    """Return a note on the consistency of the ground truth."""

    def note(evaluation: Evaluation) -> str:
        ground_truth = evaluation.truth_consistency
        reached = math.nan if ground_truth is None else score(ground_truth)
        return "" if math.isnan(reached) else f"ground truth: {percent(reached)}"

    return note


def _withheld(evaluation: Evaluation) -> str:
    """Return the scores with and without the memory."""
    found = evaluation.withheld_memory
    if found is None:
        return ""
    used, withheld = metrics.mean_iou(found.used), metrics.mean_iou(found.withheld)
    return f"mean IoU {percent(used)}, without memory {percent(withheld)}"


def _of_withheld(
    score: Callable[[WithheldMemory], float],
) -> Callable[[Evaluation], float | None]:
    return lambda e: None if e.withheld_memory is None else score(e.withheld_memory)


def _latency(which: str) -> Callable[[Evaluation], float | None]:
    return lambda e: getattr(metrics.stage_percentiles(e).get("total"), which, None)


_QUANTITIES = (
    _Quantity("mean IoU", lambda e: metrics.mean_iou(metrics.total_confusion(e)), SCORE, _classes),
    _Quantity(
        "mean IoU of the newest labels",
        lambda e: None if e.available is None else metrics.mean_iou(e.available),
        SCORE,
        lambda _: "dropped frames use the labels before them",
    ),
    _Quantity(
        "pixel accuracy", lambda e: metrics.pixel_accuracy(metrics.total_confusion(e)), SCORE
    ),
    _Quantity("boundary F-score", lambda e: metrics.mean_boundary_f(e.boundary), SCORE),
    _Quantity(
        "temporal consistency",
        lambda e: metrics.agreement(e.consistency),
        SCORE,
        _ceiling(metrics.agreement),
    ),
    _Quantity(
        "temporal consistency, mean IoU",
        lambda e: metrics.mean_consistency(e.consistency),
        SCORE,
        _ceiling(metrics.mean_consistency),
    ),
    _Quantity("video consistency, VC8", lambda e: metrics.video_consistency(e, 8), SCORE),
    _Quantity("video consistency, VC16", lambda e: metrics.video_consistency(e, 16), SCORE),
    _Quantity(
        "worth of the memory",
        _of_withheld(metrics.memory_gain),
        GAIN,
        _withheld,
    ),
    _Quantity(
        "labels that the memory changes",
        _of_withheld(metrics.changed_share),
        SHARE,
    ),
    _Quantity("median latency", _latency("p50"), TIME),
    _Quantity("p95 latency", _latency("p95"), TIME),
    _Quantity(
        "p95 age",
        lambda e: getattr(metrics.age_percentiles(e), "p95", None),
        TIME,
        lambda _: "from due frame to labels",
    ),
    _Quantity("frames segmented", lambda e: len(e.frames), NUMBER),
    _Quantity(
        "frames dropped",
        lambda e: sum(e.dropped.values()) or None,
        NUMBER,
        lambda e: f"{metrics.drop_share(e):.0%} of all",
    ),
    _Quantity("frames refused", lambda e: sum(e.refused.values()) or None, NUMBER),
)


def _described(evaluation: Evaluation) -> dict[str, str]:
    setting, waited = evaluation.setting, evaluation.waited_seconds
    digest = setting.weights_sha256
    return {
        "source": setting.source,
        "split": setting.split,
        "mode": setting.mode,
        "memory": setting.memory,
        "damage": setting.seeded_damage,
        "smoothing": f"{setting.smoothing:g}" if setting.smoothing else "",
        "optical flow": setting.flow,
        "network": setting.variant,
        "weights": setting.weights,
        "SHA-256 of the weights": f"{digest[:_SHOWN_HASH]}…" if digest else "",
        "network input": f"{size_text(setting.input_size)} (height x width)",
        "device": setting.device,
        "precision": setting.numbers,
        "hardware": setting.hardware,
        "versions": ", ".join(f"{name} {version}" for name, version in setting.versions.items()),
        "commit": setting.git_commit,
        "started": setting.started,
        "took": f"{evaluation.seconds:.0f} s",
        "processes": str(setting.processes),
        "waited for the source": f"{waited:.1f} s" if waited else "",
    }
