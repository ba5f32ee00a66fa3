"""Models of things: polygons, capsules and textured panels, in order of painting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from tdnet_offline.street.materials import Material, Texture

CORNERS = 14
"""Every polygon has this many corners; shorter ones repeat their last."""

Colour = tuple[float, float, float]
Point = tuple[float, float, float]
Span = Sequence[float]
"""From and to, in metres along one axis."""


def palette(words: str) -> tuple[Colour, ...]:
    """Return the RGB colours, 0 to 255, of hexadecimal words."""
    return tuple((r, g, b) for r, g, b in map(bytes.fromhex, words.split()))


RUBBER, METAL, HUB, GLASS = palette("1e1e21 96989c 56585c 343e4a")


@dataclass(frozen=True)
class Panel:
    """A flat textured rectangle.

    Attributes:
        origin: (3,) metres, the picture's top left corner; of a billboard its foot's middle.
        across: (3,) metres, along the picture's top edge; of a billboard only its length counts.
        down: (3,) metres, along the picture's left edge.
        billboard: whether it always turns towards the camera.
        brightness: factor of the texture's colours, known when the panel is placed.
    """

    origin: np.ndarray
    across: np.ndarray
    down: np.ndarray
    texture: Texture
    order: int
    billboard: bool = False
    brightness: float = 1.0


@dataclass(frozen=True)
class Shapes:
    """Shapes as arrays; x right, y forward, z up, metres.

    Attributes:
        polygons: (P, CORNERS, 3) float32, flat, convex, counter-clockwise seen from outside.
        polygon_paint: (P, 4) float32, RGB 0 to 255 and the material.
        polygon_order: (P,) int, later is painted over earlier.
        capsules: (C, 2, 3) float32 ends of round-ended rods; equal ends make a ball.
        radii: (C, 2) float32 metres at the two ends.
        capsule_paint: (C, 4) float32; capsule_order: (C,) int.
    """

    polygons: np.ndarray
    polygon_paint: np.ndarray
    polygon_order: np.ndarray
    capsules: np.ndarray
    radii: np.ndarray
    capsule_paint: np.ndarray
    capsule_order: np.ndarray
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Model(Shapes):
    """A thing in its own coordinates.

    Attributes:
        two_sided: (P,) bool, painted from both sides.
        footprint: metres (x0, x1, y0, y1) on the ground; decides the order of painting.
        height: metres above the origin, for the shadow; 0: it casts none.
    """

    two_sided: np.ndarray
    footprint: tuple[float, float, float, float]
    height: float


class ModelBuilder:
    """Collects shapes; later ones are painted over earlier ones.

    Attributes:
        material: of the shapes that are added next.
    """

    def __init__(self, material: Material) -> None:
        """Start an empty model."""
        self.material = material
        self._polygons: list[tuple[list[Point], tuple[float, ...], int, bool]] = []
        self._capsules: list[tuple[tuple[Point, Point], tuple[float, ...], int, Span]] = []
        self._panels: list[Panel] = []
        self._order = count(1)

    def polygon(self, points: Sequence[Point], colour: Colour, two_sided: bool = False) -> None:
        """Add a flat convex polygon of 3 to ``CORNERS`` points, counter-clockwise from outside."""
        padded = [*points, *[points[-1]] * (CORNERS - len(points))]
        paint = (*colour, self.material)
        self._polygons.append((padded, paint, next(self._order), two_sided))

    def box(self, low: Point, high: Point, colour: Colour, top: float = 1.0) -> None:
        """Add a box without a floor; ``top`` scales its upper face in x and y."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        inset_x, inset_y = (x1 - x0) * (1 - top) / 2, (y1 - y0) * (1 - top) / 2
        a, b, c, d = (x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)
        e, f = (x0 + inset_x, y0 + inset_y, z1), (x1 - inset_x, y0 + inset_y, z1)
        g, h = (x1 - inset_x, y1 - inset_y, z1), (x0 + inset_x, y1 - inset_y, z1)
        for face in ((a, b, f, e), (b, c, g, f), (c, d, h, g), (d, a, e, h), (e, f, g, h)):
            self.polygon(face, colour)

    def disc(self, centre: Point, radius: float, axis: int, sign: int, colour: Colour) -> None:
        """Add a round plate that faces along an axis (0 x, 1 y), towards ``sign``."""
        angles = np.arange(CORNERS) * (2 * np.pi / CORNERS) + 0.1
        points: list[Point] = []
        x, y, z = centre
        for u, v in zip(radius * np.cos(angles), radius * np.sin(angles), strict=True):
            points.append((x, y + sign * u, z + v) if axis == 0 else (x - sign * u, y, z + v))
        self.polygon(points, colour)

    def wheel(self, x: float, y: float, radius: float, rings: dict[float, Colour]) -> None:
        """Add discs that face outwards at ``x`` and ``-x``; keys are shares of the radius."""
        for sign in (-1, 1):
            for share, colour in rings.items():
                self.disc((sign * x, y, radius), radius * share, 0, sign, colour)

    def extrude(self, profile: Sequence[tuple[float, float, float]], colour: Colour) -> None:
        """Add a convex body from its side view.

        Args:
            profile: (y, z, half width) metres, counter-clockwise seen from the right.
            colour: RGB, 0 to 255.
        """
        right: list[Point] = [(w, y, z) for y, z, w in profile]
        left: list[Point] = [(-w, y, z) for y, z, w in profile]
        for index in range(len(profile)):
            a, b = index - 1, index
            self.polygon([right[a], left[a], left[b], right[b]], colour)
        self.polygon(right, colour)
        self.polygon(left[::-1], colour)

    def end_plate(self, x: Span, z: Span, y: float, colour: Colour) -> None:
        """Add a rectangle at ``y`` that faces forwards, or backwards if ``y`` is negative."""
        points = [(x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1])]
        self.polygon(points if y < 0 else points[::-1], colour)

    def side_plate(self, y: Span, z: Span, x: float, colour: Colour) -> None:
        """Add rectangles on both flanks, at ``x`` and ``-x``, facing outwards."""
        points = [(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])]
        self.polygon(points, colour)
        self.polygon([(-x, b, c) for _, b, c in points][::-1], colour)

    def pane(self, foot: Point, top: Point, colour: Colour) -> None:
        """Add a symmetric pane like a windscreen from its lower and upper right corners.

        It faces forwards, or backwards if its ``y`` is negative.
        """
        points = [foot, (-foot[0], *foot[1:]), (-top[0], *top[1:]), top]
        self.polygon(points if foot[1] > 0 else points[::-1], colour)

    def capsule(
        self, start: Point, end: Point, radius: float | tuple[float, float], colour: Colour
    ) -> None:
        """Add a round-ended rod; equal ends make a ball."""
        radii = radius if isinstance(radius, tuple) else (radius, radius)
        paint = (*colour, self.material)
        self._capsules.append(((start, end), paint, next(self._order), radii))

    def panel(self, origin: Point, across: Point, down: Point, texture: Texture) -> None:
        """Add a textured rectangle from its top left corner, its top edge and its left edge."""
        edges = np.array(origin), np.array(across), np.array(down)
        self._panels.append(Panel(*edges, texture, next(self._order)))

    def billboard(self, foot: Point, width: float, height: float, texture: Texture) -> None:
        """Add an upright picture that turns towards the camera, from its foot's middle."""
        edges = np.array(foot), np.array([width, 0.0, 0.0]), np.array([0.0, 0.0, -height])
        self._panels.append(Panel(*edges, texture, next(self._order), billboard=True))

    def build(self, footprint: tuple[float, float, float, float], height: float = 0.0) -> Model:
        """Return the model; see ``Model`` for the footprint and the height."""
        return Model(
            polygons=_column(self._polygons, 0, CORNERS, 3),
            polygon_paint=_column(self._polygons, 1, 4),
            polygon_order=_column(self._polygons, 2, dtype=np.int64),
            capsules=_column(self._capsules, 0, 2, 3),
            radii=_column(self._capsules, 3, 2),
            capsule_paint=_column(self._capsules, 1, 4),
            capsule_order=_column(self._capsules, 2, dtype=np.int64),
            panels=tuple(self._panels),
            two_sided=_column(self._polygons, 3, dtype=bool),
            footprint=footprint,
            height=height,
        )


def _column(
    rows: Sequence[tuple[Any, ...]], index: int, *shape: int, dtype: type = np.float32
) -> np.ndarray:
    return np.array([row[index] for row in rows], dtype).reshape(-1, *shape)


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker or lighter."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def between(a: Point, b: Point, share: float) -> Point:
    """Return the point at a share of the way from ``a`` to ``b``."""
    x, y, z = (start + share * (end - start) for start, end in zip(a, b, strict=True))
    return x, y, z


def inset(points: Sequence[Point], share: float) -> list[Point]:
    """Return a polygon shrunk towards its middle; 1 leaves it as it is."""
    x, y, z = (sum(values) / len(points) for values in zip(*points, strict=True))
    return [between((x, y, z), point, share) for point in points]
