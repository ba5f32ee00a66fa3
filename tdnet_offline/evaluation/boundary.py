"""Counts for the boundary F-score: how well the borders between classes fit.

After Csurka, Larlus, Perronnin: What is a good evaluation measure for semantic segmentation?
(BMVC 2013), where a boundary pixel is right if the other image has a boundary of the same class
within 0.75 % of the image's diagonal.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tdnet_offline.datasets.video import IGNORED
from tdnet_offline.evaluation.confusion import ClassAxis, Labels
from tdnet_offline.evaluation.result import Counts

TOLERANCE = 0.0075
"""Distance at which boundaries meet, as a share of the image's diagonal."""

Mask = npt.NDArray[np.bool_]


def tolerance(size: tuple[int, int]) -> int:
    """Return the distance in pixels, at least 1, at which boundaries in (H, W) images meet."""
    return max(1, round(TOLERANCE * float(np.hypot(*size))))


def boundary_counts(ground_truth: Labels, labels: Labels, axis: ClassAxis) -> Counts:
    """Count the boundary pixels of a frame, and those that meet one of the other image.

    A boundary pixel of a class has a neighbour above, below, left or right with another label.
    Pixels that the ground truth ignores, and their borders, are not boundaries.

    Args:
        ground_truth: (H, W) uint8 class ids, 255 = ignored.
        labels: (H, W) uint8 class ids.
        axis: the classes.

    Returns:
        (K, 4) counts: predicted, predicted near a true one of the same class, true, true near a
        predicted one.
    """
    counts = np.zeros((len(axis), 4), np.int64)
    known = ground_truth != IGNORED
    true_edges, own_edges = _edges(ground_truth, known), _edges(labels, known)
    reach = tolerance((ground_truth.shape[0], ground_truth.shape[1]))
    present = set(np.unique(ground_truth[true_edges])) | set(np.unique(labels[own_edges]))
    for place, class_id in enumerate(axis.ids):
        if class_id in present:
            true = true_edges & (ground_truth == class_id)
            predicted = own_edges & (labels == class_id)
            near = _near(predicted, true, reach), _near(true, predicted, reach)
            counts[place] = np.sum(predicted), near[0], np.sum(true), near[1]
    return counts


def _edges(labels: Labels, known: Mask) -> Mask:
    edges = np.zeros(labels.shape, bool)
    across = (labels[:, 1:] != labels[:, :-1]) & known[:, 1:] & known[:, :-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    down = (labels[1:] != labels[:-1]) & known[1:] & known[:-1]
    edges[1:] |= down
    edges[:-1] |= down
    return edges


def _near(pixels: Mask, others: Mask, reach: int) -> int:
    """Count the pixels that have one of the others within reach."""
    if not pixels.any() or not others.any():
        return 0
    left, top, width, height = cv2.boundingRect((pixels | others).view(np.uint8))
    window = slice(top, top + height), slice(left, left + width)
    distances = cv2.distanceTransform(
        (~others[window]).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    # Distances are roots of whole numbers, in float32: halfway to the next one is safe.
    return int(np.count_nonzero(distances[pixels[window]] ** 2 < reach**2 + 0.5))
