"""Ours against the plain formulation of the same network, in one process, in turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tdnet.checkpoints.weights import load_weights
from tdnet.network import create_model
from tdnet.segmenter import StreamingSegmenter
from tdnet_offline.benchmark.plain_network import PlainNetwork
from tdnet_offline.benchmark.plain_segmenter import PlainSegmenter
from tdnet_offline.benchmark.result import Comparison
from tdnet_offline.benchmark.timed_frames import Image, Ours, Plain, Times, frame_numbers
from tdnet_offline.evaluation.metrics import percentiles


def plain_formulation(segmenter: StreamingSegmenter, weights: Path) -> Plain:
    """Build the plain formulation of a segmenter's network, on the same device.

    Args:
        segmenter: ours.
        weights: file that it was loaded from.
    """
    model = create_model(
        segmenter.variant,
        num_classes=segmenter.class_map.num_network_classes,
        input_size=segmenter.input_size,
    )
    load_weights(model, weights)
    network = PlainNetwork(model.variant, model.num_classes, model.input_size)
    network.load(model.state_dict())
    return Plain(PlainSegmenter(network, segmenter.class_map, model.input_size, segmenter.device))


def label_agreement(
    ours: Ours, plain: Plain, images: Iterator[Image], paths: int, size: tuple[int, int]
) -> float:
    """Give the share of the pixels with the same label, of a frame with a full memory.

    Frames have the network's size here, since the two resize in different ways.

    Args:
        ours: our stream; its memory is empty before and after.
        plain: with an empty memory, which is full afterwards.
        images: without end.
        paths: N.
        size: height and width of the network input.
    """
    equal = 0.0
    for _ in range(paths + 1):
        image = cv2.resize(next(images), size[::-1], interpolation=cv2.INTER_AREA)
        picture = np.asarray(image, np.uint8)
        equal = float((ours.step(picture) == plain.step(picture)).mean())
    ours.reset()
    return equal


def take_turns(
    ours: Ours, plain: Plain, images: Iterator[Image], num_frames: int | None, seconds: float
) -> tuple[Times, Times]:
    """Segment each frame by both, one after the other; who begins changes from frame to frame.

    Args:
        ours: our stream, with a full memory.
        plain: with a full memory.
        images: without end.
        num_frames: how many; None: as many as fit into the time.
        seconds: the time.

    Returns:
        The times of ours, and of the plain formulation.
    """
    times, plain_times = Times(), Times()
    for number in frame_numbers(num_frames, seconds):
        image = next(images)
        if number % 2:
            plain.step(image, plain_times)
            ours.step(image, times)
        else:
            ours.step(image, times)
            plain.step(image, plain_times)
    return times, plain_times


def compare(
    ours: Ours,
    plain: Plain,
    images: Iterator[Image],
    segmenter: StreamingSegmenter,
    num_frames: int | None,
    seconds: float,
) -> Comparison:
    """Compare labels, then times.

    Args:
        ours: a stream of the segmenter.
        plain: of the same network, with an empty memory.
        images: without end.
        segmenter: ours.
        num_frames: how many are timed; None: as many as fit into the time.
        seconds: the time.
    """
    paths = segmenter.variant.paths
    ours.reset()
    agreement = label_agreement(ours, plain, images, paths, segmenter.input_size)
    for _ in range(paths):
        image = next(images)
        ours.step(image)
        plain.step(image)
    times, plain_times = take_turns(ours, plain, images, num_frames, seconds)
    mine, theirs = (percentiles(each.frame_to_labels) for each in (times, plain_times))
    return Comparison(
        frame_to_labels_ms=mine,
        plain_frame_to_labels_ms=theirs,
        plain_stages_ms=plain_times.stage_percentiles(),
        ratio=theirs.p50 / mine.p50,
        label_agreement=agreement,
    )
