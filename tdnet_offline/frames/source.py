"""The interface of frame sources: images in order, and a reason for each that is refused."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tdnet.continuity import FrameInfo


@dataclass(frozen=True)
class Frame:
    """One camera image.

    Attributes:
        name: unique within the source; used as file name of outputs.
        stamp_ns: acquisition time in nanoseconds; None if the source has none.
        frame_id: name of the camera's coordinate frame; empty if the source has none.
        image: (H, W, 3) uint8 RGB.
    """

    name: str
    stamp_ns: int | None
    frame_id: str
    image: npt.NDArray[np.uint8]

    @property
    def info(self) -> FrameInfo:
        """What decides whether the frame continues the one before."""
        height, width = self.image.shape[:2]
        return FrameInfo(self.stamp_ns, (height, width), self.frame_id)


@dataclass(frozen=True)
class RefusedFrame:
    """A frame that cannot be decoded; the source continues with the next one.

    Attributes:
        name: its position in the source.
        reason: one line.
    """

    name: str
    reason: str


class FrameSource(ABC):
    """Frames in order; can be iterated several times.

    Attributes:
        description: one line for the progress bar.
        num_frames: number of frames; None if unknown beforehand.
        frame_rate: frames a second; None if unknown.
    """

    description: str
    num_frames: int | None
    frame_rate: float | None

    @abstractmethod
    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        """Yield the frames, oldest first."""


def median_rate(stamps_ns: Iterable[int]) -> float | None:
    """Return frames a second by the median gap of timestamps; None if there is no positive one."""
    gaps = [later - earlier for earlier, later in pairwise(stamps_ns)]
    gap = statistics.median(gaps) if gaps else 0
    return 1e9 / gap if gap > 0 else None
