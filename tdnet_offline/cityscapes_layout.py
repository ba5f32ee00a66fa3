"""The folder layout of Cityscapes: file names, snippets, and ids of the label files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tdnet.class_map.classes import UNLABELLED
from tdnet.errors import InputError
from tdnet_offline.street import StreetDrive

SNIPPET_FRAMES = 30
"""Frames of a snippet."""
LABELLED_FRAME = 19
"""Index of the labelled frame of a snippet: the 20th."""
_RAW_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_UNLABELLED_RAW = 0
# Camera noise hardly compresses at any level.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


LABEL_ID_OF_TRAIN_ID = np.full(256, _UNLABELLED_RAW, np.uint8)
"""(256,) uint8: train id to the id in ``labelIds`` files; 0 (unlabelled) for other values."""
LABEL_ID_OF_TRAIN_ID[: len(_RAW_IDS)] = _RAW_IDS
TRAIN_ID_OF_LABEL_ID = np.full(256, UNLABELLED, np.uint8)
"""(256,) uint8: id in ``labelIds`` files to train id; 255 for ids without one."""
TRAIN_ID_OF_LABEL_ID[list(_RAW_IDS)] = range(len(_RAW_IDS))


@dataclass(frozen=True)
class SnippetPaths:
    """Paths of the files of one snippet.

    Attributes:
        root: folder of the data set.
        split: "train" or "val".
        city: as in the file names; without underscores.
        sequence: number of the snippet in its city.
    """

    root: Path
    split: str
    city: str
    sequence: int = 0

    def image(self, frame: int, package: str = "leftImg8bit_sequence") -> Path:
        """Return the path of a frame's picture; ``leftImg8bit`` has labelled frames only."""
        return self._path(package, frame, "leftImg8bit")

    def labels(self, frame: int) -> Path:
        """Return the path of a frame's labels."""
        return self._path("gtFine", frame, "gtFine_labelIds")

    def _path(self, package: str, frame: int, kind: str) -> Path:
        name = f"{self.city}_{self.sequence:06d}_{frame:06d}_{kind}.png"
        return self.root / package / self.split / self.city / name


def snippet_split(snippet: int) -> str:
    """Return the split of a snippet: every fifth is for validation."""
    return "val" if snippet % 5 == 4 else "train"


def write_snippet(
    paths: SnippetPaths, drive: StreetDrive, on_frame: Callable[[], None] = lambda: None
) -> None:
    """Write the first frames of a drive as a snippet: 30 pictures, labels of the 20th.

    Args:
        paths: files to write.
        drive: source of the frames.
        on_frame: called after every frame.

    Raises:
        InputError: a file cannot be written.
    """
    paths.image(0).parent.mkdir(parents=True, exist_ok=True)
    paths.labels(0).parent.mkdir(parents=True, exist_ok=True)
    for index in range(SNIPPET_FRAMES):
        frame = drive.frame(index)
        _write(paths.image(index), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        if index == LABELLED_FRAME:
            _write(paths.labels(index), LABEL_ID_OF_TRAIN_ID[frame.labels])
        on_frame()


def _write(path: Path, picture: np.ndarray) -> None:
    if not cv2.imwrite(str(path), picture, _PNG):
        raise InputError(f"{path}: cannot be written; check the disk's space and permissions")
