"""Cars, vans, trucks, buses and trams; x right, y forward, the floor's middle at the origin."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import (
    GLASS,
    RUBBER,
    Colour,
    Model,
    ModelBuilder,
    Point,
    end_plate,
    extrude,
    inset,
    scaled,
    side_plate,
    wheels,
)

_CAR_COLOURS: tuple[Colour, ...] = (
    (196, 198, 202),
    (228, 228, 226),
    (34, 36, 40),
    (92, 96, 102),
    (146, 28, 30),
    (34, 62, 120),
    (52, 78, 64),
    (168, 158, 140),
    (188, 116, 36),
    (70, 104, 148),
    (110, 34, 48),
    (216, 196, 60),
)
_TAIL: Colour = (196, 30, 28)
_LAMP: Colour = (246, 242, 220)
_DARK: Colour = (44, 44, 48)


def _lights(
    build: ModelBuilder, width: float, length: float, z: float, material: Material
) -> None:
    half, size = width / 2, 0.16 * width
    for sign in (-1, 1):
        inner, outer = sign * (half - 0.06 - size), sign * (half - 0.06)
        x = (min(inner, outer), max(inner, outer))
        end_plate(build, x, (z, z + 0.15), -length / 2 - 0.01, -1, _TAIL, material)
        end_plate(build, x, (z, z + 0.15), length / 2 + 0.01, 1, _LAMP, material)
    for sign in (-1, 1):
        end_plate(
            build,
            (-0.26, 0.26),
            (z - 0.22, z - 0.11),
            sign * (length / 2 + 0.01),
            sign,
            (226, 226, 220),
            material,
        )


def draw_car(rng: np.random.Generator) -> Model:
    """Draw a hatchback, saloon, estate or van."""
    build = ModelBuilder()
    kind = rng.choice(["hatch", "saloon", "estate", "van"], p=[0.36, 0.28, 0.22, 0.14])
    colour = _CAR_COLOURS[int(rng.integers(len(_CAR_COLOURS)))]
    length, width, height = {
        "hatch": (3.95, 1.72, 1.5),
        "saloon": (4.6, 1.8, 1.45),
        "estate": (4.55, 1.8, 1.56),
        "van": (5.0, 1.95, 2.05),
    }[str(kind)]
    length, height = (
        length * float(rng.uniform(0.96, 1.05)),
        height * float(rng.uniform(0.97, 1.04)),
    )
    half, end, belt = width / 2, length / 2, 0.92 if kind != "van" else 1.12
    material = Material.CAR
    body = [
        (-end, 0.3, half * 0.94),
        (end - 0.06, 0.3, half * 0.92),
        (end, 0.6, half * 0.92),
        (end - 0.14, 0.74, half * 0.95),
        (end - 0.27 * length, belt, half),
        (-end + 0.1, belt, half),
        (-end, belt - 0.18, half),
    ]
    extrude(build, body, colour, material)
    for sign in (-1, 1):
        x = (-half * 0.94, half * 0.94)
        end_plate(build, x, (0.22, 0.42), sign * (end + 0.005), sign, _DARK, material)
    side_plate(build, (-end + 0.1, end - 0.15), (0.24, 0.38), half * 0.96, _DARK, material)
    roof = half * (0.78 if kind != "van" else 0.88)
    rear_base, rear_top, front_top, front_base = {
        "hatch": (-0.485, -0.4, 0.06, 0.25),
        "saloon": (-0.38, -0.24, 0.06, 0.24),
        "estate": (-0.49, -0.43, 0.06, 0.24),
        "van": (-0.495, -0.47, 0.27, 0.4),
    }[str(kind)]
    cabin = [
        (rear_base * length, belt - 0.02, half * 0.98),
        (front_base * length, belt - 0.02, half * 0.98),
        (front_top * length, height, roof),
        (rear_top * length, height, roof),
    ]
    extrude(build, cabin, scaled(colour, 1.03), material)
    right: list[Point] = [(w + 0.004, y, z) for y, z, w in cabin]
    left: list[Point] = [(-x, y, z) for x, y, z in right]
    glass = scaled(GLASS, float(rng.uniform(0.7, 1.3)))
    build.polygon(inset([left[0], right[0], right[3], left[3]], 0.8), glass, material)
    build.polygon(inset([right[1], left[1], left[2], right[2]], 0.86), glass, material)
    front_part = 0.42 if kind == "van" else 1.0
    for flank, order in ((right, 1), (left, -1)):
        panes = inset(flank, 0.8)
        if front_part < 1.0:
            panes[0] = _between(panes[1], panes[0], front_part)
            panes[3] = _between(panes[2], panes[3], front_part)
        build.polygon(panes[::order], glass, material)
        low, high = _between(panes[0], panes[1], 0.5), _between(panes[3], panes[2], 0.56)
        post = [low, _shift(low, 0.07), _shift(high, 0.07), high]
        build.polygon(post[::order], colour, material)
    wheels(build, half + 0.01, (-0.31 * length, 0.31 * length), 0.32, material)
    _lights(build, width, length, 0.62 if kind != "van" else 0.8, material)
    return build.build((-half, half, -end, end), height)


def _between(a: Point, b: Point, share: float) -> Point:
    return (
        a[0] + share * (b[0] - a[0]),
        a[1] + share * (b[1] - a[1]),
        a[2] + share * (b[2] - a[2]),
    )


def _shift(point: Point, along: float) -> Point:
    return (point[0], point[1] + along, point[2])


def draw_truck(rng: np.random.Generator) -> Model:
    """Draw a truck with a box body behind its cab."""
    build = ModelBuilder()
    material = Material.TRUCK
    colour = _CAR_COLOURS[int(rng.integers(len(_CAR_COLOURS)))]
    cargo = (_CAR_COLOURS[int(rng.integers(len(_CAR_COLOURS)))], (222, 222, 218))[
        int(rng.integers(2))
    ]
    length, height = float(rng.uniform(6.5, 9.0)), float(rng.uniform(2.9, 3.6))
    half, end = 1.2, length / 2
    build.box((-half * 0.9, -end, 0.45), (half * 0.9, end - 0.2, 0.95), _DARK, material)
    cab = [
        (end - 1.9, 0.5, half),
        (end, 0.5, half),
        (end, 1.45, half),
        (end - 0.25, 2.6, half * 0.94),
        (end - 1.9, 2.7, half * 0.94),
    ]
    extrude(build, cab, colour, material)
    points: list[Point] = [
        (half * 0.9, end + 0.01, 1.5),
        (-half * 0.9, end + 0.01, 1.5),
        (-half * 0.84, end - 0.2, 2.4),
        (half * 0.84, end - 0.2, 2.4),
    ]
    build.polygon(points, GLASS, material)
    side_plate(build, (end - 1.5, end - 0.4), (1.5, 2.3), half + 0.01, GLASS, material)
    build.box((-half, -end, 0.95), (half, end - 2.0, height), cargo, material)
    stripe = scaled(colour, 1.1)
    side_plate(build, (-end + 0.6, end - 2.8), (1.6, 2.1), half + 0.01, stripe, material)
    end_plate(build, (-0.02, 0.02), (1.0, height - 0.1), -end - 0.01, -1, _DARK, material)
    wheels(build, half + 0.01, (-0.32 * length, -0.18 * length, 0.35 * length), 0.48, material)
    _lights(build, 2.4, length, 0.62, material)
    return build.build((-half, half, -end, end), height)


def _windows(
    build: ModelBuilder,
    end: float,
    half: float,
    z: tuple[float, float],
    step: float,
    doors: tuple[float, ...],
    material: Material,
) -> None:
    side_plate(build, (-end + 0.3, end - 0.3), z, half + 0.008, (40, 46, 54), material)
    for y in np.arange(-end + 0.4, end - step, step).tolist():
        side_plate(
            build,
            (y, y + step * 0.9),
            (z[0] + 0.06, z[1] - 0.06),
            half + 0.012,
            (74, 90, 106),
            material,
        )
    for y in doors:
        side_plate(build, (y, y + 1.2), (0.45, z[1]), half + 0.015, (54, 60, 68), material)
        side_plate(
            build, (y + 0.56, y + 0.64), (0.45, z[1]), half + 0.017, (120, 122, 126), material
        )


def draw_bus(rng: np.random.Generator) -> Model:
    """Draw a city bus."""
    build = ModelBuilder()
    material = Material.BUS
    colours: tuple[Colour, ...] = (
        (206, 48, 40),
        (238, 204, 52),
        (58, 112, 176),
        (226, 226, 222),
        (70, 140, 84),
    )
    colour = colours[int(rng.integers(len(colours)))]
    length, half, height = float(rng.uniform(10.0, 12.0)), 1.25, 3.05
    end = length / 2
    body = [
        (-end, 0.34, half),
        (end, 0.34, half),
        (end, 1.3, half),
        (end - 0.14, height, half * 0.97),
        (-end, height, half * 0.97),
    ]
    extrude(build, body, colour, material)
    side_plate(build, (-end + 0.02, end - 0.02), (0.34, 0.55), half + 0.006, _DARK, material)
    _windows(build, end, half, (1.35, 2.45), 1.35, (-0.4, end - 1.7), material)
    pane: list[Point] = [
        (half * 0.93, end + 0.01, 1.25),
        (-half * 0.93, end + 0.01, 1.25),
        (-half * 0.9, end - 0.11, 2.6),
        (half * 0.9, end - 0.11, 2.6),
    ]
    build.polygon(pane, GLASS, material)
    end_plate(build, (-0.8, 0.8), (2.68, 2.94), end + 0.01, 1, (24, 22, 20), material)
    end_plate(build, (-0.6, 0.6), (2.74, 2.88), end + 0.02, 1, (244, 158, 40), material)
    end_plate(build, (-1.0, 1.0), (1.5, 2.4), -end - 0.01, -1, GLASS, material)
    end_plate(build, (-0.45, 0.45), (2.58, 2.82), -end - 0.01, -1, (244, 158, 40), material)
    end_plate(build, (-0.9, 0.9), (0.62, 1.2), -end - 0.01, -1, scaled(colour, 0.8), material)
    wheels(build, half + 0.015, (-0.28 * length, 0.26 * length), 0.5, material)
    _lights(build, 2.5, length, 0.72, material)
    return build.build((-half, half, -end, end), height)


def draw_tram(rng: np.random.Generator) -> Model:
    """Draw a tram of three cars, symmetrical front and back."""
    build = ModelBuilder()
    material = Material.TRAIN
    colours: tuple[Colour, ...] = (
        (232, 206, 70),
        (64, 122, 90),
        (196, 60, 56),
        (216, 218, 222),
        (48, 88, 140),
    )
    colour = colours[int(rng.integers(len(colours)))]
    length, half, height = float(rng.uniform(22.0, 30.0)), 1.2, 3.3
    end = length / 2
    body = [
        (-end + 0.15, 0.25, half * 0.9),
        (end - 0.15, 0.25, half * 0.9),
        (end, 1.25, half * 0.92),
        (end - 0.7, height, half),
        (-end + 0.7, height, half),
        (-end, 1.25, half * 0.92),
    ]
    extrude(build, body, colour, material)
    side_plate(build, (-end + 0.8, end - 0.8), (0.25, 0.5), half + 0.004, _DARK, material)
    side_plate(
        build, (-end + 0.8, end - 0.8), (2.9, 3.25), half + 0.004, (226, 226, 222), material
    )
    doors = tuple(float(y) for y in (-0.36 * length, -0.04 * length, 0.28 * length))
    _windows(build, end - 0.6, half, (1.35, 2.7), 1.6, doors, material)
    for y in (-length / 6, length / 6):
        side_plate(build, (y - 0.25, y + 0.25), (0.3, height), half + 0.02, RUBBER, material)
    for sign in (-1, 1):
        y, top = sign * (end + 0.01), sign * (end - 0.52)
        pane: list[Point] = [
            (half * 0.86, y, 1.3),
            (-half * 0.86, y, 1.3),
            (-half * 0.84, top, 2.75),
            (half * 0.84, top, 2.75),
        ]
        build.polygon(pane[::sign], GLASS, material)
        end_plate(
            build, (-0.7, 0.7), (2.86, 3.1), sign * (end - 0.55), sign, (244, 158, 40), material
        )
        for x in (-0.85, 0.6):
            end_plate(build, (x, x + 0.25), (0.7, 0.9), sign * (end + 0.01), sign, _LAMP, material)
    build.capsule((0.0, -1.0, height), (0.0, 0.6, height + 0.9), 0.03, _DARK, material)
    build.capsule((0.0, 0.6, height + 0.9), (0.0, -0.6, height + 1.7), 0.03, _DARK, material)
    build.capsule((-0.8, -0.6, height + 1.7), (0.8, -0.6, height + 1.7), 0.04, _DARK, material)
    return build.build((-half, half, -end, end), height)
