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

ClassScores = Callable[[Evaluation], metrics.Scores]

_CLASS_SCORES: Mapping[str, ClassScores] = {
    "IoU": lambda e: metrics.class_iou(metrics.total_confusion(e)),
    "boundary F-score": lambda e: metrics.class_boundary_f(e.boundary),
    "consistency": lambda e: metrics.class_consistency(e.consistency),
}


def css_color(color: tuple[int, int, int]) -> str:
    """Return the CSS colour."""
    return "rgb({} {} {})".format(*color)


def class_colors(runs: Sequence[EvaluationRun]) -> dict[str, tuple[int, int, int]]:
    """Return the colours of the classes by name, in order of id, those of the first run first."""
    colors: dict[str, tuple[int, int, int]] = {}
    for run in runs:
        setting = run.evaluation.setting
        for class_id, name in sorted(setting.class_names.items()):
            colors.setdefault(name, setting.class_colors[class_id])
    return colors


def class_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return IoU, boundary F-score and consistency of each class that occurs in any run."""
    scores = {
        title: [metrics.by_class(run.evaluation, score(run.evaluation)) for run in runs]
        for title, score in _CLASS_SCORES.items()
    }
    shown = {
        title: by_run
        for title, by_run in scores.items()
        if any(np.isfinite(value) for named in by_run for value in named.values())
    }
    shares = _ground_truth_shares(runs[0].evaluation)
    rows = []
    for name, color in class_colors(runs).items():
        values = [[named.get(name, np.nan) for named in by_run] for by_run in shown.values()]
        if np.isfinite(values).any():
            groups = tuple(make_cells(group, SCORE, drawn=True) for group in values)
            rows.append(Row(name, groups, css_color(color), _share_text(shares.get(name, 0.0))))
    return Table(tuple(shown), tuple(rows))


def path_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return mean IoU and pixel accuracy by sub-network; no rows without ground truth."""
    return _grouped(runs, metrics.confusion_by_path, lambda record: record.path)


def memory_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return mean IoU and accuracy by past frames in memory; no rows without ground truth."""
    return _grouped(runs, metrics.confusion_by_memory, lambda record: record.memory_frames)


def video_table(runs: Sequence[EvaluationRun]) -> Table:
    """Return the frame counts and mean scores of each video."""
    evaluations = [run.evaluation for run in runs]
    records = [_by_video(evaluation) for evaluation in evaluations]
    segmented = [{video: len(found) for video, found in videos.items()} for videos in records]
    columns: dict[str, tuple[Measure, list[Mapping[str, float | None]]]] = {
        "segmented": (NUMBER, [dict(numbers) for numbers in segmented]),
        "dropped": (NUMBER, [_without_zeros(e.dropped) for e in evaluations]),
        "refused": (NUMBER, [_without_zeros(e.refused) for e in evaluations]),
        "mean IoU of a frame": (SCORE, [_means(v, lambda r: r.mean_iou) for v in records]),
        "consistency": (SCORE, [_means(v, lambda r: r.consistency) for v in records]),
    }
    names = dict.fromkeys(
        video for _, by_run in columns.values() for found in by_run for video in found
    )
    kept = {
        title: (measure, by_run)
        for title, (measure, by_run) in columns.items()
        if any(value is not None for found in by_run for value in found.values())
    }
    return Table(
        tuple(kept),
        tuple(
            Row(
                name,
                tuple(make_cells([f.get(name) for f in by_run], m) for m, by_run in kept.values()),
            )
            for name in names
        ),
    )


def _grouped(
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
    return Table(("mean IoU", "pixel accuracy", "frames"), tuple(rows))


def _ground_truth_shares(evaluation: Evaluation) -> Mapping[str, float]:
    pixels = metrics.total_confusion(evaluation).sum(axis=1)
    return metrics.by_class(evaluation, pixels / max(1, pixels.sum()))


def _share_text(share: float) -> str:
    if not share:
        return ""
    return percent(share) if share >= _SMALLEST_SHARE else f"< {percent(_SMALLEST_SHARE)}"


def _by_video(evaluation: Evaluation) -> dict[str, list[FrameRecord]]:
    found: dict[str, list[FrameRecord]] = {}
    for record in evaluation.frames:
        found.setdefault(record.video, []).append(record)
    return found


def _without_zeros(numbers: Mapping[str, int]) -> dict[str, float | None]:
    return {video: number or None for video, number in numbers.items()}


def _means(
    videos: Mapping[str, Sequence[FrameRecord]], value: Callable[[FrameRecord], float | None]
) -> dict[str, float | None]:
    """Return the mean of each video over the frames that have the value."""
    means: dict[str, float | None] = {}
    for video, records in videos.items():
        known = [found for record in records if (found := value(record)) is not None]
        means[video] = float(np.mean(known)) if known else None
    return means
