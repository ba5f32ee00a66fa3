"""Counts of pixels by true and predicted class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet_offline.evaluation.result import Counts

Labels = npt.NDArray[np.uint8]


class ClassAxis:
    """The K classes of a class map as places on the axes of counts, in ascending order of id.

    Args:
        class_map: of the label images; any other id, such as 255, is no class.

    Attributes:
        ids: class ids, ascending.
    """

    def __init__(self, class_map: ClassMap) -> None:
        self.ids = tuple(entry.id for entry in class_map.classes)
        self._places = np.full(256, len(self.ids), np.uint16)
        self._places[list(self.ids)] = np.arange(len(self.ids))

    def __len__(self) -> int:
        return len(self.ids)

    def confusion(self, ground_truth: Labels, labels: Labels) -> Counts:
        """Count the pixels (H, W) of a frame whose true class is known.

        Returns:
            (K, K + 1) counts: rows are true classes, columns predicted ones, the last column
            pixels without a label.
        """
        return self._pairs(ground_truth, labels)[: len(self)]

    def agreement(self, earlier: Labels, later: Labels) -> Counts:
        """Count the pixels that have a class in one or both of two label images of one shape.

        Returns:
            (K + 1, K + 1) counts: rows are classes of the earlier image, columns of the later,
            the last row and column pixels of no class there.
        """
        counts = self._pairs(earlier, later)
        counts[-1, -1] = 0
        return counts

    def _pairs(self, rows: Labels, columns: Labels) -> Counts:
        side = len(self) + 1
        places = self._places[rows] * np.uint16(side) + self._places[columns]
        counts = np.bincount(places.ravel(), minlength=side * side)
        return counts.astype(np.int64).reshape(side, side)
