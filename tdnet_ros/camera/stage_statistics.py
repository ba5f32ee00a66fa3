"""How long frames take by stage, and how old they are when they go out: percentiles."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tdnet._util.stage_clock import StageTimes
from tdnet_ros.camera.status import FrameTimes

# Frames that the percentiles are taken over.
FRAMES = 200
STAGES = (
    "wait",
    "convert",
    "preprocess",
    "network",
    "postprocess",
    "overlay",
    "download",
    "publish",
    "total",
)
_AGE = len(STAGES)
_PUBLISHED = _AGE + 1


@dataclass(frozen=True)
class Percentiles:
    """The values that 50, 95 and 99 percent of the frames stay below, in milliseconds."""

    p50: float
    p95: float
    p99: float


class StageStatistics:
    """The newest published frames of one camera; written and read by different threads.

    Args:
        frames: how many count.
    """

    def __init__(self, frames: int = FRAMES) -> None:
        self._lock = threading.Lock()
        self._rows = np.full((frames, _PUBLISHED + 1), np.nan)
        self._count = 0

    def add(self, times: FrameTimes, stages: StageTimes, age_ms: float) -> None:
        """Note a published frame.

        Args:
            times: when it reached each stage.
            stages: milliseconds of the network's stages; on CUDA the device's own time.
            age_ms: stamp to publication; NaN where it is not known.
        """
        row = (
            times.wait_ms,
            times.convert_ms,
            stages.preprocess,
            stages.network,
            stages.postprocess,
            stages.overlay,
            stages.download,
            times.publish_ms,
            times.total_ms,
            age_ms,
            times.published,
        )
        with self._lock:
            self._rows[self._count % len(self._rows)] = row
            self._count += 1

    def latency(self) -> Mapping[str, Percentiles]:
        """Give the percentiles by stage, in the order of `STAGES`; none before a frame."""
        rows = self._newest()
        if not len(rows):
            return {}
        p50, p95, p99 = np.percentile(rows[:, :_AGE], (50, 95, 99), axis=0)
        return {
            stage: Percentiles(float(p50[i]), float(p95[i]), float(p99[i]))
            for i, stage in enumerate(STAGES)
        }

    def age(self, since: float = 0.0) -> Percentiles | None:
        """Give the percentiles of the age; None where it is not known of any frame.

        Args:
            since: only frames published from then on count: seconds of `time.perf_counter`.
        """
        rows = self._newest()
        ages = rows[rows[:, _PUBLISHED] >= since, _AGE]
        ages = ages[~np.isnan(ages)]
        if not len(ages):
            return None
        return Percentiles(*(float(value) for value in np.percentile(ages, (50, 95, 99))))

    def _newest(self) -> np.ndarray:
        with self._lock:
            return self._rows[: self._count].copy()
