"""Camera frames of a benchmark: a synthetic street, or the user's images, video or bag."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError
from tdnet_offline.frames import RefusedFrame, open_source
from tdnet_offline.street import StreetDrive

Frames = npt.NDArray[np.uint8]

STREET_SEED = 1_000_000
DISTINCT = 8
"""Number of different frames."""
_SMALL, _LARGE = (480, 640), (1024, 2048)


def default_camera_size(input_size: tuple[int, int]) -> tuple[int, int]:
    """Return the frame size: 480 x 640 for network inputs up to that size, else 1024 x 2048."""
    return _SMALL if input_size[0] * input_size[1] <= _SMALL[0] * _SMALL[1] else _LARGE


def street_frames(size: tuple[int, int], seed: int = STREET_SEED, count: int = DISTINCT) -> Frames:
    """Render consecutive frames (count, H, W, 3) uint8 RGB of a street, of a size (H, W)."""
    drive = StreetDrive(seed, size)
    return np.stack([drive.frame(index).image for index in range(count)])


def read_frames(
    source: str | None, topic: str | None, size: tuple[int, int] | None = None
) -> Frames:
    """Read the first frames of a folder of images, a video or a bag.

    Args:
        source: its path; None: a synthetic street.
        topic: image topic of the bag; None if it has only one.
        size: height and width of the returned frames; None: not resized, or for the street the
            larger default.

    Returns:
        (F, H, W, 3) uint8 RGB, F being at most `DISTINCT`.

    Raises:
        InputError: no frame can be read, or the frames differ in size.
    """
    if source is None:
        return street_frames(size or _LARGE)
    frames: list[npt.NDArray[np.uint8]] = []
    for item in open_source(source, topic):
        if isinstance(item, RefusedFrame):
            continue
        height, width = size or item.image.shape[:2]
        if frames and frames[0].shape[:2] != (height, width):
            raise InputError(
                f"{source}: frame {item.name} is {height} x {width}, those before it "
                f"{frames[0].shape[0]} x {frames[0].shape[1]}; give --camera-size"
            )
        image = cv2.resize(item.image, (width, height), interpolation=cv2.INTER_AREA)
        frames.append(np.asarray(image, np.uint8))
        if len(frames) == DISTINCT:
            break
    if not frames:
        raise InputError(f"{source}: no frame can be read")
    return np.stack(frames)
