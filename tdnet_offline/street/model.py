"""Models of things: polygons, capsules and textured panels, in order of painting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.texture import Texture

CORNERS = 14
"""Every polygon has this many corners; shorter ones repeat their last."""

Colour = tuple[float, float, float]
Point = tuple[float, float, float]

RUBBER: Colour = (30, 30, 33)
METAL: Colour = (150, 152, 156)
GLASS: Colour = (52, 62, 74)


@dataclass(frozen=True)
class Panel:
    """A flat textured rectangle.

    Attributes:
        origin: (3,) metres, the picture's top left corner; of a billboard its foot's middle.
        across: (3,) metres, along the picture's top edge; of a billboard only its length counts.
        down: (3,) metres, along the picture's left edge.
        billboard: whether it always turns towards the camera.
    """

    origin: np.ndarray
    across: np.ndarray
    down: np.ndarray
    texture: Texture
    order: int
    billboard: bool = False


@dataclass(frozen=True)
class Model:
    """A thing as arrays; x right, y forward, z up, metres.

    Attributes:
        polygons: (P, CORNERS, 3) float32, flat, convex, counter-clockwise seen from outside.
        polygon_paint: (P, 4) float32, RGB 0 to 255 and the material.
        two_sided: (P,) bool, painted from both sides.
        polygon_order: (P,) int, later is painted over earlier.
        capsules: (C, 2, 3) float32 ends of round-ended rods; equal ends make a ball.
        radii: (C, 2) float32 metres at the two ends.
        capsule_paint: (C, 4) float32; capsule_order: (C,) int.
        footprint: metres (x0, x1, y0, y1) on the ground; decides the order of painting.
        height: metres above the origin, for the shadow; 0: it casts none.
    """

    polygons: np.ndarray
    polygon_paint: np.ndarray
    two_sided: np.ndarray
    polygon_order: np.ndarray
    capsules: np.ndarray
    radii: np.ndarray
    capsule_paint: np.ndarray
    capsule_order: np.ndarray
    panels: tuple[Panel, ...]
    footprint: tuple[float, float, float, float]
    height: float


@dataclass
class ModelBuilder:
    """Collects shapes; later ones are painted over earlier ones."""

    _polygons: list[list[Point]] = field(default_factory=list)
    _polygon_paint: list[tuple[float, ...]] = field(default_factory=list)
    _two_sided: list[bool] = field(default_factory=list)
    _polygon_order: list[int] = field(default_factory=list)
    _capsules: list[tuple[Point, Point]] = field(default_factory=list)
    _radii: list[tuple[float, float]] = field(default_factory=list)
    _capsule_paint: list[tuple[float, ...]] = field(default_factory=list)
    _capsule_order: list[int] = field(default_factory=list)
    _panels: list[Panel] = field(default_factory=list)
    _next: int = 0

    def _order(self) -> int:
        self._next += 1
        return self._next

    def polygon(
        self, points: Sequence[Point], colour: Colour, material: Material, two_sided: bool = False
    ) -> None:
        """Add a flat convex polygon of 3 to ``CORNERS`` points, counter-clockwise from outside."""
        padded = [*points, *[points[-1]] * (CORNERS - len(points))]
        self._polygons.append(padded)
        self._polygon_paint.append((*colour, material))
        self._two_sided.append(two_sided)
        self._polygon_order.append(self._order())

    def box(
        self,
        low: Point,
        high: Point,
        colour: Colour,
        material: Material,
        top: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Add a box without a floor; ``top`` shrinks its upper face in x and y."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        inset_x, inset_y = (x1 - x0) * (1 - top[0]) / 2, (y1 - y0) * (1 - top[1]) / 2
        a, b, c, d = (x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)
        e, f = (x0 + inset_x, y0 + inset_y, z1), (x1 - inset_x, y0 + inset_y, z1)
        g, h = (x1 - inset_x, y1 - inset_y, z1), (x0 + inset_x, y1 - inset_y, z1)
        for face in ((a, b, f, e), (b, c, g, f), (c, d, h, g), (d, a, e, h), (e, f, g, h)):
            self.polygon(face, colour, material)

    def disc(
        self,
        centre: Point,
        radius: float,
        axis: int,
        sign: int,
        colour: Colour,
        material: Material,
    ) -> None:
        """Add a round plate that faces along an axis (0 x, 1 y), towards ``sign``."""
        angles = np.arange(CORNERS) * (2 * np.pi / CORNERS) + 0.1
        points: list[Point] = []
        x, y, z = centre
        for cosine, sine in zip(np.cos(angles), np.sin(angles), strict=True):
            u, v = radius * float(cosine), radius * float(sine)
            points.append((x, y + sign * u, z + v) if axis == 0 else (x - sign * u, y, z + v))
        self.polygon(points, colour, material)

    def capsule(
        self,
        start: Point,
        end: Point,
        radius: float | tuple[float, float],
        colour: Colour,
        material: Material,
    ) -> None:
        """Add a round-ended rod; equal ends make a ball."""
        radii = radius if isinstance(radius, tuple) else (radius, radius)
        self._capsules.append((start, end))
        self._radii.append(radii)
        self._capsule_paint.append((*colour, material))
        self._capsule_order.append(self._order())

    def panel(self, origin: Point, across: Point, down: Point, texture: Texture) -> None:
        """Add a textured rectangle from its top left corner, its top edge and its left edge."""
        self._panels.append(
            Panel(np.array(origin), np.array(across), np.array(down), texture, self._order())
        )

    def billboard(self, foot: Point, width: float, height: float, texture: Texture) -> None:
        """Add an upright picture that turns towards the camera, from its foot's middle."""
        across, down = np.array([width, 0.0, 0.0]), np.array([0.0, 0.0, -height])
        self._panels.append(
            Panel(np.array(foot), across, down, texture, self._order(), billboard=True)
        )

    def build(self, footprint: tuple[float, float, float, float], height: float = 0.0) -> Model:
        """Return the model; see ``Model`` for the footprint and the height."""
        return Model(
            polygons=np.array(self._polygons, np.float32).reshape(-1, CORNERS, 3),
            polygon_paint=np.array(self._polygon_paint, np.float32).reshape(-1, 4),
            two_sided=np.array(self._two_sided, bool),
            polygon_order=np.array(self._polygon_order, np.int64),
            capsules=np.array(self._capsules, np.float32).reshape(-1, 2, 3),
            radii=np.array(self._radii, np.float32).reshape(-1, 2),
            capsule_paint=np.array(self._capsule_paint, np.float32).reshape(-1, 4),
            capsule_order=np.array(self._capsule_order, np.int64),
            panels=tuple(self._panels),
            footprint=footprint,
            height=height,
        )


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker or lighter."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def extrude(
    build: ModelBuilder,
    profile: Sequence[tuple[float, float, float]],
    colour: Colour,
    material: Material,
) -> None:
    """Add a convex body from its side view.

    Args:
        build: where to add it.
        profile: (y, z, half width) metres, counter-clockwise seen from the right.
        colour: RGB, 0 to 255.
        material: of the body.
    """
    right: list[Point] = [(w, y, z) for y, z, w in profile]
    left: list[Point] = [(-w, y, z) for y, z, w in profile]
    for index in range(len(profile)):
        a, b = index - 1, index
        build.polygon([right[a], left[a], left[b], right[b]], colour, material)
    build.polygon(right, colour, material)
    build.polygon(left[::-1], colour, material)


