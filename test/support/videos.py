"""A labelled video in memory, and a data set of such videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets import Dataset, LabelledVideo
from tdnet_offline.frames import Frame


class MemoryVideo(LabelledVideo):
    """Given frames and labels; a frame that is None cannot be read.

    Args:
        name: of the video.
        images: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 of some frames, by index.
        stamps_ns: of the frames; None: they have none.
    """

    frame_rate = None

    def __init__(
        self,
        name: str,
        images: Sequence[npt.NDArray[np.uint8] | None],
        labels: dict[int, npt.NDArray[np.uint8]] | None = None,
        stamps_ns: Sequence[int] | None = None,
    ) -> None:
        self.name, self._images, self._stamps = name, images, stamps_ns
        self._labels = labels or {}
        self.num_frames, self.labelled = len(images), sorted(self._labels)

    def frame(self, index: int) -> Frame:
        image = self._images[index]
        if image is None:
            raise InputError(f"{self.name}/{index}.png: cut off")
        stamp = None if self._stamps is None else self._stamps[index]
        return Frame(f"{self.name}_{index}", stamp, "", image)

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        return self._labels[index]


def dataset_of(
    *videos: LabelledVideo, class_map: str = "cityscapes", root: str = "here"
) -> Dataset:
    """Make a data set of videos whose labels are ids of a packaged class map."""
    return Dataset("memory", root, "val", ClassMap.load(class_map), videos)
