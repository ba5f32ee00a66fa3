"""Evaluations side by side on the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tdnet.errors import one_line
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.metrics import Percentiles
from tdnet_offline.evaluation.result import Counts, Evaluation, WithheldMemory

MAX_NAME = 40
NOTHING = "-"


def print_evaluations(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Print evaluations, a column each: summary, IoU by class, time by stage.

    Args:
        evaluations: one or more.
        console: to print to.
    """
    console.print(_tables(evaluations))


def _tables(evaluations: Sequence[Evaluation]) -> RenderableType:
    tables = [_summary(evaluations), _classes(evaluations), _stages(evaluations)]
    return Group(*(table for table in tables if table.row_count))


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
    groups: list[tuple[str, Callable[[Evaluation], dict[int, Counts]]]] = [
        ("path", metrics.confusion_by_path),
        ("memory frames", metrics.confusion_by_memory),
    ]
    for name, grouped in groups:
        table.add_section()
        counts = [grouped(run) for run in evaluations]
        for key in sorted({key for groups in counts for key in groups}):
            _add(
                table,
                f"mIoU, {name} {key}",
                [_percent(metrics.mean_iou(g[key])) if key in g else NOTHING for g in counts],
            )
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
        table.add_row(_text(name), *(_text(value) for value in values))


def _text(words: str) -> Text:
    """Escape a text that may come from anywhere, so that no terminal acts upon it."""
    return Text(one_line(words, MAX_NAME))


def _percent(share: float) -> str:
    return NOTHING if math.isnan(share) else f"{100 * share:.2f} %"


def _points(difference: float) -> str:
    return NOTHING if math.isnan(difference) else f"{100 * difference:+.2f} points"


def _milliseconds(found: Percentiles | None) -> str:
    return f"{found.p50:.1f} / {found.p95:.1f} / {found.p99:.1f}" if found else NOTHING


def _size(evaluation: Evaluation) -> str:
    height, width = evaluation.setting.input_size
    return f"{height} x {width}"


def _frames(evaluation: Evaluation) -> str:
    labelled = sum(record.pixel_accuracy is not None for record in evaluation.frames)
    return f"{len(evaluation.frames)}, {labelled} labelled"


def _consistency(evaluation: Evaluation) -> float:
    return metrics.mean_consistency(evaluation.consistency)


def _truth_consistency(evaluation: Evaluation) -> float:
    counts = evaluation.truth_consistency
    return math.nan if counts is None else metrics.mean_consistency(counts)


def _available(evaluation: Evaluation) -> float:
    counts = evaluation.available
    return math.nan if counts is None else metrics.mean_iou(counts)


def _waited(evaluation: Evaluation) -> str:
    paced = evaluation.available is not None
    return f"{evaluation.waited_seconds:.1f} s" if paced else NOTHING


def _dropped(evaluation: Evaluation) -> float:
    return metrics.drop_share(evaluation) if evaluation.available is not None else math.nan


_SETTING: dict[str, Callable[[Evaluation], str]] = {
    "source": lambda run: f"{run.setting.source} {run.setting.split}".rstrip(),
    "mode": lambda run: run.setting.mode,
    "memory": lambda run: run.setting.memory,
    "damage": lambda run: run.setting.seeded_damage,
    "variant": lambda run: run.setting.variant,
    "weights": lambda run: run.setting.weights,
    "input size": _size,
    "device": lambda run: f"{run.setting.device}, {run.setting.numbers}",
    "frames": _frames,
    "refused": lambda run: str(sum(run.refused.values())),
    "clock waited": _waited,
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
    "temporal consistency (mIoU)": _consistency,
    "that of the true labels (mIoU)": _truth_consistency,
    "dropped": _dropped,
    "mIoU of the newest labels": _available,
}