def inset(points: Sequence[Point], share: float) -> list[Point]:
    """Return a polygon shrunk towards its middle; 1 leaves it as it is."""
    count = len(points)
    middle = [sum(point[axis] for point in points) / count for axis in range(3)]
    return [
        (
            middle[0] + share * (x - middle[0]),
            middle[1] + share * (y - middle[1]),
            middle[2] + share * (z - middle[2]),
        )
        for x, y, z in points
    ]


def end_plate(
    build: ModelBuilder,
    x: tuple[float, float],
    z: tuple[float, float],
    y: float,
    sign: int,
    colour: Colour,
    material: Material,
) -> None:
    """Add a rectangle that faces forwards (``sign`` 1) or backwards (-1) at ``y``."""
    points: list[Point] = [(x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1])]
    build.polygon(points if sign < 0 else points[::-1], colour, material)


def side_plate(
    build: ModelBuilder,
    y: tuple[float, float],
    z: tuple[float, float],
    x: float,
    colour: Colour,
    material: Material,
) -> None:
    """Add rectangles on both flanks, at ``x`` and ``-x``, facing outwards."""
    points: list[Point] = [(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])]
    build.polygon(points, colour, material)
    build.polygon([(-x, b, c) for _, b, c in points][::-1], colour, material)


def wheels(
    build: ModelBuilder, x: float, y: Sequence[float], radius: float, material: Material
) -> None:
    """Add a pair of wheels at every ``y``, their outer faces at ``x`` and ``-x``."""
    for along in y:
        for sign in (-1, 1):
            build.disc((sign * x, along, radius), radius, 0, sign, RUBBER, material)
            build.disc((sign * x, along, radius), radius * 0.6, 0, sign, METAL, material)
            build.disc((sign * x, along, radius), radius * 0.28, 0, sign, (86, 88, 92), material)
