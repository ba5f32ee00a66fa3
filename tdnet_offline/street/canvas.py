"""The canvas: colour and material at twice the camera's resolution."""

from __future__ import annotations

import cv2
import numpy as np

from tdnet_offline.street.camera import Intrinsics
from tdnet_offline.street.materials import GROUND_OF_MATERIAL, TRAIN_ID_OF_MATERIAL

SCALE = 2
"""Canvas pixels per camera pixel, in each direction."""
NEAR = 0.3
"""Metres in front of the camera at which everything is cut off."""
FIXED_BITS = 3
"""Bits of a canvas coordinate behind the point."""


class Canvas:
    """A picture in which every pixel carries RGB and a material.

    Colour and material are painted by the same call, so a label always matches its pixel;
    ``labels`` takes the majority of a camera pixel's canvas pixels.

    Attributes:
        pixels: (SCALE * H, SCALE * W, 4) uint8 RGB and material.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        """Make an empty canvas for a camera."""
        self.height, self.width = SCALE * intrinsics.height, SCALE * intrinsics.width
        self.focal = SCALE * intrinsics.focal
        self.matrix = Intrinsics(self.height, self.width, self.focal).matrix()
        self.pixels = np.zeros((self.height, self.width, 4), np.uint8)
        self._camera_size = (intrinsics.width, intrinsics.height)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return (..., 2) canvas coordinates of camera points in front of ``NEAR``."""
        depth = np.maximum(points[..., 2:], 1e-3)
        return points[..., :2] / depth * self.focal + self.matrix[:2, 2]

    def holds(self, outlines: np.ndarray) -> np.ndarray:
        """Return (N,) bool: whether (N, K, 2) outlines may touch the canvas."""
        low, high = outlines.min(axis=1), outlines.max(axis=1)
        return ((high >= 0) & (low < (self.width, self.height))).all(axis=1)

    def fixed(self, corners: np.ndarray) -> np.ndarray:
        """Return canvas coordinates as the integers that ``fill`` takes."""
        return np.rint(np.clip(corners, -2e6, 2e6) * (1 << FIXED_BITS)).astype(np.int32)

    def fill(self, corners: np.ndarray, paint: tuple[int, ...]) -> None:
        """Paint a convex polygon of (N, 2) ``fixed`` corners with RGB and material."""
        cv2.fillConvexPoly(self.pixels, corners, paint, cv2.LINE_8, FIXED_BITS)

    def fill_camera(self, points: np.ndarray, paint: tuple[int, ...]) -> None:
        """Paint any polygon of (N, 3) camera points, clipped at ``NEAR``."""
        points = clip_near(points)
        if len(points) >= 3:
            corners = self.fixed(self.project(points))
            cv2.fillPoly(self.pixels, [corners], paint, cv2.LINE_8, FIXED_BITS)

    def image(self) -> np.ndarray:
        """Return the (H, W, 3) uint8 RGB camera picture."""
        small = cv2.resize(self.pixels, self._camera_size, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGBA2RGB)

    def ground(self) -> np.ndarray:
        """Return (H, W) uint8: how much of a camera pixel is ground, 255 for all."""
        ground = cv2.LUT(cv2.extractChannel(self.pixels, 3), GROUND_OF_MATERIAL)
        return cv2.resize(ground, self._camera_size, interpolation=cv2.INTER_AREA)

    def labels(self) -> np.ndarray:
        """Return (H, W) uint8 train ids: what most of each camera pixel shows."""
        ids = cv2.LUT(cv2.extractChannel(self.pixels, 3), TRAIN_ID_OF_MATERIAL)
        a, b, c, d = (np.ascontiguousarray(ids[y::2, x::2]) for y in (0, 1) for x in (0, 1))
        alone = (a != b) & (a != c) & (a != d)
        return np.where(alone & ((b == c) | (b == d)), b, np.where(alone & (c == d), c, a))


def clip_near(points: np.ndarray) -> np.ndarray:
    """Return the part of a polygon, (N, 3) camera points, that lies in front of ``NEAR``."""
    inside = points[:, 2] >= NEAR
    if inside.all():
        return points
    if not inside.any():
        return points[:0]
    before, was_inside = np.roll(points, 1, axis=0), np.roll(inside, 1)
    leap = points[:, 2] - before[:, 2]
    share = (NEAR - before[:, 2]) / np.where(inside != was_inside, leap, 1.0)
    edge = before + share[:, None] * (points - before)
    kept = np.stack([inside != was_inside, inside], axis=1)
    return np.stack([edge, points], axis=1)[kept]
