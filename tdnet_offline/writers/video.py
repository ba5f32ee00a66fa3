"""A video file from frames, encoded by FFmpeg through PyAV."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError
from tdnet_offline.writers.atomic_files import replacing

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi")
DEFAULT_FRAME_RATE = 10.0
MIN_FRAME_RATE = 1.0
MAX_FRAME_RATE = 120.0
MAX_PAUSE = 2.0
"""Longest time that a frame is shown, in seconds, however long the gap of the recording."""
TICKS = 90_000
"""Time units per second, the usual number for H.264."""


class _Encoder(NamedTuple):
    container: OutputContainer
    stream: VideoStream
    size: tuple[int, int]


class VideoWriter:
    """Writes a video of the first frame's size; leaving its context finishes the file.

    Encodes H.264, or MPEG-4 if this FFmpeg has no H.264 encoder. No file is written without a
    frame, or if the context is left by an exception.

    Args:
        path: the file; its suffix selects the container. An existing file is replaced.
        frame_rate: frames a second, limited to `MIN_FRAME_RATE` and `MAX_FRAME_RATE`; None means
            `DEFAULT_FRAME_RATE`.

    Raises:
        InputError: a suffix that is not in `VIDEO_SUFFIXES`.
    """

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise InputError(f"{path}: a video must end in one of {', '.join(VIDEO_SUFFIXES)}")
        self._path = path
        # Recordings may declare rates that no player or container supports.
        rate = min(max(frame_rate or DEFAULT_FRAME_RATE, MIN_FRAME_RATE), MAX_FRAME_RATE)
        self._rate = Fraction(rate).limit_denominator(1001)
        self._ticks = 0
        self._last_stamp: int | None = None
        self._resources = ExitStack()
        self._encoder: _Encoder | None = None

    def write(self, image: npt.NDArray[np.uint8], stamp_ns: int | None = None) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) uint8 RGB. A frame of another size is fitted into the first.
            stamp_ns: capture time in nanoseconds; None, or a stamp that goes back: one period
                after the previous frame.

        Raises:
            OSError: the file cannot be written.
        """
        if self._encoder is None:
            self._encoder = self._start(image)
        else:
            self._ticks += self._ticks_since_last(stamp_ns)
        self._last_stamp = stamp_ns
        container, stream, size = self._encoder
        frame = av.VideoFrame.from_ndarray(_fit(image, size), format="rgb24")
        frame.pts, frame.time_base = self._ticks, Fraction(1, TICKS)
        container.mux(stream.encode(frame))

    def __enter__(self) -> VideoWriter:
        """Return the writer; the first frame opens the file."""
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, or remove it after an exception.

        Raises:
            OSError: the file cannot be written.
        """
        self._resources.__exit__(error, value, trace)

    def _ticks_since_last(self, stamp_ns: int | None) -> int:
        last = self._last_stamp
        if stamp_ns is None or last is None or stamp_ns <= last:
            return round(TICKS / self._rate)
        return max(1, round(min((stamp_ns - last) / 1e9, MAX_PAUSE) * TICKS))

    def _start(self, image: npt.NDArray[np.uint8]) -> _Encoder:
        height, width = image.shape[:2]
        # 4:2:0, which every player supports, needs even sides.
        size = (height + height % 2, width + width % 2)
        temporary = self._resources.enter_context(replacing(self._path))
        container = self._resources.enter_context(av.open(str(temporary), "w"))
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = container.add_stream(codec, rate=self._rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.options = {"crf": "20"} if codec == "libx264" else {"qscale": "3"}

        def flush(error: type[BaseException] | None, *_: object) -> None:
            if error is None:
                container.mux(stream.encode(None))

        self._resources.push(flush)
        return _Encoder(container, stream, size)


def _fit(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Scale down if too large, keep the aspect ratio, and pad by repeating the edge."""
    height, width = size
    scale = min(height / image.shape[0], width / image.shape[1], 1.0)
    if scale < 1:
        rows, columns = (max(1, int(side * scale)) for side in image.shape[:2])
        smaller = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, np.uint8)
    bottom, right = height - image.shape[0], width - image.shape[1]
    fitted = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(fitted, np.uint8)
