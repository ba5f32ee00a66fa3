"""Compares label images of the node with those of the library for the same frames."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tdnet import SegmenterSettings, StreamingSegmenter
from tools.soak.contents import CONTENT_SIZE, Image8

# Seconds between two comparisons: each costs as much as the node's work on four frames.
PERIOD = 10.0
# Of the pixels; another order of float operations may turn a few.
EQUAL_SHARE = 0.999


@dataclass(frozen=True)
class Sample:
    """A label image whose memory held only frames that are known.

    Attributes:
        contents: numbers of the frames from the memory's first on, the last its own.
        labels: (H, W) uint8 of the last one.
    """

    contents: tuple[int, ...]
    labels: Image8


class Replay:
    """Runs samples through the library, in a thread.

    Args:
        images: (N, H, W, 3) uint8 RGB, the frames.
        settings: of the node at its start.
        report: called with what is wrong, or None where nothing is.
    """

    def __init__(
        self, images: Image8, settings: SegmenterSettings, report: Callable[[str | None], None]
    ) -> None:
        self._images = images
        self._segmenters = {settings: settings.build()}
        self._used = [settings]
        self._report = report
        self._samples: queue.Queue[Sample | None] = queue.Queue()
        self._offered = 0.0
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._thread.start()

    def use(self, settings: SegmenterSettings) -> None:
        """Compare with this model first from now on; a frame under way may be of one before."""
        self._used = [settings, *(used for used in self._used if used != settings)]

    def references(self) -> list[Image8]:
        """The labels of every frame, each with those before it in memory."""
        (segmenter,) = self._segmenters.values()
        stream = segmenter.open_stream()
        labels = [stream.step(image).labels for image in (*self._images, *self._images)]
        return labels[len(self._images) :]

    def due(self) -> bool:
        """Whether it is time for another sample."""
        return self._samples.empty() and time.monotonic() - self._offered > PERIOD

    def offer(self, sample: Sample) -> None:
        """Leave a sample to be compared."""
        self._offered = time.monotonic()
        self._samples.put(sample)

    def close(self) -> None:
        """Finish the samples under way."""
        self._samples.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (sample := self._samples.get()) is not None:
            shares = []
            for settings in self._used:
                if settings not in self._segmenters:
                    self._segmenters[settings] = settings.build()
                labels = self._labels(self._segmenters[settings], sample)
                shares.append(float((labels == sample.labels).mean()))
                if shares[-1] >= EQUAL_SHARE:
                    break
            best = max(shares)
            self._report(
                None
                if best >= EQUAL_SHARE
                else f"labels of frames {sample.contents} equal the library's in only {best:.2%}"
            )

    def _labels(self, segmenter: StreamingSegmenter, sample: Sample) -> Image8:
        stream = segmenter.open_stream()
        for content in sample.contents:
            result = stream.step(self._images[content])
        return result.labels


def is_comparable(labels: np.ndarray) -> bool:
    """Say whether a label image is of a frame as the camera usually sends it."""
    return labels.shape == CONTENT_SIZE
