"""The main numbers and the settings of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Counts, Evaluation, Setting
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
)

Value = Callable[[Evaluation], float | None]

_SHOWN_HASH = 16


def summary_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return the main numbers of each run; numbers that no run has are left out."""
    rows = []
    for name, value, measure, note in _quantities(runs):
        values = [value(run.evaluation) for run in runs]
        if any(found is not None and not math.isnan(found) for found in values):
            rows.append(Row(name, (make_cells(values, measure),), note=note))
    return Table(("",), tuple(rows))


def withheld_lines(runs: Sequence[EvaluationRun]) -> list[tuple[EvaluationRun, str]]:
    """Return a line about the memory's worth for each run that measured it."""
    lines = []
    for run in runs:
        found = run.evaluation.withheld_memory
        if found is not None:
            frames = number_of(found.frames, "labelled frame")
            worth = GAIN.written(metrics.memory_gain(found))
            changed = percent(metrics.changed_share(found))
            lines.append(
                (
                    run,
                    f"{frames} with a full memory, segmented with it and without: the memory is "
                    f"worth {worth} ({_withheld(run.evaluation)}), and changes {changed} of the "
                    "labels.",
                )
            )
    return lines


def setting_rows(runs: Sequence[EvaluationRun]) -> list[tuple[str, list[str]]]:
    """Return the settings with a value for each run; empty rows are left out."""
    described = [_described(run.evaluation) for run in runs]
    names = {name: None for rows in described for name in rows}
    found = [(name, [rows.get(name, "") for rows in described]) for name in names]
    return [(name, values) for name, values in found if any(values)]


def _quantities(runs: Sequence[EvaluationRun]) -> list[tuple[str, Value, Measure, str]]:
    return [
        (
            "mean IoU",
            lambda e: metrics.mean_iou(metrics.total_confusion(e)),
            SCORE,
            _common([_classes(run.evaluation) for run in runs]),
        ),
        (
            "mean IoU of the newest labels",
            lambda e: None if e.available is None else metrics.mean_iou(e.available),
            SCORE,
            "dropped frames use the labels before them",
        ),
        (
            "pixel accuracy",
            lambda e: metrics.pixel_accuracy(metrics.total_confusion(e)),
            SCORE,
            "",
        ),
        ("boundary F-score", lambda e: metrics.mean_boundary_f(e.boundary), SCORE, ""),
        (
            "temporal consistency",
            lambda e: metrics.agreement(e.consistency),
            SCORE,
            _common([_ceiling(run.evaluation, metrics.agreement) for run in runs]),
        ),
        (
            "temporal consistency, mean IoU",
            lambda e: metrics.mean_consistency(e.consistency),
            SCORE,
            _common([_ceiling(run.evaluation, metrics.mean_consistency) for run in runs]),
        ),
        (
            "worth of the memory",
            lambda e: e.withheld_memory and metrics.memory_gain(e.withheld_memory),
            GAIN,
            _common([_withheld(run.evaluation) for run in runs]),
        ),
        (
            "labels that the memory changes",
            lambda e: e.withheld_memory and metrics.changed_share(e.withheld_memory),
            SHARE,
            "",
        ),
        ("median latency", lambda e: _latency(e, "p50"), TIME, ""),
        ("p95 latency", lambda e: _latency(e, "p95"), TIME, ""),
        ("p95 age", _age, TIME, "from due frame to labels"),
        ("frames segmented", lambda e: len(e.frames), NUMBER, ""),
        (
            "frames dropped",
            lambda e: sum(e.dropped.values()) or None,
            NUMBER,
            _common([f"{metrics.drop_share(run.evaluation):.0%} of all" for run in runs]),
        ),
        ("frames refused", lambda e: sum(e.refused.values()) or None, NUMBER, ""),
    ]


def _common(notes: Sequence[str]) -> str:
    """Return the note that all runs share; empty if they differ."""
    return notes[0] if len({*notes}) == 1 else ""


def _classes(evaluation: Evaluation) -> str:
    scores = metrics.class_iou(metrics.total_confusion(evaluation))
    return f"of {np.isfinite(scores).sum()} classes"


def _ceiling(evaluation: Evaluation, score: Callable[[Counts], float]) -> str:
    """Return the consistency of the ground truth."""
    ground_truth = evaluation.truth_consistency
    reached = math.nan if ground_truth is None else score(ground_truth)
    return "" if math.isnan(reached) else f"ground truth: {percent(reached)}"


def _withheld(evaluation: Evaluation) -> str:
    """Return the scores with and without the memory."""
    found = evaluation.withheld_memory
    if found is None:
        return ""
    used, withheld = metrics.mean_iou(found.used), metrics.mean_iou(found.withheld)
    return f"mean IoU {percent(used)}, without memory {percent(withheld)}"


def _latency(evaluation: Evaluation, which: str) -> float | None:
    total = metrics.stage_percentiles(evaluation).get("total")
    return None if total is None else float(getattr(total, which))


def _age(evaluation: Evaluation) -> float | None:
    ages = metrics.age_percentiles(evaluation)
    return None if ages is None else ages.p95


def _described(evaluation: Evaluation) -> dict[str, str]:
    setting = evaluation.setting
    height, width = setting.input_size
    return {
        "source": setting.source,
        "split": setting.split,
        "mode": setting.mode,
        "memory": setting.memory,
        "damage": setting.seeded_damage,
        "network": setting.variant,
        "weights": setting.weights,
        "SHA-256 of the weights": _shortened(setting),
        "network input": f"{height} x {width} (height x width)",
        "device": setting.device,
        "precision": setting.numbers,
        "hardware": setting.hardware,
        "versions": ", ".join(f"{name} {version}" for name, version in setting.versions.items()),
        "commit": setting.git_commit,
        "started": setting.started,
        "took": f"{evaluation.seconds:.0f} s",
        "processes": str(setting.processes),
        "waited for the source": f"{evaluation.waited_seconds:.1f} s"
        if evaluation.waited_seconds
        else "",
    }


def _shortened(setting: Setting) -> str:
    return f"{setting.weights_sha256[:_SHOWN_HASH]}…" if setting.weights_sha256 else ""
