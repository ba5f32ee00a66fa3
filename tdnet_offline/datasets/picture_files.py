"""Videos of picture files, and label pictures: class ids, palette indices, or class colours."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.image_files import read_picture
from tdnet_offline.datasets.video import IGNORED, LabelledVideo, naming
from tdnet_offline.frames import Frame
from tdnet_offline.frames.image_files import read_bytes, read_image

LabelReader = Callable[[Path], npt.NDArray[np.uint8]]
"""Reads a label file as (H, W) uint8 ids of the data set's class map, 255 = ignored."""

_LISTED = 5
_HEADER = slice(8, 33)
"""Position of a PNG's header, with its length and checksum."""
_BIT_DEPTH, _COLOUR_TYPE = 24, 25
_GREY, _PALETTE = 0, 3


class FileVideo(LabelledVideo):
    """Neighbouring frames, each a PNG or JPEG.

    Args:
        name: unique in the data set.
        frames: files of the frames.
        labels: files of the labels by index of their frame.
        read_labels: reads such a file; can be pickled.
        frame_rate: frames a second; None if it is not known.
        also_expected: further files that the data set should have.
    """

    def __init__(
        self,
        name: str,
        frames: Sequence[Path],
        labels: Mapping[int, Path],
        read_labels: LabelReader,
        frame_rate: float | None = None,
        also_expected: Sequence[Path] = (),
    ) -> None:
        self.name = name
        self.num_frames = len(frames)
        self.labelled = sorted(labels)
        self.frame_rate = frame_rate
        self._frames, self._labels = frames, labels
        self._read_labels = read_labels
        self.also_expected = also_expected

    def frame(self, index: int) -> Frame:
        """Return frame ``index``; see `LabelledVideo.frame`."""
        path = self._frame_file(index)
        stamp = None if self.frame_rate is None else round(index * 1e9 / self.frame_rate)
        with naming(path):
            return Frame(path.stem, stamp, "", read_image(path))

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels of frame ``index``; see `LabelledVideo.labels`."""
        path = self._labels.get(index)
        if path is None:
            raise InputError(f"{self._frame_file(index)}: has no labels")
        labels = self._read_labels(path)
        frame = self._frame_file(index)
        size = image_size(frame)
        if labels.shape != size:
            raise InputError(
                f"{path}: labels of {labels.shape[0]} x {labels.shape[1]} for a frame of "
                f"{size[0]} x {size[1]} (height x width); they must be of the same size"
            )
        return labels

    def files(self, index: int) -> list[Path]:
        """Return the files of a frame and its labels; see `LabelledVideo.files`."""
        labels = self._labels.get(index)
        return [self._frames[index], *([] if labels is None else [labels])]

    def _frame_file(self, index: int) -> Path:
        self.check_index(index)
        return self._frames[index]


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of a PNG or JPEG in pixels, without decoding it.

    Raises:
        InputError: it is missing, damaged or neither; names the file.
    """
    with naming(path):
        picture = read_picture(memoryview(read_bytes(path)))
    return picture.height, picture.width


def read_label_picture(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a PNG of labels.

    Returns:
        (H, W) uint8, the grey values or the indices into the palette; or (H, W, 3) uint8 RGB of a
        coloured picture.

    Raises:
        InputError: it is missing, damaged, not a PNG, or has 16 bits; names the file.
    """
    with naming(path):
        return decode_labels(read_bytes(path))


def decode_labels(content: bytes) -> npt.NDArray[np.uint8]:
    """Decode the bytes of a PNG of labels; see `read_label_picture`.

    Raises:
        InputError: they are damaged, not a PNG, or have 16 bits.
    """
    picture = read_picture(memoryview(content))
    if picture.kind != "png":
        raise InputError("labels must be a PNG; JPEG changes them")
    data = bytearray(picture.data)
    depth = data[_BIT_DEPTH]
    if depth > 8:
        raise InputError("labels of 16 bits; save them with 8")
    if data[_COLOUR_TYPE] == _PALETTE:
        # Indices are stored like grey values; declared as grey, OpenCV does not colour them.
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
        # OpenCV scales fewer bits to 0..255.
        return np.asarray(image // (255 // (2**depth - 1)), np.uint8)
    return np.ascontiguousarray(image[..., 2::-1])


def ids_by_table(
    ids: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_], of: str
) -> npt.NDArray[np.uint8]:
    """Map ids by a table.

    Args:
        ids: (H, W) uint8.
        table: (256,) uint8.
        known: (256,) bool, ids that may occur.
        of: owner of the ids, for the message.

    Raises:
        InputError: an id outside `known` occurs.
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
    """Return the ids, which must be in the class map or 255.

    Raises:
        InputError: other ids occur.
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
        ids: class id by colour.
        of: owner of the colours, for the message.
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
