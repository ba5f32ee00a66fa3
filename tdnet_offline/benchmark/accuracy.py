"""Accuracy of each precision: labels compared with those of float32 and with ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tdnet.settings import SegmenterSettings
from tdnet_offline.benchmark.benchmark_result import Accuracy
from tdnet_offline.benchmark.camera_frames import DISTINCT
from tdnet_offline.benchmark.cases import TORCH
from tdnet_offline.benchmark.measurement import LABELS_ONLY
from tdnet_offline.benchmark.weights import RANDOM
from tdnet_offline.datasets import Dataset
from tdnet_offline.evaluation.confusion import ClassAxis
from tdnet_offline.evaluation.metrics import mean_iou
from tdnet_offline.evaluation.result import Counts
from tdnet_offline.evaluation.sources import check_same_classes

STREET = "street:1000000-1000007,frames=8"
"""Held-out drives."""
REFERENCE = "float32"

Image = npt.NDArray[np.uint8]
Video = Iterable[tuple[Image, Image | None]]


def videos_of(dataset: Dataset) -> Iterator[Video]:
    """Yield the videos of a data set: frames in order, each with its ground truth or None."""
    for video in dataset.videos:
        labelled = frozenset(video.labelled)
        yield (
            (video.frame(i).image, video.labels(i) if i in labelled else None)
            for i in range(video.num_frames)
        )


def first_frames(dataset: Dataset) -> Video:
    """Return the first frames of a data set, without ground truth."""
    video = dataset.videos[0]
    return [(video.frame(i).image, None) for i in range(min(DISTINCT, video.num_frames))]


def measure_accuracy(
    settings: SegmenterSettings,
    precisions: Sequence[str],
    videos: Iterable[Video],
    *,
    weights: str,
    source: str,
    dataset: Dataset | None = None,
    exported: Mapping[str, Path] = MappingProxyType({}),
) -> list[Accuracy]:
    """Segment videos in several precisions; each video starts with an empty memory.

    Args:
        settings: settings of the network; `precision` has no effect.
        precisions: names, without ``auto``; all are compared with float32 in PyTorch. Results of
            PyTorch always include float32. If empty, the result is empty.
        videos: frames and ground truth, (H, W, 3) and (H, W) uint8.
        weights: name of the weights; ``random`` ones are not scored.
        source: description of the frames.
        dataset: data set with the class map of the ground truth; None: no ground truth.
        exported: folder of graphs by precision, for any runtime but PyTorch.

    Raises:
        TdnetError: the network cannot be loaded, the device failed, or the ground truth has
            other classes.
    """
    if not precisions:
        return []
    over_torch = settings.runtime == TORCH
    others = [name for name in precisions if not over_torch or name != REFERENCE]
    names = [REFERENCE, *others]
    segmenters = [replace(settings, precision=REFERENCE, runtime=TORCH).build()]
    for name in others:
        chosen = replace(settings, precision=name)
        if not over_torch:
            chosen = replace(settings, precision="auto", weights=str(exported[name]))
        segmenters.append(chosen.build())
    if dataset is not None:
        check_same_classes(segmenters[0].class_map, dataset.class_map)
    axis = ClassAxis(segmenters[0].class_map)
    scored: list[Counts] = [np.zeros((len(axis), len(axis) + 1), np.int64) for _ in names]
    equal: list[list[float]] = [[] for _ in names]
    for video in videos:
        for segmenter in segmenters:
            segmenter.reset()
        for image, ground_truth in video:
            labels = [segmenter.step(image, LABELS_ONLY).labels for segmenter in segmenters]
            for number, given in enumerate(labels):
                equal[number].append(float((given == labels[0]).mean()))
                if ground_truth is not None:
                    scored[number] += axis.confusion(ground_truth, given)

    def score(counts: Counts) -> float | None:
        return mean_iou(counts) if weights != RANDOM and counts.any() else None

    results = [
        Accuracy(
            variant=settings.variant,
            weights=weights,
            input_size=segmenter.input_size,
            device=str(segmenter.device),
            precision=name,
            source=source,
            frames=len(agreements),
            label_agreement=float(np.mean(agreements)),
            mean_iou=score(counts),
            mean_iou_float32=score(scored[0]),
            runtime=segmenter.runtime,
        )
        for name, segmenter, agreements, counts in zip(
            names, segmenters, equal, scored, strict=True
        )
    ]
    return results if over_torch else results[1:]
