"""Buildings, walls, fences and hedges along the street, as models that follow its bends."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.facades import Facade
from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Model, ModelBuilder, palette, scaled
from tdnet_offline.street.randomness import pick
from tdnet_offline.street.texture import Texture

_ROOFS = palette("844434 5c5452 6e483a 4a4c54")
_CHIMNEY = palette("865444")[0]


def _add_front(
    build: ModelBuilder, sign: int, length: float, height: float, step: float, texture: Texture
) -> None:
    """Add a row of panels at x = 0 along +y that face the street, each about ``step`` long."""
    count = max(1, round(length / step))
    part = length / count
    for index in range(count):
        start, end = index * part, (index + 1) * part
        # Seen from the street, a left-hand row runs from near left to far right.
        first, last = (start, end) if sign < 0 else (end, start)
        build.panel((0.0, first, height), (0.0, last - first, 0.0), (0.0, 0.0, -height), texture)


def _add_end_wall(
    build: ModelBuilder, sign: int, depth: float, height: float, texture: Texture
) -> None:
    """Add the end wall that faces the oncoming camera."""
    left, right = (0.0, depth) if sign > 0 else (-depth, 0.0)
    build.panel((left, 0.0, height), (right - left, 0.0, 0.0), (0.0, 0.0, -height), texture)


def building(rng: np.random.Generator, facade: Facade, sign: int, length: float) -> Model:
    """Return a building from y = 0 to ``length``, its front at x = 0, its depth outwards."""
    build = ModelBuilder(Material.BUILDING)
    depth, height = rng.uniform(9.0, 13.0), facade.height
    gable = facade.storeys <= 3 and rng.random() < 0.75
    roof = pick(rng, _ROOFS)
    if gable:
        # Roof planes first: the walls are painted over their lower edge.
        outer, rise = sign * depth, rng.uniform(2.2, 3.4)
        ridge = height + rise
        count = max(1, round(length / 10.0))
        for index in range(count):
            y0, y1 = index * length / count - 0.2, (index + 1) * length / count + 0.2
            (x, z), (x1, z1) = (-sign * 0.35, height - 0.25), (outer / 2, ridge)
            slope = [(x, y0, z), (x, y1, z), (x1, y1, z1), (x1, y0, z1)]
            build.polygon(slope[::-sign], roof)
        if rng.random() < 0.7:
            y, x = length * rng.uniform(0.2, 0.8), outer * 0.4
            base = (x - 0.35, y - 0.4, height + rise * 0.5)
            build.box(base, (x + 0.35, y + 0.4, height + rise + 0.9), _CHIMNEY)
        tip = [(0.0, 0.0, height), (outer, 0.0, height), (outer / 2, 0.0, ridge)]
        build.polygon(tip[::sign], scaled(facade.wall, 0.95))
    _add_end_wall(build, sign, depth, height, facade.side)
    _add_front(build, sign, length, height, facade.width, facade.front)
    if not gable:
        low, high = height, height + 0.25
        lip = [(0.0, 0.0, low), (0.0, length, low), (0.0, length, high), (0.0, 0.0, high)]
        build.polygon(lip[::sign], scaled(facade.wall, 0.7), two_sided=True)
    x0, x1 = (0.0, depth) if sign > 0 else (-depth, 0.0)
    return build.build((x0, x1, 0.0, length), height)


def barrier(texture: Texture, sign: int, length: float, height: float, thick: float) -> Model:
    """Return a wall, fence or hedge from y = 0 to ``length``, facing the street at x = 0."""
    build = ModelBuilder(Material.WALL)
    if thick > 0.0:
        _add_end_wall(build, sign, thick, height, texture)
    _add_front(build, sign, length, height, 4.0, texture)
    x0, x1 = (0.0, max(thick, 0.1)) if sign > 0 else (-max(thick, 0.1), 0.0)
    return build.build((x0, x1, 0.0, length), height)
