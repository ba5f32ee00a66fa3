"""JPEG and PNG as bytes: are they whole, and how large is the image that they declare?

The decoders of OpenCV fill the missing part of a damaged file with grey or with nothing and return
it as an image, so the structure is checked here before anything is decoded.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from tdnet.errors import InputError

MAX_PIXELS = 64 * 1024 * 1024

_JPEG_START = b"\xff\xd8"
_PNG_START = b"\x89PNG\r\n\x1a\n"
# 0xff00 is a data byte, 0xffff padding, 0xffd0 to 0xffd7 restart points within the data.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
_JPEG_END = 0xD9
_JPEG_START_OF_SCAN = 0xDA
# The frame headers (baseline, progressive, lossless ...); C4, C8 and CC are tables.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class ImageFileHeader:
    """What a JPEG or PNG declares of its image: pixels."""

    kind: Literal["jpeg", "png"]
    height: int
    width: int


def read_image_header(data: bytes) -> ImageFileHeader:
    """Checks that a JPEG or PNG is whole and reads the size of its image, without decoding it.

    Args:
        data: the bytes of the file.

    Raises:
        InputError: it is neither, it is cut off or damaged, or its size is zero or above
            `MAX_PIXELS`.
    """
    if data.startswith(_JPEG_START):
        header = _read_jpeg(data)
    elif data.startswith(_PNG_START):
        header = _read_png(data)
    else:
        start = data[:4].hex(" ") or "nothing"
        raise InputError(f"neither a JPEG nor a PNG: {len(data)} bytes that start with {start}")
    check_image_size(header.height, header.width)
    return header


def check_image_size(height: int, width: int) -> None:
    """Refuses sizes that no camera has, before memory is taken for them.

    Raises:
        InputError: a side is below 1 or the image is above `MAX_PIXELS`.
    """
    if height < 1 or width < 1:
        raise InputError(
            f"an image of {width} x {height} pixels (width x height) has nothing in it; "
            "both must be at least 1"
        )
    if height * width > MAX_PIXELS:
        raise InputError(
            f"an image of {width} x {height} pixels (width x height) is above the limit of "
            f"{MAX_PIXELS >> 20} megapixels; send it smaller"
        )


def _read_jpeg(data: bytes) -> ImageFileHeader:
    header: ImageFileHeader | None = None
    in_scan = False
    position = len(_JPEG_START)
    while True:
        # Only within a scan may anything stand before the next marker.
        found = _JPEG_MARKER.search(data, position)
        if found is None:
            raise InputError(f"the JPEG is cut off: {len(data)} bytes without an end marker")
        marker = found[1][0]
        if marker == _JPEG_END:
            break
        position = found.end()
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            raise InputError(f"the JPEG is cut off or damaged at byte {found.start()}")
        if marker in _JPEG_FRAMES:
            if length < 8:
                raise InputError(f"the JPEG's frame header at byte {found.start()} is damaged")
            height, width = struct.unpack(">HH", data[position + 3 : position + 7])
            header = ImageFileHeader("jpeg", height, width)
        in_scan = in_scan or marker == _JPEG_START_OF_SCAN
        position += length
    if header is None or not in_scan:
        raise InputError("the JPEG is damaged: it has no image in it")
    return header


def _read_png(data: bytes) -> ImageFileHeader:
    header: ImageFileHeader | None = None
    view = memoryview(data)
    position = len(_PNG_START)
    while True:
        if position + 12 > len(data):
            raise InputError(f"the PNG is cut off: {len(data)} bytes without an end")
        length = int.from_bytes(view[position : position + 4], "big")
        end = position + 8 + length
        if end + 4 > len(data):
            raise InputError(f"the PNG is cut off: a part of {length} bytes at byte {position}")
        chunk = view[position + 4 : end]
        if zlib.crc32(chunk) != int.from_bytes(view[end : end + 4], "big"):
            raise InputError(f"the PNG is damaged: wrong checksum of the part at byte {position}")
        kind = bytes(chunk[:4])
        if kind == b"IHDR" and length >= 8:
            width, height = struct.unpack(">II", chunk[4:12])
            header = ImageFileHeader("png", height, width)
        elif kind == b"IEND":
            break
        elif header is None:
            raise InputError("the PNG is damaged: it does not start with a header")
        position = end + 4
    if header is None:
        raise InputError("the PNG is damaged: it has no header")
    return header
