"""Scores of an evaluation by its counts: IoU, accuracy, boundary F-score, consistency, times.

A score is a share, 0 to 1, or NaN if nothing was counted; docs/evaluation.md defines them.
`Evaluation` documents the counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from tdnet._util.percentiles import Percentiles, percentiles
from tdnet_offline.evaluation.result import Counts, Evaluation, WithheldMemory

Scores = npt.NDArray[np.float64]


def total_confusion(evaluation: Evaluation) -> Counts:
    """Sum the confusions of all paths and memory fills: (K, K + 1)."""
    size = len(evaluation.setting.class_names)
    return sum(evaluation.confusions.values(), np.zeros((size, size + 1), np.int64))


def confusion_by_path(evaluation: Evaluation) -> dict[int, Counts]:
    """Sum the confusions of each sub-network, ascending, for all memory fills."""
    return _grouped(evaluation, 0)


def confusion_by_memory(evaluation: Evaluation) -> dict[int, Counts]:
    """Sum the confusions of each number of memory frames, ascending, for all sub-networks."""
    return _grouped(evaluation, 1)


def class_iou(confusion: Counts) -> Scores:
    """Return the IoU of each class: hits / (true + predicted - hits); NaN if it is in neither.

    Of (K, K) or (K, K + 1) counts, whose additional last column holds pixels without a label.
    """
    size = confusion.shape[0]
    hits = np.diagonal(confusion)[:size]
    return _share(hits, confusion.sum(axis=1) + confusion[:, :size].sum(axis=0) - hits)


def mean_iou(confusion: Counts) -> float:
    """Average the IoU over the classes that are true or predicted; NaN without pixels."""
    return _mean(class_iou(confusion))


def pixel_accuracy(confusion: Counts) -> float:
    """Return the share of the pixels that have the true class; NaN without pixels."""
    return float(_share(np.trace(confusion), confusion.sum()))


def class_boundary_f(boundary: Counts) -> Scores:
    """Return the boundary F-score of each class: harmonic mean of precision and recall.

    NaN for a class without a boundary in ground truth and labels, 0 if only one has.
    """
    predicted, near_true, true, near_predicted = boundary.T
    precision = np.nan_to_num(_share(near_true, predicted))
    recall = np.nan_to_num(_share(near_predicted, true))
    f_score = np.nan_to_num(_share(2 * precision * recall, precision + recall))
    return np.where((predicted == 0) & (true == 0), np.nan, f_score)


def mean_boundary_f(boundary: Counts) -> float:
    """Average the boundary F-score over the classes that have one; NaN if none has."""
    return _mean(class_boundary_f(boundary))


def agreement(consistency: Counts) -> float:
    """Return the share of the pixels whose label stayed the same; NaN without pixels."""
    return pixel_accuracy(consistency)


def class_consistency(consistency: Counts) -> Scores:
    """Return the IoU of each class with itself in the previous frame; (K,), NaN if in neither."""
    return class_iou(consistency)[:-1]


def mean_consistency(consistency: Counts) -> float:
    """Average the IoU with the previous frame over the classes; NaN without pixels."""
    return _mean(class_consistency(consistency))


def video_consistency(evaluation: Evaluation, length: Literal[8, 16]) -> float:
    """Average VC8 or VC16 over all clips of so many frames; NaN without clips."""
    scores = [getattr(record, f"vc{length}") for record in evaluation.frames]
    return _mean(np.array([score for score in scores if score is not None]))


def memory_gain(withheld: WithheldMemory) -> float:
    """Return the mean IoU with the memory less that without; NaN without pixels."""
    return mean_iou(withheld.used) - mean_iou(withheld.withheld)


def changed_share(withheld: WithheldMemory) -> float:
    """Return the share of the pixels whose label changes if the memory is withheld."""
    return float(_share(withheld.changed, withheld.pixels))


def stage_percentiles(evaluation: Evaluation) -> dict[str, Percentiles]:
    """Return the milliseconds of each stage, ``total`` last; empty without frames."""
    stages: dict[str, list[float]] = {}
    for record in evaluation.frames:
        for stage, milliseconds in record.stages_ms.items():
            stages.setdefault(stage, []).append(milliseconds)
    return {stage: percentiles(values) for stage, values in stages.items()}


def age_percentiles(evaluation: Evaluation) -> Percentiles | None:
    """Return the milliseconds from due frame to labels; None unless paced."""
    ages = [record.age_ms for record in evaluation.frames if record.age_ms is not None]
    return percentiles(ages) if ages else None


def drop_share(evaluation: Evaluation) -> float:
    """Return the share of the readable frames that newer ones superseded."""
    dropped = sum(evaluation.dropped.values())
    return float(_share(dropped, dropped + len(evaluation.frames)))


def by_class(evaluation: Evaluation, scores: Scores) -> Mapping[str, float]:
    """Return (K,) scores by class name, in ascending order of class id."""
    names = [name for _, name in sorted(evaluation.setting.class_names.items())]
    return dict(zip(names, scores.tolist(), strict=True))


def _grouped(evaluation: Evaluation, key: int) -> dict[int, Counts]:
    groups: dict[int, Counts] = {}
    for keys, counts in evaluation.confusions.items():
        groups[keys[key]] = groups.get(keys[key], 0) + counts
    return dict(sorted(groups.items()))


def _share(part: npt.ArrayLike, whole: npt.ArrayLike) -> Scores:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(scores: Scores) -> float:
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
