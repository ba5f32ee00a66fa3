"""Percentiles and the longest gap of the published frames of a camera."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from tdnet._util.percentiles import Percentiles, percentiles
from tdnet_ros.camera.frame_trace import STAGES, FrameTrace

# Frames that the percentiles are taken over.
FRAMES = 200
_AGE = len(STAGES)
_PUBLISHED = _AGE + 1


class FrameStatistics:
    """The newest published frames of one camera; written and read by different threads.

    Attributes:
        memory_use: path and memory frames of the newest frame; None before a frame.
        longest_gap: longest interval between two frames since `forget_gaps`, in seconds.
    """

    def __init__(self, frames: int = FRAMES) -> None:
        self._lock = threading.Lock()
        self._rows = np.full((frames, _PUBLISHED + 1), np.nan)
        self._count = 0
        self.memory_use: tuple[int, int] | None = None
        self.longest_gap = 0.0

    def add(self, frame: FrameTrace) -> None:
        """Add a published frame."""
        row = (*frame.milliseconds(), frame.age_ms, frame.published)
        with self._lock:
            if self._count:
                last = self._rows[(self._count - 1) % len(self._rows), _PUBLISHED]
                self.longest_gap = max(self.longest_gap, float(frame.published - last))
            self._rows[self._count % len(self._rows)] = row
            self._count += 1
        self.memory_use = frame.result.path, frame.result.memory_frames

    def forget_gaps(self) -> None:
        """Forget the gaps that are over; the one that runs counts in full."""
        with self._lock:
            self.longest_gap = 0.0

    def latency(self) -> Mapping[str, Percentiles]:
        """Return the percentiles by stage, in the order of `STAGES`; empty before a frame."""
        rows = self._newest()
        if not len(rows):
            return {}
        return {stage: percentiles(rows[:, i]) for i, stage in enumerate(STAGES)}

    def age(self, since: float = 0.0) -> Percentiles | None:
        """Return the percentiles of the age of frames published since; None if none has one."""
        rows = self._newest()
        ages = rows[rows[:, _PUBLISHED] >= since, _AGE]
        ages = ages[~np.isnan(ages)]
        return percentiles(ages) if len(ages) else None

    def _newest(self) -> np.ndarray:
        with self._lock:
            return self._rows[: self._count].copy()
