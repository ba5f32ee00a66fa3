"""Buildings, walls, fences and hedges along the street, as models that follow its bends."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.facades import Facade
from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Colour, Model, ModelBuilder, Point
from tdnet_offline.street.texture import Texture

_ROOFS: tuple[Colour, ...] = ((132, 68, 52), (92, 84, 82), (110, 72, 58), (74, 76, 84))


def row_panels(
    build: ModelBuilder,
    sign: int,
    length: float,
    height: float,
    step: float,
    texture: Texture,
) -> None:
    """Add textured panels in a row along +y, at x = 0, that face the street.

    Args:
        build: where to add them.
        sign: the side of the street, -1 left or 1 right.
        length: metres of the row.
        height: metres.
        step: metres that one panel would like to be long.
        texture: of every panel.
    """
    count = max(1, round(length / step))
    part = length / count
    for index in range(count):
        start, end = index * part, (index + 1) * part
        # Seen from the street, a left-hand row runs from near left to far right.
        first, last = (start, end) if sign < 0 else (end, start)
        build.panel((0.0, first, height), (0.0, last - first, 0.0), (0.0, 0.0, -height), texture)


def building(rng: np.random.Generator, facade: Facade, sign: int, length: float) -> Model:
    """Return a building from y = 0 to ``length``, its front at x = 0, its depth outwards."""
    build = ModelBuilder()
    depth = float(rng.uniform(9.0, 13.0))
    height = facade.height
    gable = facade.storeys <= 3 and rng.random() < 0.75
    roof = _ROOFS[int(rng.integers(len(_ROOFS)))]
    rise = float(rng.uniform(2.2, 3.4)) if gable else 0.0
    outer = sign * depth
    if gable:
        # Roof planes first: the walls are painted over their lower edge.
        count = max(1, round(length / 10.0))
        for index in range(count):
            y0, y1 = index * length / count - 0.2, (index + 1) * length / count + 0.2
            eave = (-sign * 0.35, height - 0.25)
            ridge = (outer / 2, height + rise)
            slope: list[Point] = [
                (eave[0], y0, eave[1]),
                (eave[0], y1, eave[1]),
                (ridge[0], y1, ridge[1]),
                (ridge[0], y0, ridge[1]),
            ]
            build.polygon(slope[::-sign], roof, Material.BUILDING)
        if rng.random() < 0.7:
            y, x = length * float(rng.uniform(0.2, 0.8)), outer * 0.4
            low, high = height + rise * 0.5, height + rise + 0.9
            build.box(
                (x - 0.35, y - 0.4, low),
                (x + 0.35, y + 0.4, high),
                (134, 84, 68),
                Material.BUILDING,
            )
        wall = tuple(float(c) for c in facade.wall * 0.95)
        tip: list[Point] = [
            (0.0, 0.0, height),
            (outer, 0.0, height),
            (outer / 2, 0.0, height + rise),
        ]
        build.polygon(tip[::sign], (wall[0], wall[1], wall[2]), Material.BUILDING)
    # The end wall faces the oncoming camera.
    left, right = (0.0, outer) if sign > 0 else (outer, 0.0)
    build.panel((left, 0.0, height), (right - left, 0.0, 0.0), (0.0, 0.0, -height), facade.side)
    row_panels(build, sign, length, height, facade.width, facade.front)
    if not gable:
        lip = tuple(float(c) for c in facade.wall * 0.7)
        build.polygon(
            [
                (0.0, 0.0, height),
                (0.0, length, height),
                (0.0, length, height + 0.25),
                (0.0, 0.0, height + 0.25),
            ][::sign],
            (lip[0], lip[1], lip[2]),
            Material.BUILDING,
            two_sided=True,
        )
    x0, x1 = (0.0, depth) if sign > 0 else (-depth, 0.0)
    return build.build((x0, x1, 0.0, length), height)


def barrier(texture: Texture, sign: int, length: float, height: float, thick: float) -> Model:
    """Return a wall, fence or hedge from y = 0 to ``length``, facing the street at x = 0."""
    build = ModelBuilder()
    if thick > 0.0:
        x0, x1 = (0.0, thick) if sign > 0 else (-thick, 0.0)
        build.panel((x0, 0.0, height), (x1 - x0, 0.0, 0.0), (0.0, 0.0, -height), texture)
    row_panels(build, sign, length, height, 4.0, texture)
    x0, x1 = (0.0, max(thick, 0.1)) if sign > 0 else (-max(thick, 0.1), 0.0)
    return build.build((x0, x1, 0.0, length), height)
