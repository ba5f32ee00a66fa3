"""Time of each stage of a frame, measured on the device that does the work."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise

import torch


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds of each stage; on CUDA, times of the device.

    Attributes:
        preprocess: upload, resize and normalise.
        network: sub-network, attention propagation, head; the memory if it was not committed.
        postprocess: resize of the logits, labels, confidence; with the fused kernels of a GPU
            also the blending of the overlay.
        overlay: legend, and blending if it is not part of postprocess; 0 without an overlay.
        download: copies to the CPU.
    """

    preprocess: float
    network: float
    postprocess: float
    overlay: float
    download: float

    @property
    def total(self) -> float:
        """Milliseconds of all stages together."""
        return self.preprocess + self.network + self.postprocess + self.overlay + self.download


class StageClock:
    """Marks the ends of stages without waiting for the device.

    One clock serves all frames of a stream; its events are created with the first one.

    Args:
        device: device of the stages.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: list[torch.cuda.Event] = []
        self._marks = 0
        self._seconds: list[float] = []

    def begin(self) -> None:
        """Begin the first stage of a frame."""
        self._marks = 0
        self._seconds.clear()
        self.mark()

    def mark(self) -> None:
        """End a stage and begin the next."""
        if self._device.type == "cuda":
            if self._marks == len(self._events):
                self._events.append(torch.cuda.Event(enable_timing=True))
            self._events[self._marks].record(torch.cuda.current_stream(self._device))
            self._marks += 1
        else:
            self._seconds.append(time.perf_counter())

    def milliseconds(self) -> list[float]:
        """Return the duration of each stage; on CUDA, wait for the last mark."""
        if self._device.type == "cuda":
            events = self._events[: self._marks]
            events[-1].synchronize()
            return [begin.elapsed_time(end) for begin, end in pairwise(events)]
        return [(end - begin) * 1e3 for begin, end in pairwise(self._seconds)]

    def times(self, after_download: float) -> StageTimes:
        """Return the stages of a frame; on CUDA, wait for the last mark.

        Args:
            after_download: milliseconds of the overlay on the CPU after the last mark.
        """
        times = StageTimes(*self.milliseconds())
        return replace(times, overlay=times.overlay + after_download) if after_download else times
