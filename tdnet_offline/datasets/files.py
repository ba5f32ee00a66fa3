"""Videos whose frames and labels are picture files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError
from tdnet.frames.image_encodings import decode_compressed
from tdnet.frames.image_files import read_picture
from tdnet_offline.datasets.label_files import read_bytes
from tdnet_offline.datasets.video import LabelledVideo
from tdnet_offline.frames import Frame

LabelReader = Callable[[Path], npt.NDArray[np.uint8]]
"""Reads a label file as (H, W) uint8 ids of the data set's class map, 255 = ignored."""


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
        if not 0 <= index < self.num_frames:
            raise InputError(f"{self.name}: no frame {index}; it has {self.num_frames}")
        return self._frames[index]


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read a PNG or JPEG as (H, W, 3) uint8 RGB.

    Raises:
        InputError: it is missing, damaged or something else; names the file.
    """
    content = read_bytes(path)
    # Decoded by its content, as a camera's JPEG named .png is no harm here.
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    try:
        return decode_compressed(kind, content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of a PNG or JPEG in pixels, without decoding it.

    Raises:
        InputError: it is missing, damaged or something else; names the file.
    """
    try:
        picture = read_picture(memoryview(read_bytes(path)))
    except InputError as error:
        # What cannot be read at all is named already.
        message = str(error)
        named = message if message.startswith(str(path)) else f"{path}: {message}"
        raise InputError(named) from error
    return picture.height, picture.width
