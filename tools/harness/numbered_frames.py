"""The frames of the camera: drawn, numbered in their stamps, recognised by their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tdnet_offline.street import StreetDrive

Image8 = npt.NDArray[np.uint8]

NUM_FRAMES = 24
FRAME_SIZE = (360, 640)
OTHER_FRAME = 999
"""Number in the stamp of a message that shows none of the drawn frames."""

_SEED = 1_000_123
# Frames per second of the drive. At this distance the labels of two frames differ in more pixels
# than the labels of one frame with two different memories.
_RATE = 0.5
_GRID = (60, 106)


def draw_frames(path: Path) -> Image8:
    """Draw the frames and save them, so that a restarted camera loads them at once.

    Returns:
        (NUM_FRAMES, H, W, 3) uint8 RGB.
    """
    drive = StreetDrive(_SEED, FRAME_SIZE, _RATE)
    images = np.stack([drive.frame(index).image for index in range(NUM_FRAMES)])
    np.save(path, images)
    return images


def resized(image: Image8, size: tuple[int, int]) -> Image8:
    """Return an image at another size: (H, W, 3) uint8 RGB."""
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def numbered_stamp(time_ns: int, number: int) -> int:
    """Return a time in nanoseconds with its last three digits replaced by a frame's number."""
    return time_ns // 1000 * 1000 + number


def frame_number(stamp_ns: int) -> int:
    """Return the number of the frame that carries a stamp."""
    return stamp_ns % 1000


class LabelTable:
    """Finds the frame that a label image belongs to.

    Args:
        labels: (H, W) uint8 class ids of each frame, in order.
    """

    def __init__(self, labels: Sequence[Image8]) -> None:
        self._grids = np.stack([_grid(image) for image in labels])

    def nearest(self, labels: Image8) -> int:
        """Return the number of the frame with the most equal pixels; labels may have any size."""
        equal = (self._grids == _grid(labels)).mean(axis=(1, 2))
        return int(equal.argmax())


def _grid(labels: Image8) -> Image8:
    rows = (np.arange(_GRID[0]) + 0.5) * labels.shape[0] / _GRID[0]
    columns = (np.arange(_GRID[1]) + 0.5) * labels.shape[1] / _GRID[1]
    return labels[rows.astype(int)][:, columns.astype(int)]
