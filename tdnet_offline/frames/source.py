"""What every source of frames gives: pictures in order, and a word for each that is broken."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """One camera image.

    Attributes:
        name: unique within the source; outputs take it as file name.
        stamp_ns: acquisition time in nanoseconds; None where the source has none.
        frame_id: name of the camera's coordinate frame; empty where the source has none.
        image: (H, W, 3) uint8 RGB.
    """

    name: str
    stamp_ns: int | None
    frame_id: str
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RefusedFrame:
    """A frame that cannot be decoded; the source goes on with the next one.

    Attributes:
        name: where it is in the source.
        reason: one line.
    """

    name: str
    reason: str


class FrameSource(ABC):
    """Frames in order, as often as it is iterated.

    Attributes:
        description: one line for the progress bar.
        num_frames: how many there are; None if that is not known beforehand.
        frame_rate: frames a second; None if the source does not say.
    """

    description: str
    num_frames: int | None
    frame_rate: float | None

    @abstractmethod
    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        """Yields the frames, oldest first."""
