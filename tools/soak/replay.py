"""Compares label images of the node with those of the library for the same frames."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass

from tdnet import SegmenterSettings, StreamingSegmenter
from tools.harness.numbered_frames import Image8

# Seconds between two comparisons; each costs as much time as the node needs for four frames.
PERIOD = 10.0
# Share of the pixels; another order of float operations can change a few.
EQUAL_SHARE = 0.999


@dataclass(frozen=True)
class LabelSample:
    """A label image, and the frames that the memory held.

    Attributes:
        frames: numbers of the frames, from the oldest in memory to the frame itself.
        labels: (H, W) uint8 of the last frame.
        model: that the node reported last, in words.
    """

    frames: tuple[int, ...]
    labels: Image8
    model: str = ""


class Replay:
    """Segments samples with the library, in a thread.

    Args:
        images: (N, H, W, 3) uint8 RGB, the frames.
        settings: of the node at its start.

    Attributes:
        results: the problem of each comparison since `take_results`; empty: equal labels.
    """

    def __init__(self, images: Image8, settings: SegmenterSettings) -> None:
        self.results: list[str] = []
        self._images = images
        self._segmenters = {settings: settings.build()}
        self._used = [settings]
        self._samples: queue.Queue[LabelSample | None] = queue.Queue()
        self._offered = 0.0
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._thread.start()

    def use(self, settings: SegmenterSettings) -> None:
        """Compare with this model first; a frame in progress may still be of an earlier one."""
        self._used = [settings, *(used for used in self._used if used != settings)]

    def references(self) -> list[Image8]:
        """Return the labels of every frame, each with the frames before it in memory."""
        (segmenter,) = self._segmenters.values()
        stream = segmenter.open_stream()
        labels = [stream.step(image).labels for image in (*self._images, *self._images)]
        return labels[len(self._images) :]

    def due(self) -> bool:
        """Return whether PERIOD has passed since the last sample."""
        return self._samples.empty() and time.monotonic() - self._offered > PERIOD

    def offer(self, sample: LabelSample) -> None:
        """Queue a sample for comparison."""
        self._offered = time.monotonic()
        self._samples.put(sample)

    def take_results(self) -> list[str]:
        """Return the results since the last call."""
        results, self.results = self.results, []
        return results

    def close(self) -> None:
        """Finish the queued samples."""
        self._samples.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (sample := self._samples.get()) is not None:
            tried: list[tuple[float, str]] = []
            for settings in self._used:
                if settings not in self._segmenters:
                    self._segmenters[settings] = settings.build()
                segmenter = self._segmenters[settings]
                labels = self._labels(segmenter, sample)
                share = float((labels == sample.labels).mean())
                tried.append((share, f"{segmenter.precision}, {segmenter.runtime}"))
                if share >= EQUAL_SHARE:
                    break
            share, model = max(tried)
            problem = (
                f"labels of frames {sample.frames} equal the library's in only {share:.2%} "
                f"(node: {sample.model}; library: {model})"
            )
            self.results.append("" if share >= EQUAL_SHARE else problem)

    def _labels(self, segmenter: StreamingSegmenter, sample: LabelSample) -> Image8:
        stream = segmenter.open_stream()
        for number in sample.frames:
            result = stream.step(self._images[number])
        return result.labels
