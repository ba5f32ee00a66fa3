"""Cityscapes in its official folders: snippets of 30 frames, or the labelled frames alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.cityscapes_layout import (
    LABELLED_FRAME,
    SNIPPET_FRAMES,
    TRAIN_ID_OF_LABEL_ID,
    SnippetPaths,
)
from tdnet_offline.datasets.picture_files import (
    FileVideo,
    LabelReader,
    ids_by_table,
    read_label_picture,
)
from tdnet_offline.datasets.video import (
    IGNORED,
    Dataset,
    MissingFilesError,
    naming,
    relabelled,
)

FRAME_RATE = 17.0
_NAME = re.compile(r"([^_]+_([0-9]{6})_([0-9]{6}))_gtFine_label(?:Train)?Ids\.png")
_LABEL_IDS = 34
"""Number of ids in the data set's table: 0 to 33."""
_TRAIN_IDS = 19


def open_cityscapes(root: str, split: str, class_map: ClassMap | None = None) -> Dataset:
    """Open the official layout, or what ``tdnet synthesize --format cityscapes`` writes.

    Each labelled frame gives one video: its snippet, or itself alone if the split has no folder
    in ``leftImg8bit_sequence``. The labels are ``labelIds`` files, or ``labelTrainIds`` files if
    the split has no others.

    Args:
        root: folder with ``gtFine``, and ``leftImg8bit_sequence`` or ``leftImg8bit``.
        split: "train", "val" or "test" (whose published labels are all ignored).
        class_map: see `relabelled`.

    Raises:
        InputError: labels or frames are missing; the message names the downloads.
    """
    folder = Path(root)
    annotations = folder / "gtFine" / split
    labels, reader = sorted(annotations.glob("*/*_gtFine_labelIds.png")), read_label_ids
    if not labels:
        labels, reader = sorted(annotations.glob("*/*_gtFine_labelTrainIds.png")), read_train_ids
    if not labels:
        raise MissingFilesError(
            f"{annotations}: no CITY/*_gtFine_labelIds.png or *_gtFine_labelTrainIds.png in it"
        )
    has_sequences = (folder / "leftImg8bit_sequence" / split).is_dir()
    if not has_sequences and not (folder / "leftImg8bit" / split).is_dir():
        raise MissingFilesError(
            f"{folder}: has neither leftImg8bit_sequence/{split} nor leftImg8bit/{split}"
        )
    videos = tuple(_video(folder, split, path, reader, has_sequences) for path in labels)
    dataset = Dataset("cityscapes", root, split, ClassMap.load("cityscapes"), videos)
    return relabelled(dataset, class_map)


def _video(
    root: Path, split: str, labels: Path, reader: LabelReader, has_sequences: bool
) -> FileVideo:
    match = _NAME.fullmatch(labels.name)
    if match is None:
        raise InputError(f"{labels}: not a name like CITY_000000_000019_gtFine_labelIds.png")
    paths = SnippetPaths(root, split, labels.parent.name, int(match[2]))
    name, number = match[1], int(match[3])
    if not has_sequences:
        still = paths.image(number, "leftImg8bit")
        return FileVideo(name, [still], {0: labels}, reader)
    first = max(0, number - LABELLED_FRAME)
    frames = _SnippetFrames(paths, first, number - LABELLED_FRAME + SNIPPET_FRAMES - first)
    return FileVideo(name, frames, {number - first: labels}, reader, FRAME_RATE)


@dataclass(frozen=True)
class _SnippetFrames(Sequence[Path]):
    """Paths of a snippet's frames, built on access: all together they would be too many."""

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
    # License plates have id -1, stored as 255.
    return _read(path, TRAIN_ID_OF_LABEL_ID, _LABEL_IDS)


def read_train_ids(path: Path) -> npt.NDArray[np.uint8]:
    """Read a ``labelTrainIds`` file, as `read_label_ids`."""
    return _read(path, np.arange(256, dtype=np.uint8), _TRAIN_IDS)


def _read(path: Path, table: npt.NDArray[np.uint8], num_ids: int) -> npt.NDArray[np.uint8]:
    picture = read_label_picture(path)
    if picture.ndim == 3:
        raise InputError(f"{path}: a coloured picture; the labels are in *_gtFine_labelIds.png")
    known = (np.arange(256) < num_ids) | (np.arange(256) == IGNORED)
    with naming(path):
        return ids_by_table(picture, table, known, "Cityscapes")
