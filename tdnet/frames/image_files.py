"""Structure of JPEG and PNG files: completeness, image size, and the parts of the image.

OpenCV's decoders fill the missing part of a damaged file with grey or nothing and return it as an
image, and they allocate memory for any size that a header declares. The structure is therefore
checked before a file is decoded, and the decoders get only the parts that form the image: they
read what was checked, without notes, thumbnails and colour profiles.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from tdnet.errors import InputError

# Limits of every image: raw, compressed, from a file or a video.
MAX_PIXELS = 64 * 1024 * 1024
MAX_SIDE = 16384
# Limit of a JPEG or PNG file: more than any encoder needs for the largest image.
MAX_FILE_BYTES = 4 * MAX_PIXELS
MAX_PARTS = 1 << 16
# A progressive JPEG is decoded once for each scan; encoders write about ten scans.
MAX_SCANS = 32

_JPEG_START = b"\xff\xd8"
_PNG_START = b"\x89PNG\r\n\x1a\n"
# 0xff00 is a data byte, 0xffff padding, 0xffd0 to 0xffd7 restart points within the data.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
_JPEG_END = 0xD9
_JPEG_START_OF_SCAN = 0xDA
# Baseline, extended and progressive.
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Tables, restart interval, scans, and the two application markers that define the colours.
_JPEG_KEPT = _JPEG_FRAMES | {0xC4, 0xDB, 0xDD, _JPEG_START_OF_SCAN, 0xE0, 0xEE}
_JPEG_WITHOUT_LENGTH = frozenset({0x01, 0xD8})
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})


@dataclass(frozen=True)
class Picture:
    """A JPEG or PNG with a valid structure.

    Attributes:
        kind: format of the file.
        height: rows that the header declares.
        width: columns that the header declares.
        data: the file reduced to the parts that form the image.
    """

    kind: Literal["jpeg", "png"]
    height: int
    width: int
    data: bytes


def read_picture(data: memoryview) -> Picture:
    """Check that a JPEG or PNG is complete, and read its size without decoding it.

    Args:
        data: bytes of the file.

    Raises:
        InputError: the data are of another format, cut off, damaged, or above a limit.
    """
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"a compressed image of {len(data)} bytes; allowed are {MAX_FILE_BYTES >> 20} MiB: "
            "compress it more, or send it smaller"
        )
    if data[:2] == _JPEG_START:
        picture = _read_jpeg(data)
    elif data[:8] == _PNG_START:
        picture = _read_png(data)
    else:
        start = bytes(data[:4]).hex(" ") or "nothing"
        raise InputError(f"neither a JPEG nor a PNG: {len(data)} bytes that start with {start}")
    check_image_size(picture.height, picture.width)
    return picture


def check_image_size(height: int, width: int) -> None:
    """Check an image size before memory is allocated for it.

    Raises:
        InputError: a side is below 1 or above `MAX_SIDE`, or the image is above `MAX_PIXELS`.
    """
    if height < 1 or width < 1:
        raise InputError(
            f"an image of {width} x {height} pixels (width x height) has nothing in it; "
            "both must be at least 1"
        )
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise InputError(
            f"an image of {width} x {height} pixels (width x height); allowed are sides of "
            f"{MAX_SIDE} and {MAX_PIXELS >> 20} megapixels: send it smaller"
        )


def _read_jpeg(data: memoryview) -> Picture:
    size: tuple[int, int] | None = None
    kept = [data[:2]]
    scans = parts = 0
    position = len(_JPEG_START)
    # Other bytes before the next marker are allowed only within a scan.
    found = _JPEG_MARKER.search(data, position)
    while found is not None and found[1][0] != _JPEG_END:
        marker, start, position = found[1][0], found.start(), found.end()
        parts += 1
        _check_parts("JPEG", parts)
        length = int.from_bytes(data[position : position + 2], "big")
        end = position + length
        if marker in _JPEG_WITHOUT_LENGTH or length < 2 or end > len(data):
            raise InputError(f"the JPEG is cut off or damaged at byte {start}")
        if marker in _JPEG_OTHER_FRAMES:
            raise InputError("the JPEG is lossless, arithmetic or layered; send a plain one")
        if marker in _JPEG_FRAMES:
            if size is not None:
                raise InputError(f"the JPEG is damaged: a second frame header at byte {start}")
            size = _jpeg_size(data[position:end], start)
        if marker == _JPEG_START_OF_SCAN:
            scans += 1
            if size is None:
                raise InputError("the JPEG is damaged: its data come before its header")
            if scans > MAX_SCANS:
                raise InputError(f"the JPEG has more than {MAX_SCANS} scans; send a plain one")
        found = _JPEG_MARKER.search(data, end)
        if found is not None and marker in _JPEG_KEPT:
            # The data of a scan follow its header up to the next marker.
            kept.append(data[start : found.start() if marker == _JPEG_START_OF_SCAN else end])
    if found is None:
        raise InputError(f"the JPEG is cut off: {len(data)} bytes without an end marker")
    if size is None or not scans:
        raise InputError("the JPEG is damaged: it has no image in it")
    return Picture("jpeg", *size, b"".join([*kept, bytes([0xFF, _JPEG_END])]))


def _jpeg_size(header: memoryview, start: int) -> tuple[int, int]:
    if len(header) < 8:
        raise InputError(f"the JPEG's frame header at byte {start} is damaged")
    height, width, components = struct.unpack(">HHB", header[3:8])
    if components not in (1, 3):
        raise InputError(
            f"the JPEG has {components} channels; allowed are grey (1) and colour (3)"
        )
    return height, width


def _read_png(data: memoryview) -> Picture:
    size: tuple[int, int] | None = None
    kept = [data[: len(_PNG_START)]]
    position = len(_PNG_START)
    kind = b""
    parts = 0
    while kind != b"IEND":
        parts += 1
        _check_parts("PNG", parts)
        if position + 12 > len(data):
            raise InputError(f"the PNG is cut off: {len(data)} bytes without an end")
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            raise InputError(f"the PNG is cut off: a part of {length} bytes at byte {position}")
        chunk = data[position + 4 : end - 4]
        if zlib.crc32(chunk) != int.from_bytes(data[end - 4 : end], "big"):
            raise InputError(f"the PNG is damaged: wrong checksum of the part at byte {position}")
        kind = bytes(chunk[:4])
        if (kind == b"IHDR") != (size is None) or (size is None and length != 13):
            raise InputError("the PNG is damaged: it does not start with its one header")
        if size is None:
            width, height = struct.unpack(">II", chunk[4:12])
            size = height, width
        if kind in _PNG_KEPT:
            kept.append(data[position:end])
        position = end
    assert size is not None  # the first part is the header
    return Picture("png", *size, b"".join(kept))


def _check_parts(name: str, parts: int) -> None:
    if parts > MAX_PARTS:
        raise InputError(f"the {name} has more than {MAX_PARTS} parts; send a plain one")
