"""Camera frames whose labels can be told apart, and stamps that say which frame is which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from std_msgs.msg import Header

from tdnet_offline.street import StreetDrive

Image8 = npt.NDArray[np.uint8]

NUM_CONTENTS = 24
CONTENT_SIZE = (360, 640)
OTHER_CONTENT = 999
"""In the stamp of a message that is none of the frames."""

_SEED = 1_000_123
# Frames a second of the drive: so far apart that the labels of two frames always differ in more
# pixels than a frame's own labels do with another past.
_RATE = 0.5
_GRID = (60, 106)


def draw_contents(path: Path) -> Image8:
    """Draw the frames and keep them in a file, so that a camera that restarts has them at once.

    Returns:
        (NUM_CONTENTS, H, W, 3) uint8 RGB.
    """
    drive = StreetDrive(_SEED, CONTENT_SIZE, _RATE)
    images = np.stack([drive.frame(index).image for index in range(NUM_CONTENTS)])
    np.save(path, images)
    return images


def resized(image: Image8, size: tuple[int, int]) -> Image8:
    """Give a frame as a camera of another size sends it: (H, W, 3) uint8 RGB."""
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def stamp_of(time_ns: int, content: int) -> int:
    """Give a time in nanoseconds whose last three digits are the number of a frame."""
    return time_ns // 1000 * 1000 + content


def content_of(stamp_ns: int) -> int:
    """Give the number of the frame that carries a stamp."""
    return stamp_ns % 1000


def stamp_ns(header: Header) -> int:
    """Give the stamp of a message in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


class LabelTable:
    """Tells whose labels a label image holds.

    Args:
        labels: (H, W) uint8 class ids of each frame, in order.
    """

    def __init__(self, labels: Sequence[Image8]) -> None:
        self._grids = np.stack([_grid(image) for image in labels])

    def nearest(self, labels: Image8) -> int:
        """Give the number of the frame with the most equal pixels; labels of any size."""
        equal = (self._grids == _grid(labels)).mean(axis=(1, 2))
        return int(equal.argmax())


def _grid(labels: Image8) -> Image8:
    rows = (np.arange(_GRID[0]) + 0.5) * labels.shape[0] / _GRID[0]
    columns = (np.arange(_GRID[1]) + 0.5) * labels.shape[1] / _GRID[1]
    return labels[rows.astype(int)][:, columns.astype(int)]
