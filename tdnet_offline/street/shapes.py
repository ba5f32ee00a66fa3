"""Shapes that several models share: extruded profiles, plates on their faces, wheels."""

from __future__ import annotations

from collections.abc import Sequence

from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Colour, ModelBuilder, Point

RUBBER: Colour = (30, 30, 33)
METAL: Colour = (150, 152, 156)
GLASS: Colour = (52, 62, 74)


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
