"""Models beside the road: trees, poles, lamps, signs, traffic lights, bins and benches."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.catalogue import Catalogue
from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import CORNERS, Colour, Model, ModelBuilder, palette
from tdnet_offline.street.randomness import pick

_FOOT = (-0.12, 0.12, -0.12, 0.12)
_CROWN_FOOT = (-0.3, 0.3, -0.3, 0.3)
_STEEL = palette("808486 5c6262 3e4442 969694")
_BARK = palette("58483a 706254 463c34")
_SIGNAL = palette("fa3c2c ffc428 3cf082")
_RED, _WHITE, _BLUE, _BLACK, _AMBER, _YELLOW = palette("c42024 eeeeec 1c54aa 18181a f0ba18 f0c828")

_Layer = tuple[float, int, float, Colour]
_Plate = tuple[float, float, float, float, float, Colour]
_SIGNS: tuple[tuple[tuple[_Layer, ...], tuple[_Plate, ...]], ...] = (
    (
        ((1.0, CORNERS, 0.0, _RED), (0.74, CORNERS, 0.0, _WHITE)),
        ((-0.12, -0.02, -0.13, 0.13, 0.01, _BLACK), (0.03, 0.14, -0.13, 0.13, 0.01, _BLACK)),
    ),
    (
        ((1.15, 3, np.pi / 2, _RED), (0.74, 3, np.pi / 2, _WHITE)),
        ((-0.04, 0.04, -0.1, 0.22, 0.01, _BLACK),),
    ),
    (
        ((1.25, 4, np.pi / 4, _BLUE),),
        (
            (-0.16, -0.06, -0.24, 0.24, 0.01, _WHITE),
            (-0.06, 0.16, -0.04, 0.24, 0.01, _WHITE),
            (-0.06, 0.07, 0.04, 0.16, 0.014, _BLUE),
        ),
    ),
    (((1.1, 8, np.pi / 8, _RED),), ((-0.28, 0.28, -0.07, 0.07, 0.01, _WHITE),)),
    (((1.15, 4, 0.0, _WHITE), (0.8, 4, 0.0, _AMBER)), ()),
    (((1.0, CORNERS, 0.0, _BLUE),), ((-0.05, 0.05, -0.24, 0.14, 0.01, _WHITE),)),
)
"""Signs by kind: regular polygons (radius, corners, first corner's angle, colour), each before
the one below, and plates (x0, x1, z0, z1, metres before the sign, colour)."""
_ONE_WAY, _DIRECTION = 5, 6


def _add_regular(
    build: ModelBuilder,
    centre: tuple[float, float, float],
    radius: float,
    corners: int,
    start: float,
    colour: Colour,
    two_sided: bool = False,
) -> None:
    """Add a regular polygon that faces -y."""
    x, y, z = centre
    turns = [start + 2 * np.pi * index / corners for index in range(corners)]
    points = [(x + radius * np.cos(t), y, z + radius * np.sin(t)) for t in turns]
    build.polygon(points, colour, two_sided)


def _add_sign(build: ModelBuilder, rng: np.random.Generator, z: float) -> None:
    build.material, y = Material.TRAFFIC_SIGN, -0.07
    kind, size = int(rng.integers(7)), rng.uniform(0.34, 0.46)
    if kind == _DIRECTION:
        wide = rng.uniform(0.55, 0.9)
        colour, ink = (_YELLOW, (30, 30, 30)) if rng.random() < 0.4 else (_BLUE, _WHITE)
        low, high = z - 0.28, z + 0.28
        points = [(-wide, y, low), (wide, y, low), (wide, y, high), (-wide, y, high)]
        build.polygon(points, colour, two_sided=True)
        for row in (-0.12, 0.1):
            x = (-wide * 0.75, wide * rng.uniform(0.1, 0.7))
            build.end_plate(x, (z + row - 0.05, z + row + 0.05), y - 0.01, ink)
        return
    layers, plates = _SIGNS[kind]
    for step, (radius, corners, start, colour) in enumerate(layers):
        centre = (0.0, y - 0.004 * step, z)
        _add_regular(build, centre, size * radius, corners, start, colour, two_sided=step == 0)
    for x0, x1, z0, z1, before, colour in plates:
        build.end_plate((x0, x1), (z + z0, z + z1), y - before, colour)
    if kind == _ONE_WAY:
        _add_regular(build, (0.0, y - 0.012, z + 0.14), 0.16, 3, np.pi / 2, _WHITE)


def draw_sign_post(rng: np.random.Generator) -> Model:
    """Draw one or two traffic signs on a post."""
    build = ModelBuilder(Material.POLE)
    top = rng.uniform(2.5, 3.1)
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, top), 0.05, pick(rng, _STEEL))
    _add_sign(build, rng, top - 0.3)
    if rng.random() < 0.4:
        _add_sign(build, rng, top - 1.15)
    return build.build(_FOOT, top)


def draw_street_lamp(rng: np.random.Generator, towards: int) -> Model:
    """Draw a street lamp whose arm reaches over the road, towards ``towards`` (sign of x)."""
    build = ModelBuilder(Material.POLE)
    top, reach = rng.uniform(5.5, 8.5), towards * rng.uniform(1.0, 2.0)
    steel = pick(rng, _STEEL)
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, 0.9), 0.13, steel)
    build.capsule((0.0, 0.0, 0.9), (0.0, 0.0, top), (0.095, 0.06), steel)
    build.capsule((0.0, 0.0, top), (reach, 0.0, top + 0.5), 0.045, steel)
    head = (reach * 0.9, 0.0, top + 0.47), (reach * 1.35, 0.0, top + 0.5)
    build.capsule(*head, 0.09, (206, 206, 200))
    return build.build(_FOOT, top)


def draw_utility_pole(rng: np.random.Generator) -> Model:
    """Draw a plain wooden or concrete pole with a crossbar."""
    build = ModelBuilder(Material.POLE)
    top = rng.uniform(6.0, 8.0)
    colour = (118, 98, 80) if rng.random() < 0.6 else (160, 158, 152)
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, top), (0.16, 0.11), colour)
    build.capsule((-0.9, 0.0, top - 0.5), (0.9, 0.0, top - 0.5), 0.05, colour)
    return build.build(_FOOT, top)


def _add_signal_head(build: ModelBuilder, x: float, z: float, state: int) -> None:
    build.material = Material.TRAFFIC_LIGHT
    build.box((x - 0.19, -0.16, z - 0.5), (x + 0.19, 0.12, z + 0.5), (30, 32, 32))
    for index, colour in enumerate(_SIGNAL):
        shown = colour if index == state else (54, 50, 46)
        build.disc((x, -0.18, z + 0.32 - 0.32 * index), 0.12, 1, -1, shown)


def traffic_light(state: int, towards: int, mast: bool) -> Model:
    """Return a traffic light.

    Args:
        state: 0 red, 1 yellow, 2 green.
        towards: the side of the road, as the sign of x, to which a mast arm reaches.
        mast: whether a second head hangs over the road.
    """
    build = ModelBuilder(Material.POLE)
    steel, top = (84, 88, 88), 5.6 if mast else 3.4
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, top), 0.08, steel)
    _add_signal_head(build, 0.0, 2.9, state)
    if mast:
        reach = towards * 3.6
        build.material = Material.POLE
        build.capsule((0.0, 0.0, top - 0.1), (reach, 0.0, top), 0.06, steel)
        _add_signal_head(build, reach, top - 0.3, state)
    return build.build(_FOOT, top)


def draw_bin(rng: np.random.Generator) -> Model:
    """Draw a litter bin, which has no train id."""
    build = ModelBuilder(Material.STREET_FURNITURE)
    colour = pick(rng, palette("385c42 58585c aa6028"))
    build.box((-0.25, -0.25, 0.1), (0.25, 0.25, 0.95), colour, top=1.15)
    return build.build(_CROWN_FOOT, 0.95)


def draw_bench(rng: np.random.Generator) -> Model:
    """Draw a bench along the street, which has no train id."""
    build = ModelBuilder(Material.STREET_FURNITURE)
    wood = pick(rng, palette("8c603c 70543e"))
    for y in (-0.7, 0.7):
        build.box((-0.22, y - 0.05, 0.0), (0.22, y + 0.05, 0.42), (60, 60, 64))
    build.box((-0.26, -0.9, 0.4), (0.26, 0.9, 0.48), wood)
    return build.build((-0.28, 0.28, -0.9, 0.9), 0.5)


def draw_tree(rng: np.random.Generator, catalogue: Catalogue, size: float = 1.0) -> Model:
    """Draw a broad-leaved tree, or now and then a conifer; ``size`` scales it."""
    build = ModelBuilder(Material.VEGETATION)
    bark = pick(rng, _BARK)
    height = size * rng.uniform(5.5, 10.0)
    if rng.random() < 0.15:
        build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, 1.2), 0.14 * size, bark)
        build.billboard((0.0, 0.0, 0.5), height * 0.48, height, catalogue.conifer)
        return build.build(_CROWN_FOOT, height)
    crown = pick(rng, catalogue.crowns)
    clear, width = height * rng.uniform(0.28, 0.4), height * rng.uniform(0.62, 0.85)
    thick, lean = 0.022 * height, rng.normal(0, 0.12)
    fork = (lean, 0.0, clear * 1.15)
    build.capsule((0.0, 0.0, 0.0), fork, (thick * 1.25, thick * 0.85), bark)
    for sign in (-1, 1):
        tip = (lean + sign * width * 0.2, 0.0, clear * 1.15 + height * 0.25)
        build.capsule(fork, tip, (thick * 0.6, thick * 0.3), bark)
    # The painted crown fills about 70 % of its picture.
    build.billboard((lean, 0.0, clear * 0.62), width * 1.3, height - clear * 0.5, crown)
    return build.build(_CROWN_FOOT, height)


def draw_bush(rng: np.random.Generator, catalogue: Catalogue) -> Model:
    """Draw a bush."""
    build = ModelBuilder(Material.VEGETATION)
    width = rng.uniform(1.0, 2.2)
    texture = pick(rng, catalogue.bushes)
    build.billboard((0.0, 0.0, -0.1), width, width * rng.uniform(0.6, 0.9), texture)
    return build.build((-width / 3, width / 3, -0.3, 0.3), width * 0.5)
