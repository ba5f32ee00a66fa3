"""Frames from a video file, decoded by FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np

from tdnet.errors import InputError
from tdnet.frames.image_files import MAX_PIXELS, check_image_size
from tdnet_offline.frames.source import Frame, FrameSource, RefusedFrame

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


# FFmpeg also accepts lists of other files and addresses, and even text, as a video.
CONTAINERS = (
    *("mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "ogg", "flv", "asf", "mxf"),
    *("h264", "hevc", "mpegvideo", "m4v", "ivf", "obu", "mjpeg", "gif", "yuv4mpegpipe"),
)
_CONTAINER_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}


class VideoFile(FrameSource):
    """The first video stream of a file; named by number from 000000, stamped with their time.

    Args:
        path: a file in one of `CONTAINERS`, with any codec that FFmpeg reads.

    Raises:
        InputError: the file is not a video, or its index is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.description = path.name
        with self._open() as container:
            stream = container.streams.video[0]
            self.num_frames = stream.frames or None
            self.frame_rate = float(stream.average_rate) if stream.average_rate else None

    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        """Yield the frames; damaged ones and a missing end as refused frames."""
        with self._open() as container:
            stream = container.streams.video[0]
            # With a thread for each frame, errors are lost.
            stream.thread_type = "SLICE"
            # Otherwise decoders conceal what they cannot read.
            stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
            for index, decoded in enumerate(self._decode(container, stream)):
                name = f"{index:06d}"
                if isinstance(decoded, str):
                    yield RefusedFrame(name, decoded)
                else:
                    yield _frame(name, decoded)

    def _open(self) -> InputContainer:
        try:
            container = av.open(str(self._path), options=_CONTAINER_OPTIONS)
        except av.error.FFmpegError as error:
            raise InputError(
                f"{self._path}: not a video that FFmpeg can read, or cut off ({error.strerror})"
            ) from error
        if not container.streams.video:
            container.close()
            raise InputError(f"{self._path}: this file has no video stream")
        return container

    @staticmethod
    def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | str]:
        """Yield decoded frames, or the reason why one is missing."""
        end = 0.0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError as error:
                yield f"the video cannot be read any further ({error.strerror})"
                return
            if packet.is_corrupt:
                yield "a part of the frame is missing"
                continue
            if packet.pts is not None and packet.time_base is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            try:
                yield from packet.decode()
            except av.error.FFmpegError as error:
                yield f"the frame is damaged ({error.strerror})"
        if _ends_early(container, stream, end):
            yield "the video ends early: the file is cut off here"


def _frame(name: str, decoded: VideoFrame) -> Frame | RefusedFrame:
    if decoded.is_corrupt:
        return RefusedFrame(name, "the frame is damaged")
    try:
        check_image_size(decoded.height, decoded.width)
    except InputError as error:
        return RefusedFrame(name, str(error))
    stamp = None
    if decoded.pts is not None and decoded.time_base is not None:
        stamp = round(decoded.pts * decoded.time_base * 1_000_000_000)
    return Frame(name, stamp, "", np.asarray(decoded.to_ndarray(format="rgb24"), np.uint8))


def _ends_early(container: InputContainer, stream: VideoStream, end: float) -> bool:
    """Return whether the frames stop before the duration that the file declares.

    Checked only for files with a single stream: sound may last longer than the picture.
    """
    if len(container.streams) > 1 or not container.duration or not stream.average_rate:
        return False
    start = (container.start_time or 0) / av.time_base
    missing = container.duration / av.time_base - (end - start)
    return missing > 2 / float(stream.average_rate)
