"""Cityscapes in its official folders, with the snippets of 30 frames around each labelled one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from tdnet.class_map import ClassMap
from tdnet.errors import InputError
from tdnet_offline.cityscapes_layout import (
    LABELLED_FRAME,
    SNIPPET_FRAMES,
    TRAIN_ID_OF_LABEL_ID,
    SnippetPaths,
)
from tdnet_offline.datasets.catalogue import CITYSCAPES
from tdnet_offline.datasets.files import FileVideo
from tdnet_offline.datasets.label_files import ids_by_table, read_label_picture
from tdnet_offline.datasets.video import IGNORED, Dataset

FRAME_RATE = 17.0
_NAME = re.compile(r"([^_]+)_([0-9]{6})_([0-9]{6})_gtFine_labelIds\.png")
_LABEL_IDS = 34
"""The data set's table has ids 0 to 33."""


def open_cityscapes(root: str, split: str) -> Dataset:
    """Open the official layout, or what ``tdnet synthesize --format cityscapes`` writes.

    Each labelled frame gives one video: its snippet.

    Args:
        root: folder with ``leftImg8bit_sequence`` and ``gtFine``.
        split: "train", "val" or "test" (whose published labels are all ignored).

    Raises:
        InputError: labels or sequences are not there; says what to download.
    """
    folder = Path(root)
    labels = sorted((folder / "gtFine" / split).glob("*/*_gtFine_labelIds.png"))
    if not labels:
        raise InputError(
            f"{folder / 'gtFine' / split}: no CITY/*_gtFine_labelIds.png in it; {CITYSCAPES}"
        )
    if not (folder / "leftImg8bit_sequence" / split).is_dir():
        found = ", only the labelled frames in leftImg8bit" * (folder / "leftImg8bit").is_dir()
        raise InputError(
            f"{folder / 'leftImg8bit_sequence' / split}: not there{found}; the frames before the "
            f"labelled ones are a separate download: {CITYSCAPES}"
        )
    videos = tuple(_snippet(folder, split, path) for path in labels)
    return Dataset("cityscapes", root, split, ClassMap.load("cityscapes"), videos)


def _snippet(root: Path, split: str, labels: Path) -> FileVideo:
    match = _NAME.fullmatch(labels.name)
    if match is None:
        raise InputError(f"{labels}: not a name like CITY_000000_000019_gtFine_labelIds.png")
    number = int(match[3])
    first = max(0, number - LABELLED_FRAME)
    paths = SnippetPaths(root, split, labels.parent.name, int(match[2]))
    frames = _SnippetFrames(paths, first, number - LABELLED_FRAME + SNIPPET_FRAMES - first)
    name = f"{match[1]}_{match[2]}_{match[3]}"
    return FileVideo(name, frames, {number - first: labels}, read_label_ids, FRAME_RATE)


@dataclass(frozen=True)
class _SnippetFrames(Sequence[Path]):
    """Files of a snippet's frames; there are too many in all to keep them."""

    paths: SnippetPaths
    first: int
    length: int

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...

    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        numbers = range(self.first, self.first + self.length)[index]
        if isinstance(numbers, int):
            return self.paths.image(numbers)
        return [self.paths.image(number) for number in numbers]


def read_label_ids(path: Path) -> npt.NDArray[np.uint8]:
    """Read a ``labelIds`` file as train ids (H, W) uint8, 255 = ignored.

    Raises:
        InputError: it cannot be read, or is another kind of label file.
    """
    picture = read_label_picture(path)
    if picture.ndim == 3:
        raise InputError(f"{path}: a coloured picture; the labels are in *_gtFine_labelIds.png")
    # License plates have -1.
    known = (np.arange(256) < _LABEL_IDS) | (np.arange(256) == IGNORED)
    try:
        return ids_by_table(picture, TRAIN_ID_OF_LABEL_ID, known, "Cityscapes")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
