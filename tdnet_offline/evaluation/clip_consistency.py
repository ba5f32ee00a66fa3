"""Video consistency over clips of 8 and 16 frames (Miao et al., CVPR 2021)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tdnet_offline.datasets.video import IGNORED
from tdnet_offline.evaluation.confusion import Labels

CLIP_LENGTHS = (8, 16)
"""Frames of a clip."""


class ClipConsistency:
    """Counts for each pixel how many frames ground truth and labels have been the same."""

    def __init__(self) -> None:
        self._past: tuple[int, Labels, Labels] | None = None
        self._runs: tuple[Labels, Labels] = (np.empty(0, np.uint8),) * 2

    def add(self, index: int, labels: Labels, ground_truth: Labels) -> dict[int, float]:
        """Add a frame; a frame that does not follow the one before starts again.

        Args:
            index: of the frame in its video.
            labels: (H, W) uint8 class ids, 255 = unlabelled.
            ground_truth: (H, W) uint8 class ids, 255 = ignored.

        Returns:
            Of each clip that ends with the frame, by its length: the share, 0 to 1, of the pixels
            with the same ground truth in all its frames that also have the same label in all.
        """
        past, self._past = self._past, (index, labels, ground_truth)
        if past is None or past[0] + 1 != index or past[1].shape != labels.shape:
            self._runs = (np.ones(labels.shape, np.uint8),) * 2
        else:
            same = past[1] == labels, past[2] == ground_truth
            self._runs = _continued(self._runs[0], same[0]), _continued(self._runs[1], same[1])
        label_runs, true_runs = self._runs
        scores = {}
        for length in CLIP_LENGTHS:
            counted = (true_runs >= length) & (ground_truth != IGNORED)
            if counted.any():
                scores[length] = float((label_runs[counted] >= length).mean())
        return scores


def _continued(run: Labels, same: npt.NDArray[np.bool_]) -> Labels:
    """Return the frames (H, W) of runs after one more, at most those of the longest clip."""
    return np.where(same, np.minimum(run + 1, CLIP_LENGTHS[-1]), 1).astype(np.uint8)
