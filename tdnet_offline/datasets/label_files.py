"""Label pictures as files: class ids, also behind a palette, or the colours of classes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tdnet._util.regular_files import file_problem
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.image_files import MAX_FILE_BYTES, read_picture
from tdnet_offline.datasets.video import IGNORED

_LISTED = 5
_HEADER = slice(8, 33)
"""Where a PNG's header is, with its length and checksum."""
_BIT_DEPTH, _COLOUR_TYPE = 24, 25
_GREY, _PALETTE = 0, 3


def read_bytes(path: Path) -> bytes:
    """Read a picture file.

    Raises:
        InputError: it is missing or nothing that should be read; names it.
    """
    problem = file_problem(path, MAX_FILE_BYTES)
    if problem:
        raise InputError(f"{path}: {problem}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def read_label_picture(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a PNG of labels.

    Returns:
        (H, W) uint8, the grey values or the indices into the palette; or (H, W, 3) uint8 RGB of a
        coloured picture.

    Raises:
        InputError: it is missing, damaged, no PNG, or has 16 bits; names the file.
    """
    content = read_bytes(path)
    try:
        return decode_labels(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def decode_labels(content: bytes) -> npt.NDArray[np.uint8]:
    """Decode the bytes of a PNG of labels; see `read_label_picture`.

    Raises:
        InputError: they are damaged, no PNG, or have 16 bits.
    """
    picture = read_picture(memoryview(content))
    if picture.kind != "png":
        raise InputError("labels must be a PNG; JPEG changes them")
    data = bytearray(picture.data)
    depth = data[_BIT_DEPTH]
    if depth > 8:
        raise InputError("labels of 16 bits; save them with 8")
    if data[_COLOUR_TYPE] == _PALETTE:
        # Indices and grey values are stored alike; as grey, OpenCV does not make them colours.
        data[_COLOUR_TYPE] = _GREY
        header = data[_HEADER][4:21]
        data[_HEADER] = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise InputError(f"the PNG cannot be decoded: {error.err}") from error
    if image is None or image.shape[:2] != (picture.height, picture.width):
        raise InputError("the PNG cannot be decoded")
    if image.ndim == 2:
        # Fewer bits are spread over 0 to 255.
        return np.asarray(image // (255 // (2**depth - 1)), np.uint8)
    return np.ascontiguousarray(image[..., 2::-1])


def ids_by_table(
    ids: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_], of: str
) -> npt.NDArray[np.uint8]:
    """Replace ids by a table's.

    Args:
        ids: (H, W) uint8.
        table: (256,) uint8.
        known: (256,) bool, ids that may occur.
        of: what knows them, for the message.

    Raises:
        InputError: another id occurs.
    """
    counts = np.bincount(ids.reshape(-1), minlength=256)
    strange = np.flatnonzero((counts > 0) & ~known)
    if len(strange):
        listed = ", ".join(str(value) for value in strange[:_LISTED])
        more = ", ..." if len(strange) > _LISTED else ""
        raise InputError(
            f"{int(counts[strange].sum())} pixels have ids that {of} does not know: "
            f"{listed}{more}; pixels without a class have {IGNORED}"
        )
    return np.asarray(table[ids], np.uint8)


def check_ids(ids: npt.NDArray[np.uint8], class_map: ClassMap) -> npt.NDArray[np.uint8]:
    """Give back ids that are all in the class map, or 255.

    Raises:
        InputError: others are among them.
    """
    known = np.zeros(256, bool)
    known[[IGNORED, *(entry.id for entry in class_map.classes)]] = True
    return ids_by_table(ids, np.arange(256, dtype=np.uint8), known, f"class map {class_map.name}")


def ids_of_colours(
    picture: npt.NDArray[np.uint8],
    ids: Mapping[tuple[int, int, int], int],
    of: str,
    tolerated: float = 0.0,
) -> npt.NDArray[np.uint8]:
    """Replace colours by class ids.

    Args:
        picture: (H, W, 3) uint8 RGB.
        ids: what the colours mean.
        of: what knows them, for the message.
        tolerated: share of the pixels, 0 to 1, that may have other colours; they become 255.

    Raises:
        InputError: more pixels have other colours.
    """
    codes = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    known = np.array(sorted((r << 16 | g << 8 | b, value) for (r, g, b), value in ids.items()))
    places = np.minimum(np.searchsorted(known[:, 0], codes), len(known) - 1)
    found = known[places, 0] == codes
    missing = int(np.count_nonzero(~found))
    if missing > tolerated * found.size:
        code = int(codes[~found][0])
        colour = [code >> 16, code >> 8 & 255, code & 255]
        raise InputError(
            f"{missing} pixels have colours that {of} does not know, such as {colour}"
        )
    return np.where(found, known[places, 1], IGNORED).astype(np.uint8)
