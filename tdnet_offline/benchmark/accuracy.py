"""What a precision costs: labels against those of float32, and against the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tdnet.settings import SegmenterSettings
from tdnet_offline.benchmark.camera_frames import DISTINCT
from tdnet_offline.benchmark.plan import TORCH
from tdnet_offline.benchmark.result import Accuracy
from tdnet_offline.benchmark.timed_frames import OPTIONS
from tdnet_offline.benchmark.weights import RANDOM
from tdnet_offline.datasets import Dataset
from tdnet_offline.evaluation.confusion import ClassAxis
from tdnet_offline.evaluation.metrics import mean_iou
from tdnet_offline.evaluation.result import Counts
from tdnet_offline.evaluation.sources import check_same_classes

STREET = "street:1000000-1000007,frames=8"
"""Drives that no training has seen."""
REFERENCE = "float32"

Image = npt.NDArray[np.uint8]
Video = Iterable[tuple[Image, Image | None]]


def videos_of(dataset: Dataset) -> Iterator[Video]:
    """Give the videos of a data set: frames in order, each with its labels if it has some."""
    for video in dataset.videos:
        labelled = frozenset(video.labelled)
        yield (
            (video.frame(i).image, video.labels(i) if i in labelled else None)
            for i in range(video.num_frames)
        )


def first_frames(dataset: Dataset) -> Video:
    """Give the first frames of a data set without their labels: enough to compare two networks."""
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
    """Segment videos in several precisions, each video from an empty memory.

    Args:
        settings: of the network; its precision is of no effect.
        precisions: names, without ``auto``; float32 in PyTorch is what they are compared with,
            and is among the results of that runtime whether it is there or not; without any, there
            are no results.
        videos: frames with their labels, (H, W, 3) and (H, W) uint8.
        weights: how they are called; ``random`` ones are not scored.
        source: what the frames are, in words.
        dataset: whose class map the true labels follow; None: there are none.
        exported: folder for each precision, where the runtime is not PyTorch.

    Raises:
        TdnetError: the network cannot be loaded, the device failed, or the true labels are of
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
        for image, truth in video:
            labels = [segmenter.step(image, OPTIONS).labels for segmenter in segmenters]
            for number, given in enumerate(labels):
                equal[number].append(float((given == labels[0]).mean()))
                if truth is not None:
                    scored[number] += axis.confusion(truth, given)

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
