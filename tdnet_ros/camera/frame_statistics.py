"""Percentiles and longest gaps of the published frames of a camera."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tdnet_ros.camera.frame_trace import STAGES, FrameTrace

# Frames that the percentiles are taken over.
FRAMES = 200
_AGE = len(STAGES)
_PUBLISHED, _PATH, _MEMORY = range(_AGE + 1, _AGE + 4)


@dataclass(frozen=True)
class Percentiles:
    """The values that 50, 95 and 99 percent of the frames stay below, in milliseconds."""

    p50: float
    p95: float
    p99: float


class FrameStatistics:
    """The newest published frames of one camera; written and read by different threads.

    Args:
        frames: number of frames that count.
    """

    def __init__(self, frames: int = FRAMES) -> None:
        self._lock = threading.Lock()
        self._rows = np.full((frames, _MEMORY + 1), np.nan)
        self._count = 0

    def add(self, frame: FrameTrace) -> None:
        """Add a published frame."""
        result = frame.result
        row = (
            *frame.milliseconds(),
            frame.age_ms,
            frame.published,
            result.path,
            result.memory_frames,
        )
        with self._lock:
            self._rows[self._count % len(self._rows)] = row
            self._count += 1

    def latency(self) -> Mapping[str, Percentiles]:
        """Return the percentiles by stage, in the order of `STAGES`; empty before a frame."""
        rows = self._newest()
        if not len(rows):
            return {}
        p50, p95, p99 = np.percentile(rows[:, :_AGE], (50, 95, 99), axis=0)
        return {
            stage: Percentiles(float(p50[i]), float(p95[i]), float(p99[i]))
            for i, stage in enumerate(STAGES)
        }

    def age(self, since: float = 0.0) -> Percentiles | None:
        """Return the percentiles of the age; None if no frame has one.

        Args:
            since: only frames published from then on count: seconds of `time.perf_counter`.
        """
        rows = self._newest()
        ages = rows[rows[:, _PUBLISHED] >= since, _AGE]
        ages = ages[~np.isnan(ages)]
        if not len(ages):
            return None
        return Percentiles(*(float(value) for value in np.percentile(ages, (50, 95, 99))))

    def memory_use(self) -> tuple[int | None, int]:
        """Return path and memory frames of the newest frame; None and 0 before a frame."""
        with self._lock:
            if not self._count:
                return None, 0
            row = self._rows[(self._count - 1) % len(self._rows)]
            return int(row[_PATH]), int(row[_MEMORY])

    def _newest(self) -> np.ndarray:
        with self._lock:
            return self._rows[: self._count].copy()


class OutputGaps:
    """The longest interval between two published frames since a moment; from any thread.

    The interval that runs at that moment counts in full: a load that begins just after a frame
    delays the next one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: float | None = None
        self._longest = 0.0

    def restart(self) -> None:
        """Forget the intervals that are over."""
        with self._lock:
            self._longest = 0.0

    def published(self, now: float) -> None:
        """End an interval and begin the next: seconds of `time.perf_counter`."""
        with self._lock:
            if self._last is not None:
                self._longest = max(self._longest, now - self._last)
            self._last = now

    @property
    def longest(self) -> float:
        """Longest of the intervals that ended since the restart, in seconds; 0: none did."""
        return self._longest
