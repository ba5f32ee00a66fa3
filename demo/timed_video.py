"""A video in which every frame is shown when the camera took it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from tdnet_offline.writers.atomic_files import replacing

TICKS = 90_000
"""Units of time in a second, as is usual for H.264."""


def write_timed_video(
    path: Path, frames: Iterable[tuple[int, npt.NDArray[np.uint8]]], rate: float
) -> int:
    """Write an MP4 of frames at their own times.

    Args:
        path: the file; one that is there is replaced.
        frames: stamp in nanoseconds and (H, W, 3) uint8 RGB. A stamp that does not come after
            the one before it counts as one period later; another size than the first frame's is
            resized.
        rate: frames a second, as the player of the file is told, and for the last frame.

    Returns:
        Number of frames; without any no file is written.
    """
    count, stream, ticks, last_stamp = 0, None, 0, 0
    period = max(1, round(TICKS / rate)) if rate > 0 else TICKS // 10
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        for stamp, image in frames:
            if stream is None:
                codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
                stream = container.add_stream(codec, rate=Fraction(TICKS, period))
                # 4:2:0, which every browser shows, needs even sides.
                stream.height, stream.width = (side + side % 2 for side in image.shape[:2])
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = Fraction(1, TICKS)
                stream.options = {"crf": "20"} if codec == "libx264" else {"qscale": "3"}
            elif stamp > last_stamp:
                ticks += max(1, round((stamp - last_stamp) * TICKS / 1_000_000_000))
            else:
                ticks += period
            last_stamp = stamp
            frame = av.VideoFrame.from_ndarray(
                _at_size(image, stream.height, stream.width), format="rgb24"
            )
            frame.pts, frame.time_base = ticks, Fraction(1, TICKS)
            container.mux(stream.encode(frame))
            count += 1
        if stream is not None:
            container.mux(stream.encode(None))
    return count


def _at_size(image: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    bottom, right = height - image.shape[0], width - image.shape[1]
    if 0 <= bottom <= 1 and 0 <= right <= 1:
        fitted = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    else:
        fitted = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(fitted, np.uint8)
