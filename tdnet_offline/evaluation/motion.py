"""Optical flow, exact or estimated, that carries labels from one frame to the next."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tdnet_offline.datasets.video import IGNORED
from tdnet_offline.evaluation.confusion import Labels

FLOW_SIDE = 640
"""Longest side in pixels of the pictures that the flow is computed on."""
MIN_SIDE = 32
"""Shortest side in pixels on which a flow can be computed."""

Flow = npt.NDArray[np.float32]


class Motion:
    """Position of each pixel of a frame in the previous frame, and which of them were in sight.

    A pixel was in sight if the flow back and forth returns to it (Sundaram, Brox, Keutzer, ECCV
    2010).

    Args:
        back: (H, W, 2) pixels to the right and down, from each pixel of the frame to its place in
            the previous frame.
        forth: the same from the previous frame to the frame.
    """

    def __init__(self, back: Flow, forth: Flow) -> None:
        self._back = back
        self._in_sight = _meet(back, forth)

    @classmethod
    def estimated(cls, before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]) -> Motion:
        """Estimate it from grey pictures, as from `grey`.

        By dense inverse search (Kroeger et al., ECCV 2016).
        """
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        none = np.empty(0, np.float32)
        back = np.asarray(search.calc(now, before, none), np.float32)
        return cls(back, np.asarray(search.calc(before, now, none), np.float32))

    def carry(self, labels: Labels) -> tuple[Labels, npt.NDArray[np.bool_]]:
        """Carry labels (H, W) of the previous frame, perhaps larger than the pictures, over.

        Returns:
            Labels (H, W) uint8, 255 where not in sight; and a mask (H, W) of pixels in sight.
        """
        size = labels.shape[::-1]
        back, met = self._back, self._in_sight
        if labels.shape != met.shape:
            scale = np.divide(size, met.shape[::-1]).astype(np.float32)
            back = np.asarray(cv2.resize(back, size), np.float32) * scale
            met = np.asarray(cv2.resize(met, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        # The second channel is 1 where the source is within the picture.
        carried = cv2.remap(
            np.dstack([labels, np.ones_like(labels)]),
            *_ends(back),
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(IGNORED, 0.0),
        )
        in_sight = (met > 0) & (carried[..., 1] > 0)
        return np.where(in_sight, carried[..., 0], np.uint8(IGNORED)), in_sight


def grey(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an image (H, W, 3) uint8 RGB in grey and at most `FLOW_SIDE` large."""
    height, width = image.shape[:2]
    scale = min(1.0, FLOW_SIDE / max(height, width))
    rows, columns = (max(MIN_SIDE, round(side * scale)) for side in (height, width))
    picture = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if (rows, columns) != (height, width):
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(picture, (columns, rows), interpolation=way)
    return np.asarray(picture, np.uint8)


def _meet(back: Flow, forth: Flow) -> npt.NDArray[np.uint8]:
    """Return (H, W) uint8: 1 where the flow back and forth returns to the pixel."""
    far = (1e6, 1e6, 0.0, 0.0)
    returned = cv2.remap(
        forth, *_ends(back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=far
    )
    missed = ((back + returned) ** 2).sum(axis=2)
    lengths = (back**2).sum(axis=2) + (returned**2).sum(axis=2)
    return (missed < 0.01 * lengths + 0.5).astype(np.uint8)


def _ends(flow: Flow) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    height, width = flow.shape[:2]
    columns = np.arange(width, dtype=np.float32) + flow[..., 0]
    rows = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return columns, rows
