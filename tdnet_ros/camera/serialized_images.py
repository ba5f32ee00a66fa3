"""Camera messages in serialized form, read without copying their data.

A subscription can return a message as bytes. Deserialization by the middleware takes several
times as long as the reception of the bytes, holds the interpreter's lock, and is wasted on a frame
that a newer one supersedes. So this module reads the few fields before the data, as CDR writes
them (OMG DDS-XTypes 1.3, 7.4.3); the data stay in place. Where no bytes are delivered
(`rclpy_tools.raw_subscriptions`), the middleware's messages pass unchanged.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tdnet.errors import InputError

# The first two bytes name the encoding of the rest. The middleware reads other encodings.
_BYTE_ORDER = {b"\x00\x00": ">", b"\x00\x01": "<"}
_HEAD = 4


@dataclass(frozen=True)
class ReceivedImage:
    """A `sensor_msgs/Image`; the data are a view of the received bytes."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ReceivedFile:
    """A `sensor_msgs/CompressedImage`; the data are a view of the received bytes."""

    header: Header
    format: str
    data: npt.NDArray[np.uint8]


PixelMessage: TypeAlias = Image | ReceivedImage
FileMessage: TypeAlias = CompressedImage | ReceivedFile
CameraMessage: TypeAlias = PixelMessage | FileMessage


def read_image(wire: bytes | Image) -> PixelMessage:
    """Read a `sensor_msgs/Image`; return one that is deserialized already.

    The middleware deserializes encodings that are not read here. The data are marked as writable
    for PyTorch, but must not be written to: captures keep the same bytes.

    Raises:
        InputError: the message is cut off.
    """
    if isinstance(wire, Image):
        return wire
    reader = _Reader(wire)
    if not reader.order:
        return _deserialized(wire, Image)
    return ReceivedImage(
        header=reader.header(),
        height=reader.number("I", 4),
        width=reader.number("I", 4),
        encoding=reader.text(),
        is_bigendian=reader.number("B", 1),
        step=reader.number("I", 4),
        data=reader.data(),
    )


def read_compressed_image(wire: bytes | CompressedImage) -> FileMessage:
    """Read a `sensor_msgs/CompressedImage`; see `read_image`."""
    if isinstance(wire, CompressedImage):
        return wire
    reader = _Reader(wire)
    if not reader.order:
        return _deserialized(wire, CompressedImage)
    return ReceivedFile(header=reader.header(), format=reader.text(), data=reader.data())


def _deserialized(wire: bytes, kind: type[Image] | type[CompressedImage]) -> Image:
    try:
        return deserialize_message(wire, kind)
    # Exceptions of the middlewares have no common base.
    except Exception as error:
        raise InputError(
            f"the middleware cannot read a message of {len(wire)} bytes: {error}"
        ) from error


class _Reader:
    """Reads one field after the other; each is aligned to its own size."""

    def __init__(self, wire: bytes) -> None:
        self.order = _BYTE_ORDER.get(wire[:2], "")
        self._wire = wire
        self._at = _HEAD

    def header(self) -> Header:
        stamp = Time(sec=self.number("i", 4), nanosec=self.number("I", 4))
        return Header(stamp=stamp, frame_id=self.text())

    def number(self, kind: str, size: int) -> int:
        start = self._at + (_HEAD - self._at) % size
        self._at = self._end(start, size)
        return int(struct.unpack_from(self.order + kind, self._wire, start)[0])

    def text(self) -> str:
        size = self.number("I", 4)
        start, self._at = self._at, self._end(self._at, size)
        # As rclpy reads it: to the first zero, with invalid UTF-8 replaced.
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
    """Exposes an array's memory as writable, and keeps it alive.

    PyTorch copies read-only memory, and never writes to a frame.
    """

    def __init__(self, array: npt.NDArray[np.uint8]) -> None:
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self._array = array
