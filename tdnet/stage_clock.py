"""Where a frame's time goes, measured where the work is done."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds that each stage took; on CUDA the device's own time.

    Attributes:
        preprocess: upload, resize and normalise.
        network: sub-network, attention propagation, head; the memory where it was not prepared.
        postprocess: resize of the logits, labels, confidence.
        overlay: blending and legend; 0 without an overlay.
        download: copies to the host.
    """

    preprocess: float
    network: float
    postprocess: float
    overlay: float
    download: float

    @property
    def total(self) -> float:
        """Milliseconds of all stages."""
        return self.preprocess + self.network + self.postprocess + self.overlay + self.download


class StageClock:
    """Marks the ends of stages, without waiting for the device in between.

    Args:
        device: where the stages run.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: list[torch.cuda.Event] = []
        self._seconds: list[float] = []

    def mark(self) -> None:
        """End a stage and begin the next; the first mark only begins."""
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self._device))
            self._events.append(event)
        else:
            self._seconds.append(time.perf_counter())

    def milliseconds(self) -> list[float]:
        """Duration of each stage; on CUDA this waits for the last mark."""
        if self._device.type == "cuda":
            self._events[-1].synchronize()
            pairs = zip(self._events, self._events[1:], strict=False)
            return [begin.elapsed_time(end) for begin, end in pairs]
        spans = zip(self._seconds, self._seconds[1:], strict=False)
        return [(end - begin) * 1e3 for begin, end in spans]
