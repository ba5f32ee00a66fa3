"""The newest frames of a camera, as they were received."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, TypeAlias

from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

WireMessage: TypeAlias = bytes | Image | CompressedImage


class RawFrame(NamedTuple):
    """A camera message as the middleware delivered it.

    Attributes:
        number: of the message, ascending.
        time_ns: of its arrival, nanoseconds since the epoch.
        stamp_ns: of its header, nanoseconds.
        wire: the serialized message, or where no bytes are delivered the message itself.
    """

    number: int
    time_ns: int
    stamp_ns: int
    wire: WireMessage

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.wire if isinstance(self.wire, bytes) else self.wire.data)

    def serialized(self) -> bytes:
        """Return it as bytes."""
        return self.wire if isinstance(self.wire, bytes) else serialize_message(self.wire)


class RingBuffer:
    """Holds the newest frames within a time and a size; from any thread.

    It keeps references only: no byte is copied or encoded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: deque[RawFrame] = deque()
        self._bytes = 0
        self._discards = False

    def add(self, frame: RawFrame, seconds: float, size: float) -> None:
        """Add a frame, which is kept, and discard the oldest beyond so many seconds and bytes."""
        with self._lock:
            self._frames.append(frame)
            self._bytes += frame.size
            oldest_ns = frame.time_ns - round(seconds * 1e9)
            while len(self._frames) > 1 and (
                self._bytes > size or self._frames[0].time_ns < oldest_ns
            ):
                self._bytes -= self._frames.popleft().size
                self._discards = True

    def after(self, number: int) -> list[RawFrame]:
        """Return the frames of higher numbers, the oldest first."""
        with self._lock:
            return [frame for frame in self._frames if frame.number > number]

    def has_discarded(self, stamp_ns: int) -> bool:
        """Return whether the limits have discarded frames, and none held has this stamp."""
        with self._lock:
            return self._discards and all(frame.stamp_ns != stamp_ns for frame in self._frames)

    def clear(self) -> None:
        """Discard all frames."""
        with self._lock:
            self._frames.clear()
            self._bytes = 0
            self._discards = False
