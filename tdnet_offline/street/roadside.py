"""Models beside the road: trees, poles, lamps, signs, traffic lights, bins and benches."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.catalogue import Catalogue
from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import CORNERS, Colour, Model, ModelBuilder, Point, end_plate

_FOOT = (-0.12, 0.12, -0.12, 0.12)
_STEEL: tuple[Colour, ...] = ((128, 132, 134), (92, 98, 98), (62, 68, 66), (150, 150, 148))


def _regular(
    x: float, y: float, z: float, radius: float, corners: int, start: float
) -> list[Point]:
    """Return a regular polygon that faces -y."""
    turns = [start + 2 * np.pi * index / corners for index in range(corners)]
    return [(x + radius * float(np.cos(t)), y, z + radius * float(np.sin(t))) for t in turns]


def _add_sign(build: ModelBuilder, rng: np.random.Generator, z: float, x: float = 0.0) -> None:
    material, y = Material.TRAFFIC_SIGN, -0.07
    kind = int(rng.integers(7))
    red: Colour = (196, 32, 36)
    white: Colour = (238, 238, 236)
    blue: Colour = (28, 84, 170)
    size = float(rng.uniform(0.34, 0.46))

    def layer(radius: float, corners: int, start: float, colour: Colour, step: int) -> None:
        points = _regular(x, y - 0.004 * step, z, radius, corners, start)
        build.polygon(points, colour, material, two_sided=step == 0)

    if kind == 0:
        layer(size, CORNERS, 0.0, red, 0)
        layer(size * 0.74, CORNERS, 0.0, white, 1)
        end_plate(
            build, (x - 0.12, x - 0.02), (z - 0.13, z + 0.13), y - 0.01, -1, (24, 24, 26), material
        )
        end_plate(
            build, (x + 0.03, x + 0.14), (z - 0.13, z + 0.13), y - 0.01, -1, (24, 24, 26), material
        )
    elif kind == 1:
        layer(size * 1.15, 3, np.pi / 2, red, 0)
        layer(size * 0.74, 3, np.pi / 2, white, 1)
        end_plate(
            build, (x - 0.04, x + 0.04), (z - 0.1, z + 0.22), y - 0.01, -1, (24, 24, 26), material
        )
    elif kind == 2:
        layer(size * 1.25, 4, np.pi / 4, blue, 0)
        end_plate(build, (x - 0.16, x - 0.06), (z - 0.24, z + 0.24), y - 0.01, -1, white, material)
        end_plate(build, (x - 0.06, x + 0.16), (z - 0.04, z + 0.24), y - 0.01, -1, white, material)
        end_plate(build, (x - 0.06, x + 0.07), (z + 0.04, z + 0.16), y - 0.014, -1, blue, material)
    elif kind == 3:
        layer(size * 1.1, 8, np.pi / 8, red, 0)
        end_plate(build, (x - 0.28, x + 0.28), (z - 0.07, z + 0.07), y - 0.01, -1, white, material)
    elif kind == 4:
        layer(size * 1.15, 4, 0.0, white, 0)
        layer(size * 0.8, 4, 0.0, (240, 186, 24), 1)
    elif kind == 5:
        layer(size, CORNERS, 0.0, blue, 0)
        end_plate(build, (x - 0.05, x + 0.05), (z - 0.24, z + 0.14), y - 0.01, -1, white, material)
        build.polygon(_regular(x, y - 0.012, z + 0.14, 0.16, 3, np.pi / 2), white, material)
    else:
        wide = float(rng.uniform(0.55, 0.9))
        colour: Colour = (240, 200, 40) if rng.random() < 0.4 else blue
        ink: Colour = (30, 30, 30) if colour[0] > 200 else white
        points: list[Point] = [
            (x - wide, y, z - 0.28),
            (x + wide, y, z - 0.28),
            (x + wide, y, z + 0.28),
            (x - wide, y, z + 0.28),
        ]
        build.polygon(points, colour, material, two_sided=True)
        for row in (-0.12, 0.1):
            end_plate(
                build,
                (x - wide * 0.75, x + wide * float(rng.uniform(0.1, 0.7))),
                (z + row - 0.05, z + row + 0.05),
                y - 0.01,
                -1,
                ink,
                material,
            )


def draw_sign_post(rng: np.random.Generator) -> Model:
    """Draw one or two traffic signs on a post."""
    build = ModelBuilder()
    top = float(rng.uniform(2.5, 3.1))
    steel = _STEEL[int(rng.integers(len(_STEEL)))]
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, top), 0.05, steel, Material.POLE)
    _add_sign(build, rng, top - 0.3)
    if rng.random() < 0.4:
        _add_sign(build, rng, top - 1.15)
    return build.build(_FOOT, top)


def draw_street_lamp(rng: np.random.Generator, towards: int) -> Model:
    """Draw a street lamp whose arm reaches over the road, towards ``towards`` (sign of x)."""
    build = ModelBuilder()
    top, reach = float(rng.uniform(5.5, 8.5)), towards * float(rng.uniform(1.0, 2.0))
    steel = _STEEL[int(rng.integers(len(_STEEL)))]
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, 0.9), 0.13, steel, Material.POLE)
    build.capsule((0.0, 0.0, 0.9), (0.0, 0.0, top), (0.095, 0.06), steel, Material.POLE)
    build.capsule((0.0, 0.0, top), (reach, 0.0, top + 0.5), 0.045, steel, Material.POLE)
    build.capsule(
        (reach * 0.9, 0.0, top + 0.47),
        (reach * 1.35, 0.0, top + 0.5),
        0.09,
        (206, 206, 200),
        Material.POLE,
    )
    return build.build(_FOOT, top)


def draw_utility_pole(rng: np.random.Generator) -> Model:
    """Draw a plain wooden or concrete pole with a crossbar."""
    build = ModelBuilder()
    top = float(rng.uniform(6.0, 8.0))
    colour: Colour = (118, 98, 80) if rng.random() < 0.6 else (160, 158, 152)
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, top), (0.16, 0.11), colour, Material.POLE)
    build.capsule((-0.9, 0.0, top - 0.5), (0.9, 0.0, top - 0.5), 0.05, colour, Material.POLE)
    return build.build(_FOOT, top)


def _add_signal_head(build: ModelBuilder, x: float, z: float, state: int) -> None:
    material = Material.TRAFFIC_LIGHT
    build.box((x - 0.19, -0.16, z - 0.5), (x + 0.19, 0.12, z + 0.5), (30, 32, 32), material)
    lit: tuple[Colour, ...] = ((250, 60, 44), (255, 196, 40), (60, 240, 130))
    for index, colour in enumerate(lit):
        shown = colour if index == state else (54, 50, 46)
        build.disc((x, -0.18, z + 0.32 - 0.32 * index), 0.12, 1, -1, shown, material)


def traffic_light(state: int, towards: int, mast: bool) -> Model:
    """Return a traffic light.

    Args:
        state: 0 red, 1 yellow, 2 green.
        towards: the side of the road, as the sign of x, to which a mast arm reaches.
        mast: whether a second head hangs over the road.
    """
    build = ModelBuilder()
    steel: Colour = (84, 88, 88)
    top = 5.6 if mast else 3.4
    build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, top), 0.08, steel, Material.POLE)
    _add_signal_head(build, 0.0, 2.9, state)
    if mast:
        reach = towards * 3.6
        build.capsule((0.0, 0.0, top - 0.1), (reach, 0.0, top), 0.06, steel, Material.POLE)
        _add_signal_head(build, reach, top - 0.3, state)
    return build.build(_FOOT, top)


def draw_bin(rng: np.random.Generator) -> Model:
    """Draw a litter bin, which has no train id."""
    build = ModelBuilder()
    colour: Colour = ((56, 92, 66), (88, 88, 92), (170, 96, 40))[int(rng.integers(3))]
    build.box(
        (-0.25, -0.25, 0.1), (0.25, 0.25, 0.95), colour, Material.STREET_FURNITURE, (1.15, 1.15)
    )
    return build.build((-0.3, 0.3, -0.3, 0.3), 0.95)


def draw_bench(rng: np.random.Generator) -> Model:
    """Draw a bench along the street, which has no train id."""
    build = ModelBuilder()
    wood: Colour = ((140, 96, 60), (112, 84, 62))[int(rng.integers(2))]
    material = Material.STREET_FURNITURE
    for y in (-0.7, 0.7):
        build.box((-0.22, y - 0.05, 0.0), (0.22, y + 0.05, 0.42), (60, 60, 64), material)
    build.box((-0.26, -0.9, 0.4), (0.26, 0.9, 0.48), wood, material)
    return build.build((-0.28, 0.28, -0.9, 0.9), 0.5)


def draw_tree(rng: np.random.Generator, catalogue: Catalogue, size: float = 1.0) -> Model:
    """Draw a broad-leaved tree, or now and then a conifer; ``size`` scales it."""
    build = ModelBuilder()
    bark: Colour = ((88, 72, 58), (112, 98, 84), (70, 60, 52))[int(rng.integers(3))]
    height = size * float(rng.uniform(5.5, 10.0))
    if rng.random() < 0.15:
        build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, 1.2), 0.14 * size, bark, Material.VEGETATION)
        build.billboard((0.0, 0.0, 0.5), height * 0.48, height, catalogue.conifer)
        return build.build((-0.3, 0.3, -0.3, 0.3), height)
    crown = catalogue.crowns[int(rng.integers(len(catalogue.crowns)))]
    clear, width = height * float(rng.uniform(0.28, 0.4)), height * float(rng.uniform(0.62, 0.85))
    thick = 0.022 * height
    lean = float(rng.normal(0, 0.12))
    fork = (lean, 0.0, clear * 1.15)
    build.capsule((0.0, 0.0, 0.0), fork, (thick * 1.25, thick * 0.85), bark, Material.VEGETATION)
    for sign in (-1, 1):
        tip = (lean + sign * width * 0.2, 0.0, clear * 1.15 + height * 0.25)
        build.capsule(fork, tip, (thick * 0.6, thick * 0.3), bark, Material.VEGETATION)
    # The painted crown fills about 70 % of its picture.
    build.billboard((lean, 0.0, clear * 0.62), width * 1.3, height - clear * 0.5, crown)
    return build.build((-0.3, 0.3, -0.3, 0.3), height)


def draw_bush(rng: np.random.Generator, catalogue: Catalogue) -> Model:
    """Draw a bush."""
    build = ModelBuilder()
    width = float(rng.uniform(1.0, 2.2))
    texture = catalogue.bushes[int(rng.integers(len(catalogue.bushes)))]
    build.billboard((0.0, 0.0, -0.1), width, width * float(rng.uniform(0.6, 0.9)), texture)
    return build.build((-width / 3, width / 3, -0.3, 0.3), width * 0.5)
