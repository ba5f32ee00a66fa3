"""Labels against the truth: pixel accuracy and intersection over union."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_VALUES = 256


@dataclass(frozen=True)
class Score:
    """How well the labels of some frames fit the truth.

    Attributes:
        frames: that were compared.
        pixel_accuracy: share of the pixels with a truth that have the right label, 0 to 1.
        mean_iou: mean of `class_iou`, 0 to 1.
        class_iou: intersection over union by class id, of the classes in truth or labels.
    """

    frames: int
    pixel_accuracy: float
    mean_iou: float
    class_iou: dict[int, float]


class Scorer:
    """Collects the confusion of true and given labels."""

    def __init__(self) -> None:
        self._frames = 0
        self._confusion = np.zeros((_VALUES, _VALUES), np.int64)

    def add(self, truth: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> None:
        """Compare a frame.

        Args:
            truth: (H, W) uint8 class ids, 255 = not counted.
            labels: of the same shape; 255 counts as wrong.
        """
        pairs = truth.astype(np.uint16) * _VALUES + labels
        counts = np.bincount(pairs.ravel(), minlength=_VALUES * _VALUES)
        self._confusion += counts.reshape(_VALUES, _VALUES)
        self._frames += 1

    def score(self, class_ids: list[int]) -> Score | None:
        """Sum up; None if no pixel had a truth.

        Args:
            class_ids: the classes that there are.
        """
        counted = self._confusion[:255]
        pixels = int(counted.sum())
        if pixels == 0:
            return None
        iou = {}
        for class_id in class_ids:
            hits = counted[class_id, class_id]
            union = counted[class_id].sum() + counted[:, class_id].sum() - hits
            if union:
                iou[class_id] = float(hits / union)
        return Score(
            frames=self._frames,
            pixel_accuracy=float(np.trace(counted[:, :255]) / pixels),
            mean_iou=float(np.mean(list(iou.values()))) if iou else 0.0,
            class_iou=iou,
        )
