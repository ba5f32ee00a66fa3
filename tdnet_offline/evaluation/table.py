"""Evaluations side by side on the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from tdnet._util.percentiles import Percentiles
from tdnet.errors import one_line
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Counts, Evaluation, WithheldMemory

MAX_NAME = 40
NOTHING = "-"


def print_evaluations(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Print one or more evaluations, a column each: summary, IoU by class, time by stage."""
    tables = [_summary(evaluations), _classes(evaluations), _stages(evaluations)]
    console.print(Group(*(table for table in tables if table.row_count)))


def _summary(evaluations: Sequence[Evaluation]) -> Table:
    table = _table("", evaluations)
    for name, text in _SETTING.items():
        _add(table, name, [text(run) for run in evaluations])
    table.add_section()
    for name, score in _SCORES.items():
        _add(table, name, [_percent(score(run)) for run in evaluations])
    table.add_section()
    withheld = [run.withheld_memory for run in evaluations]
    for name, value in _WITHHELD.items():
        _add(table, name, [NOTHING if one is None else value(one) for one in withheld])
    groups = {
        "path": [metrics.confusion_by_path(run) for run in evaluations],
        "memory frames": [metrics.confusion_by_memory(run) for run in evaluations],
    }
    for name, counts in groups.items():
        table.add_section()
        for key in sorted({key for group in counts for key in group}):
            scores = [_if_known(metrics.mean_iou, group.get(key)) for group in counts]
            _add(table, f"mIoU, {name} {key}", [_percent(score) for score in scores])
    return table


def _classes(evaluations: Sequence[Evaluation]) -> Table:
    table = _table("IoU", evaluations)
    found = [
        metrics.by_class(run, metrics.class_iou(metrics.total_confusion(run)))
        for run in evaluations
    ]
    for name in dict.fromkeys(name for scores in found for name in scores):
        _add(table, name, [_percent(scores.get(name, math.nan)) for scores in found])
    return table


def _stages(evaluations: Sequence[Evaluation]) -> Table:
    table = _table("ms, p50 / p95 / p99", evaluations)
    found = [metrics.stage_percentiles(run) for run in evaluations]
    for stage in dict.fromkeys(stage for stages in found for stage in stages):
        _add(table, stage, [_milliseconds(stages.get(stage)) for stages in found])
    _add(table, "due to labels", [_milliseconds(metrics.age_percentiles(r)) for r in evaluations])
    return table


def _table(title: str, evaluations: Sequence[Evaluation]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title)
    for number, _ in enumerate(evaluations, start=1):
        table.add_column(f"run {number}" if len(evaluations) > 1 else "", justify="right")
    return table


def _add(table: Table, name: str, values: Sequence[str]) -> None:
    """Add a row, unless no run has a value."""
    if any(value != NOTHING for value in values):
        # The texts may come from anywhere: no terminal must act upon them.
        table.add_row(*(Text(one_line(text, MAX_NAME)) for text in (name, *values)))


def _percent(share: float) -> str:
    return NOTHING if math.isnan(share) else f"{100 * share:.2f} %"


def _points(difference: float) -> str:
    return NOTHING if math.isnan(difference) else f"{100 * difference:+.2f} points"


def _milliseconds(found: Percentiles | None) -> str:
    return f"{found.p50:.1f} / {found.p95:.1f} / {found.p99:.1f}" if found else NOTHING


def _labelled(evaluation: Evaluation) -> int:
    return sum(record.pixel_accuracy is not None for record in evaluation.frames)


def _if_known(score: Callable[[Counts], float], counts: Counts | None) -> float:
    return math.nan if counts is None else score(counts)


_SETTING: dict[str, Callable[[Evaluation], str]] = {
    "source": lambda run: f"{run.setting.source} {run.setting.split}".rstrip(),
    "mode": lambda run: run.setting.mode,
    "memory": lambda run: run.setting.memory,
    "damage": lambda run: run.setting.seeded_damage,
    "smoothing": lambda run: f"{run.setting.smoothing:g}",
    "optical flow": lambda run: run.setting.flow,
    "variant": lambda run: run.setting.variant,
    "weights": lambda run: run.setting.weights,
    "input size": lambda run: "{} x {}".format(*run.setting.input_size),
    "device": lambda run: f"{run.setting.device}, {run.setting.numbers}",
    "frames": lambda run: f"{len(run.frames)}, {_labelled(run)} labelled",
    "refused": lambda run: str(sum(run.refused.values())),
    "clock waited": lambda run: (
        NOTHING if run.available is None else f"{run.waited_seconds:.1f} s"
    ),
}
_WITHHELD: dict[str, Callable[[WithheldMemory], str]] = {
    "frames with labels and full memory": lambda found: str(found.frames),
    "mIoU of these": lambda found: _percent(metrics.mean_iou(found.used)),
    "mIoU without the memory": lambda found: _percent(metrics.mean_iou(found.withheld)),
    "the memory is worth": lambda found: _points(metrics.memory_gain(found)),
    "labels that it changes": lambda found: _percent(metrics.changed_share(found)),
}
_SCORES: dict[str, Callable[[Evaluation], float]] = {
    "mIoU": lambda run: metrics.mean_iou(metrics.total_confusion(run)),
    "pixel accuracy": lambda run: metrics.pixel_accuracy(metrics.total_confusion(run)),
    "boundary F-score": lambda run: metrics.mean_boundary_f(run.boundary),
    "temporal consistency": lambda run: metrics.agreement(run.consistency),
    "temporal consistency (mIoU)": lambda run: metrics.mean_consistency(run.consistency),
    "that of the true labels (mIoU)": lambda run: _if_known(
        metrics.mean_consistency, run.truth_consistency
    ),
    "VC8": lambda run: metrics.video_consistency(run, 8),
    "VC16": lambda run: metrics.video_consistency(run, 16),
    "dropped": lambda run: math.nan if run.available is None else metrics.drop_share(run),
    "mIoU of the newest labels": lambda run: _if_known(metrics.mean_iou, run.available),
}
