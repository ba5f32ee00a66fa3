"""Camera messages as they come over the wire, read without copying their data.

A subscription can hand over a message as bytes. To have the middleware make the Python message of
them takes several times as long as the bytes themselves, with the interpreter locked, and for a
frame that a newer one overtakes it would be for nothing. So the few fields before the data are
read here, as CDR writes them (OMG DDS-XTypes 1.3, 7.4.3), and the data stay where they are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tdnet.errors import InputError

# The first two bytes: how the rest is written. Others than these are left to the middleware.
_BYTE_ORDER = {b"\x00\x00": ">", b"\x00\x01": "<"}
_HEAD = 4


@dataclass(frozen=True)
class ReceivedImage:
    """A `sensor_msgs/Image`; the data are a view of the bytes that came."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ReceivedFile:
    """A `sensor_msgs/CompressedImage`; the data are a view of the bytes that came."""

    header: Header
    format: str
    data: npt.NDArray[np.uint8]


def read_image(wire: bytes) -> ReceivedImage | Image:
    """Read a `sensor_msgs/Image`.

    Args:
        wire: as a subscription with `raw` gives it; nobody else's, since PyTorch is told that its
            memory may be written.

    Returns:
        The message; the middleware's own where it is written in a way that is not read here.

    Raises:
        InputError: the message is cut off.
    """
    order = _BYTE_ORDER.get(wire[:2])
    if order is None:
        return _deserialized(wire, Image)
    reader = _Reader(wire, order)
    return ReceivedImage(
        header=reader.header(),
        height=reader.number("I", 4),
        width=reader.number("I", 4),
        encoding=reader.text(),
        is_bigendian=reader.number("B", 1),
        step=reader.number("I", 4),
        data=reader.data(),
    )


def read_compressed_image(wire: bytes) -> ReceivedFile | CompressedImage:
    """Read a `sensor_msgs/CompressedImage`; see `read_image`."""
    order = _BYTE_ORDER.get(wire[:2])
    if order is None:
        return _deserialized(wire, CompressedImage)
    reader = _Reader(wire, order)
    return ReceivedFile(header=reader.header(), format=reader.text(), data=reader.data())


def _deserialized(wire: bytes, kind: type[Image] | type[CompressedImage]) -> Image:
    try:
        return deserialize_message(wire, kind)
    # What the middlewares raise has no common base.
    except Exception as error:
        raise InputError(
            f"the middleware cannot read a message of {len(wire)} bytes: {error}"
        ) from error


class _Reader:
    """Takes one field after the other; each is aligned to its own size."""

    def __init__(self, wire: bytes, order: str) -> None:
        self._wire = wire
        self._order = order
        self._at = _HEAD

    def header(self) -> Header:
        stamp = Time(sec=self.number("i", 4), nanosec=self.number("I", 4))
        return Header(stamp=stamp, frame_id=self.text())

    def number(self, kind: str, size: int) -> int:
        start = self._at + (_HEAD - self._at) % size
        self._at = self._end(start, size)
        return int(struct.unpack_from(self._order + kind, self._wire, start)[0])

    def text(self) -> str:
        size = self.number("I", 4)
        start, self._at = self._at, self._end(self._at, size)
        # As rclpy reads it: to the first zero, and whatever is no UTF-8 replaced.
        return self._wire[start : self._at].partition(b"\0")[0].decode(errors="replace")

    def data(self) -> npt.NDArray[np.uint8]:
        size = self.number("I", 4)
        start = self._at
        end = self._end(start, size)
        return np.asarray(_Writable(np.frombuffer(self._wire, np.uint8)[start:end]))

    def _end(self, start: int, size: int) -> int:
        end = start + size
        if end > len(self._wire):
            raise InputError(
                f"the message is cut off: {len(self._wire)} bytes, and a field of it ends at "
                f"{end}; the driver or the transport is at fault"
            )
        return end


class _Writable:
    """Offers an array's memory as memory that may be written; it stays as long as it is used.

    PyTorch takes no other without a copy, and writes to no frame.
    """

    def __init__(self, array: npt.NDArray[np.uint8]) -> None:
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self._array = array
