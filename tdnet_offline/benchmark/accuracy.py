"""Accuracy of each precision: labels compared with those of float32 and with ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tdnet.backends import TORCH
from tdnet.variants import ADOPTED
from tdnet_offline.benchmark.benchmark_result import RANDOM, Accuracy
from tdnet_offline.benchmark.measurement import LABELS_ONLY, Job
from tdnet_offline.datasets import Dataset
from tdnet_offline.evaluation.confusion import ClassAxis
from tdnet_offline.evaluation.metrics import mean_iou
from tdnet_offline.evaluation.result import Counts
from tdnet_offline.evaluation.sources import check_same_classes

STREET = "street:1000000-1000007,frames=8"
"""Held-out drives."""
REFERENCE = "float32"
_UNSCORED_FRAMES = 8

Image = npt.NDArray[np.uint8]


def measure_accuracy(
    jobs: Sequence[Job], *, source: str, dataset: Dataset | None = None
) -> list[Accuracy]:
    """Segment frames as each job does, and with float32 in PyTorch; float32 is the first result.

    Adopted networks do not run in PyTorch: their own runtime computes in float32.

    Args:
        jobs: the same network, weights, input size and device in several precisions and runtimes.
        source: description of the frames.
        dataset: videos with ground truth, each of which starts with an empty memory; None: the
            frames of the jobs. Random weights segment a few frames of it and are not scored.

    Raises:
        TdnetError: the network cannot be loaded, the device failed, or the ground truth has
            other classes.
    """
    given = jobs[0].setting
    runtime = given.runtime if given.variant == ADOPTED.name else TORCH
    exact = replace(given, precision=REFERENCE, runtime=runtime)
    reference = replace(jobs[0], setting=exact, exported=None)
    chosen = {job.setting: job for job in (reference, *jobs)}
    segmenters = {setting: job.build_segmenter() for setting, job in chosen.items()}
    class_map = segmenters[exact].class_map
    if dataset is not None:
        check_same_classes(class_map, dataset.class_map)
    axis = ClassAxis(class_map)
    size = len(axis)
    confusion: dict[object, Counts] = {s: np.zeros((size, size + 1), np.int64) for s in chosen}
    equal: dict[object, list[float]] = {setting: [] for setting in chosen}
    for video in _videos(reference, dataset):
        for segmenter in segmenters.values():
            segmenter.reset()
        for image, ground_truth in video:
            labels = {s: each.step(image, LABELS_ONLY).labels for s, each in segmenters.items()}
            for setting, found in labels.items():
                equal[setting].append(float((found == labels[exact]).mean()))
                if ground_truth is not None:
                    confusion[setting] += axis.confusion(ground_truth, found)
    scores = {s: mean_iou(counts) if counts.any() else None for s, counts in confusion.items()}
    return [
        Accuracy(
            setting=setting,
            source=source,
            frames=len(equal[setting]),
            label_agreement=float(np.mean(equal[setting])),
            mean_iou=scores[setting],
            mean_iou_float32=scores[exact],
        )
        for setting in chosen
    ]


def _videos(job: Job, dataset: Dataset | None) -> Iterator[Iterator[tuple[Image, Image | None]]]:
    """Yield videos of frames and ground truth, (H, W, 3) and (H, W) uint8."""
    if dataset is None:
        yield ((image, None) for image in np.load(job.frames))
    elif job.setting.weights == RANDOM:
        # Labels of random weights are unrelated to the ground truth.
        video = dataset.videos[0]
        count = min(_UNSCORED_FRAMES, video.num_frames)
        yield ((video.frame(i).image, None) for i in range(count))
    else:
        for video in dataset.videos:
            labelled = frozenset(video.labelled)
            yield (
                (video.frame(i).image, video.labels(i) if i in labelled else None)
                for i in range(video.num_frames)
            )
