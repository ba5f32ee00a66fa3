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
        surfaces: of the pixels; None: they are not recorded.
    """

    def __init__(self, intrinsics: Intrinsics, *, with_depth: bool = False) -> None:
        """Make an empty canvas for a camera."""
        self.height, self.width = SCALE * intrinsics.height, SCALE * intrinsics.width
        self.focal = SCALE * intrinsics.focal
        self.matrix = Intrinsics(self.height, self.width, self.focal).matrix()
        self.pixels = np.zeros((self.height, self.width, 4), np.uint8)
        self.surfaces = Surfaces(intrinsics) if with_depth else None
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

    def fill(
        self, corners: np.ndarray, paint: tuple[int, ...], surface: np.ndarray | None = None
    ) -> None:
        """Paint a convex polygon of (N, 2) ``fixed`` corners with RGB and material.

        Its surface is a row of `surfaces_of`; None: at infinity.
        """
        cv2.fillConvexPoly(self.pixels, corners, paint, cv2.LINE_8, FIXED_BITS)
        if self.surfaces is not None:
            index = self.surfaces.add(surface)
            cv2.fillConvexPoly(self.surfaces.indices, corners, index, cv2.LINE_8, FIXED_BITS)

    def fill_camera(
        self, points: np.ndarray, paint: tuple[int, ...], surface: np.ndarray | None = None
    ) -> None:
        """Paint any polygon of (N, 3) camera points, clipped at ``NEAR``; see `fill`."""
        points = clip_near(points)
        if len(points) >= 3:
            corners = self.fixed(self.project(points))
            cv2.fillPoly(self.pixels, [corners], paint, cv2.LINE_8, FIXED_BITS)
            if self.surfaces is not None:
                index = self.surfaces.add(surface)
                cv2.fillPoly(self.surfaces.indices, [corners], index, cv2.LINE_8, FIXED_BITS)

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
        ids = self._train_ids()
        return _of_most(ids, ids)

    def depth(self) -> np.ndarray:
        """Return (H, W) float32 metres along the optical axis, of what ``labels`` shows.

        Exact for the centre of each pixel; infinite for sky and skyline. Surfaces must be
        recorded.
        """
        if self.surfaces is None:
            raise ValueError("a canvas without surfaces has no depth; make it with_depth")
        quarters = _quarters(self.surfaces.indices)
        return self.surfaces.depth(_of_most(self._train_ids(), quarters))

    def _train_ids(self) -> tuple[np.ndarray, ...]:
        return _quarters(cv2.LUT(cv2.extractChannel(self.pixels, 3), TRAIN_ID_OF_MATERIAL))


class Surfaces:
    """The surface that every pixel of a canvas shows.

    Attributes:
        indices: (SCALE * H, SCALE * W) int32 indices of surfaces.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        """Make a record that shows the sky."""
        self._intrinsics = intrinsics
        self.indices = np.zeros((SCALE * intrinsics.height, SCALE * intrinsics.width), np.int32)
        self._rows = [np.array([0.0, 0.0, 0.0, 1.0, np.inf, np.inf])]

    def add(self, surface: np.ndarray | None) -> int:
        """Return the index of a row of `surfaces_of`; None: the sky."""
        if surface is None:
            return 0
        self._rows.append(surface)
        return len(self._rows) - 1

    def depth(self, indices: np.ndarray) -> np.ndarray:
        """Return (H, W) float32 metres where the rays of pixels meet surfaces of these indices."""
        x, y = self._intrinsics.centre
        right = (np.arange(indices.shape[1]) - x) / self._intrinsics.focal
        down = (np.arange(indices.shape[0])[:, None] - y) / self._intrinsics.focal
        across, along, forward, offset, nearest, farthest = np.array(self._rows).T
        slope = across[indices] * right + along[indices] * down + forward[indices]
        with np.errstate(divide="ignore"):
            depth = offset[indices] / slope
        return np.clip(depth, nearest[indices], farthest[indices]).astype(np.float32)


def surfaces_of(points: np.ndarray) -> np.ndarray:
    """Return (N, 6) planes through (N, K, 3) corners in camera coordinates, metres.

    Columns: normal of any length, offset, and the depths that a pixel of it can have: those of
    the corners, and a tenth more for a ray that passes beside the outline.
    """
    edges = points[:, 1:] - points[:, :1]
    normals = np.cross(edges[:, :-1], edges[:, 1:]).sum(axis=1)
    offsets = (normals * points[:, 0]).sum(axis=1)
    depth = np.maximum(points[..., 2], NEAR)
    return np.column_stack([normals, offsets, 0.9 * depth.min(axis=1), 1.1 * depth.max(axis=1)])


def _quarters(pixels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the four canvas pixels of each camera pixel, row by row."""
    return tuple(np.ascontiguousarray(pixels[y::2, x::2]) for y in (0, 1) for x in (0, 1))


def _of_most(ids: tuple[np.ndarray, ...], values: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the value of a canvas pixel that has the id of most of the four."""
    a, b, c, d = ids
    alone = (a != b) & (a != c) & (a != d)
    rest = np.where(alone & (c == d), values[2], values[0])
    return np.where(alone & ((b == c) | (b == d)), values[1], rest)


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
