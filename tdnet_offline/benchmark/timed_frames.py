"""Both formulations with the same face: a camera frame in, labels out, and the time it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt
import torch

from tdnet._util.stage_clock import StageTimes
from tdnet.frames.postprocess import OutputOptions
from tdnet.segmenter import Stream
from tdnet_offline.benchmark.counting import count
from tdnet_offline.benchmark.plain_segmenter import PlainSegmenter
from tdnet_offline.benchmark.result import Counts
from tdnet_offline.evaluation.metrics import Percentiles, percentiles

LEAST_FRAMES = 8
MOST_FRAMES = 500
OPTIONS = OutputOptions(confidence=False)

Image = npt.NDArray[np.uint8]


@dataclass
class Times:
    """Milliseconds of the frames of one formulation.

    Attributes:
        frame_to_labels: of each frame.
        stages: of each frame, by stage.
        after: what followed each frame's labels, for the next one.
    """

    frame_to_labels: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    def stage_percentiles(self) -> dict[str, Percentiles]:
        """Sum up the stages."""
        return {name: percentiles(each[name] for each in self.stages) for name in self.stages[0]}


class Ours:
    """A stream of our segmenter; what follows the labels is done, and timed, apart.

    Args:
        stream: with its network.
        device: of the network.
    """

    def __init__(self, stream: Stream, device: torch.device) -> None:
        self._stream = stream
        self._device = device

    def reset(self) -> None:
        """Empty the memory."""
        self._stream.reset()

    def step(self, image: Image, times: Times | None = None) -> Image:
        """Segment a frame; keep its times if asked to."""
        begin = time.perf_counter()
        result = self._stream.step(image, OPTIONS)
        out = time.perf_counter()
        self._stream.commit_memory()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        end = time.perf_counter()
        if times is not None:
            times.frame_to_labels.append((out - begin) * 1e3)
            times.stages.append(_stages(result.times))
            times.after.append((end - out) * 1e3)
        return result.labels

    def count(self, image: Image) -> tuple[Counts, Counts]:
        """Segment a frame and count what it makes PyTorch do, before and after the labels."""
        return count(lambda: self._stream.step(image, OPTIONS)), count(self._stream.commit_memory)


class Plain:
    """The plain formulation.

    Args:
        segmenter: with its network.
    """

    def __init__(self, segmenter: PlainSegmenter) -> None:
        self._segmenter = segmenter

    def step(self, image: Image, times: Times | None = None) -> Image:
        """Segment a frame; keep its times if asked to."""
        begin = time.perf_counter()
        labels = self._segmenter.step(image)
        if times is not None:
            times.frame_to_labels.append((time.perf_counter() - begin) * 1e3)
            times.stages.append(self._segmenter.stages_ms)
        return labels


def frame_numbers(count: int | None, seconds: float) -> Iterator[int]:
    """Number the frames of a measurement from 0.

    Args:
        count: how many; None: as many as fit into the time, `LEAST_FRAMES` to `MOST_FRAMES`.
        seconds: the time.
    """
    end = time.monotonic() + seconds
    for number in range(count or MOST_FRAMES):
        if count is None and number >= LEAST_FRAMES and time.monotonic() > end:
            return
        yield number


def _stages(times: StageTimes) -> dict[str, float]:
    """Give the stages that there are without an overlay."""
    names = (stage.name for stage in fields(times) if stage.name != "overlay")
    return {name: getattr(times, name) for name in names}
