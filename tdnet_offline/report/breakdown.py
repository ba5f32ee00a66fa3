"""The scores of an evaluation by class, sub-network, memory and video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Counts, Evaluation, FrameRecord
from tdnet_offline.report.runs import EvaluationRun
from tdnet_offline.report.table import NUMBER, SCORE, Measure, Row, Table, make_cells, percent

_SMALLEST_SHARE = 0.001
_CLASS_SCORES: Mapping[str, Callable[[Evaluation], metrics.Scores]] = {
    "IoU": lambda e: metrics.class_iou(metrics.total_confusion(e)),
    "boundary F-score": lambda e: metrics.class_boundary_f(e.boundary),
    "consistency": lambda e: metrics.class_consistency(e.consistency),
}


def css_color(color: tuple[int, int, int]) -> str:
    """Return the CSS colour."""
    return "rgb({} {} {})".format(*color)


def class_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return IoU, boundary F-score and consistency of each class that occurs in any run."""
    scores = {
        title: [metrics.by_class(run.evaluation, score(run.evaluation)) for run in runs]
        for title, score in _CLASS_SCORES.items()
    }
    occurring = {
        title: by_run
        for title, by_run in scores.items()
        if any(np.isfinite(value) for named in by_run for value in named.values())
    }
    pixels = metrics.total_confusion(runs[0].evaluation).sum(axis=1)
    shares = metrics.by_class(runs[0].evaluation, pixels / max(1, pixels.sum()))
    rows = []
    for name, color in _class_colors(runs).items():
        values = [[named.get(name, np.nan) for named in by_run] for by_run in occurring.values()]
        if np.isfinite(values).any():
            groups = tuple(make_cells(group, SCORE, drawn=True) for group in values)
            rows.append(Row(name, groups, css_color(color), _share_text(shares.get(name, 0.0))))
    head = "class, share of the pixels" if pixels.any() else "class"
    return Table(tuple(occurring), tuple(rows), head)


def path_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return mean IoU and pixel accuracy by sub-network; no rows without ground truth."""
    return _grouped("path", runs, metrics.confusion_by_path, lambda record: record.path)


def memory_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return mean IoU and accuracy by past frames in memory; no rows without ground truth."""
    return _grouped("frames", runs, metrics.confusion_by_memory, lambda r: r.memory_frames)


def video_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return the frame counts and mean scores of each video."""
    evaluations = [run.evaluation for run in runs]
    columns: dict[str, tuple[Measure, list[Mapping[str, float]]]] = {
        "segmented": (NUMBER, [Counter(r.video for r in e.frames) for e in evaluations]),
        "dropped": (NUMBER, [_positive(e.dropped) for e in evaluations]),
        "refused": (NUMBER, [_positive(e.refused) for e in evaluations]),
        "mean IoU of a frame": (SCORE, [_means(e, lambda r: r.mean_iou) for e in evaluations]),
        "consistency": (SCORE, [_means(e, lambda r: r.consistency) for e in evaluations]),
    }
    kept = {title: column for title, column in columns.items() if any(column[1])}
    found = [numbers for _, by_run in kept.values() for numbers in by_run]
    rows = []
    for name in dict.fromkeys(name for numbers in found for name in numbers):
        groups = [
            make_cells([numbers.get(name) for numbers in by_run], measure)
            for measure, by_run in kept.values()
        ]
        rows.append(Row(name, tuple(groups)))
    return Table(tuple(kept), tuple(rows), "video")


def _class_colors(runs: Sequence[EvaluationRun]) -> dict[str, tuple[int, int, int]]:
    """Return the colours of the classes by name, in order of id, those of the first run first."""
    colors: dict[str, tuple[int, int, int]] = {}
    for run in runs:
        setting = run.evaluation.setting
        for class_id, name in sorted(setting.class_names.items()):
            colors.setdefault(name, setting.class_colors[class_id])
    return colors


def _grouped(
    head: str,
    runs: Sequence[EvaluationRun],
    confusions: Callable[[Evaluation], dict[int, Counts]],
    key: Callable[[FrameRecord], int],
) -> Table:
    found = [confusions(run.evaluation) for run in runs]
    frames = [Counter(key(record) for record in run.evaluation.frames) for run in runs]
    rows = []
    for value in sorted({value for counts in found for value in counts}):
        present = [counts.get(value) for counts in found]
        iou = [None if counts is None else metrics.mean_iou(counts) for counts in present]
        right = [None if counts is None else metrics.pixel_accuracy(counts) for counts in present]
        groups = (
            make_cells(iou, SCORE, drawn=True),
            make_cells(right, SCORE),
            make_cells([counts[value] for counts in frames], NUMBER),
        )
        rows.append(Row(str(value), groups))
    return Table(("mean IoU", "pixel accuracy", "frames"), tuple(rows), head)


def _share_text(share: float) -> str:
    if not share:
        return ""
    return percent(share) if share >= _SMALLEST_SHARE else f"< {percent(_SMALLEST_SHARE)}"


def _positive(numbers: Mapping[str, int]) -> Mapping[str, float]:
    return {video: number for video, number in numbers.items() if number}


def _means(
    evaluation: Evaluation, value: Callable[[FrameRecord], float | None]
) -> Mapping[str, float]:
    """Return the mean of each video over the frames that have the value."""
    known: dict[str, list[float]] = {}
    for record in evaluation.frames:
        if (found := value(record)) is not None:
            known.setdefault(record.video, []).append(found)
    return {video: float(np.mean(values)) for video, values in known.items()}
