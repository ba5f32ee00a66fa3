"""Vehicles and cycles; x right, y forward, the ground below their middle at the origin."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import (
    GLASS,
    HUB,
    METAL,
    RUBBER,
    Colour,
    Model,
    ModelBuilder,
    Point,
    Span,
    between,
    inset,
    palette,
    scaled,
)
from tdnet_offline.street.people import Look, add_rider
from tdnet_offline.street.randomness import pick

_CAR_COLOURS = palette(
    "c4c6ca e4e4e2 222428 5c6066 921c1e 223e78 344e40 a89e8c bc7424 466894 6e2230 d8c43c"
)
_BUS_COLOURS = palette("ce3028 eecc34 3a70b0 e2e2de 468c54")
_TRAM_COLOURS = palette("e8ce46 407a5a c43c38 d8dade 30588c")
_TAIL, _LAMP, _PLATE, _DARK, _DISPLAY = palette("c41e1c f6f2dc e2e2dc 2c2c30 f49e28")
_CARGO, _FRIEZE, _BLACK = palette("dededa e2e2de 181614")
_BAND, _PANE, _DOOR, _DOOR_SEAM = palette("282e36 4a5a6a 363c44 787a7e")
_PAINTS = palette("aa2828 244882 282a2e d6d6d2 3a784e d69628")
_AXLE = palette("46464a")[0]
_WHEEL = {1.0: RUBBER, 0.6: METAL, 0.28: HUB}
_CARS = {
    "hatch": (0.36, (3.95, 1.72, 1.5), (-0.485, -0.4, 0.06, 0.25)),
    "saloon": (0.28, (4.6, 1.8, 1.45), (-0.38, -0.24, 0.06, 0.24)),
    "estate": (0.22, (4.55, 1.8, 1.56), (-0.49, -0.43, 0.06, 0.24)),
    "van": (0.14, (5.0, 1.95, 2.05), (-0.495, -0.47, 0.27, 0.4)),
}
"""Share, (length, width, height) in metres, and the cabin's outline as shares of the length:
rear base, rear top, front top, front base."""


def _add_wheels(build: ModelBuilder, x: float, y: Span, radius: float) -> None:
    for along in y:
        build.wheel(x, along, radius, _WHEEL)


def _add_lights(build: ModelBuilder, width: float, length: float, z: float) -> None:
    outer, end = width / 2 - 0.06, length / 2 + 0.01
    for sign in (-1, 1):
        x = sorted((sign * (outer - 0.16 * width), sign * outer))
        build.end_plate(x, (z, z + 0.15), -end, _TAIL)
        build.end_plate(x, (z, z + 0.15), end, _LAMP)
    for sign in (-1, 1):
        build.end_plate((-0.26, 0.26), (z - 0.22, z - 0.11), sign * end, _PLATE)


def draw_car(rng: np.random.Generator) -> Model:
    """Draw a hatchback, saloon, estate or van."""
    build = ModelBuilder(Material.CAR)
    kind = str(rng.choice(list(_CARS), p=[share for share, *_ in _CARS.values()]))
    _, (length, width, height), outline = _CARS[kind]
    van = kind == "van"
    colour = pick(rng, _CAR_COLOURS)
    length, height = length * rng.uniform(0.96, 1.05), height * rng.uniform(0.97, 1.04)
    half, end, belt = width / 2, length / 2, 1.12 if van else 0.92
    body = [
        (-end, 0.3, half * 0.94),
        (end - 0.06, 0.3, half * 0.92),
        (end, 0.6, half * 0.92),
        (end - 0.14, 0.74, half * 0.95),
        (end - 0.27 * length, belt, half),
        (-end + 0.1, belt, half),
        (-end, belt - 0.18, half),
    ]
    build.extrude(body, colour)
    for sign in (-1, 1):
        build.end_plate((-half * 0.94, half * 0.94), (0.22, 0.42), sign * (end + 0.005), _DARK)
    build.side_plate((-end + 0.1, end - 0.15), (0.24, 0.38), half * 0.96, _DARK)
    roof = half * (0.88 if van else 0.78)
    rear_base, rear_top, front_top, front_base = (share * length for share in outline)
    cabin = [
        (rear_base, belt - 0.02, half * 0.98),
        (front_base, belt - 0.02, half * 0.98),
        (front_top, height, roof),
        (rear_top, height, roof),
    ]
    build.extrude(cabin, scaled(colour, 1.03))
    right: list[Point] = [(w + 0.004, y, z) for y, z, w in cabin]
    left: list[Point] = [(-x, y, z) for x, y, z in right]
    glass = scaled(GLASS, rng.uniform(0.7, 1.3))
    build.polygon(inset([left[0], right[0], right[3], left[3]], 0.8), glass)
    build.polygon(inset([right[1], left[1], left[2], right[2]], 0.86), glass)
    for flank, order in ((right, 1), (left, -1)):
        panes = inset(flank, 0.8)
        if van:  # windows beside the front seats only
            panes[0] = between(panes[1], panes[0], 0.42)
            panes[3] = between(panes[2], panes[3], 0.42)
        build.polygon(panes[::order], glass)
        low, high = between(panes[0], panes[1], 0.5), between(panes[3], panes[2], 0.56)
        front = [(x, y + 0.07, z) for x, y, z in (low, high)]
        build.polygon([low, *front, high][::order], colour)
    _add_wheels(build, half + 0.01, (-0.31 * length, 0.31 * length), 0.32)
    _add_lights(build, width, length, 0.8 if van else 0.62)
    return build.build((-half, half, -end, end), height)


def draw_truck(rng: np.random.Generator) -> Model:
    """Draw a truck with a box body behind its cab."""
    build = ModelBuilder(Material.TRUCK)
    colour = pick(rng, _CAR_COLOURS)
    cargo = pick(rng, (pick(rng, _CAR_COLOURS), _CARGO))
    length, height = rng.uniform(6.5, 9.0), rng.uniform(2.9, 3.6)
    half, end = 1.2, length / 2
    build.box((-half * 0.9, -end, 0.45), (half * 0.9, end - 0.2, 0.95), _DARK)
    cab = [
        (end - 1.9, 0.5, half),
        (end, 0.5, half),
        (end, 1.45, half),
        (end - 0.25, 2.6, half * 0.94),
        (end - 1.9, 2.7, half * 0.94),
    ]
    build.extrude(cab, colour)
    build.pane((half * 0.9, end + 0.01, 1.5), (half * 0.84, end - 0.2, 2.4), GLASS)
    build.side_plate((end - 1.5, end - 0.4), (1.5, 2.3), half + 0.01, GLASS)
    build.box((-half, -end, 0.95), (half, end - 2.0, height), cargo)
    build.side_plate((-end + 0.6, end - 2.8), (1.6, 2.1), half + 0.01, scaled(colour, 1.1))
    build.end_plate((-0.02, 0.02), (1.0, height - 0.1), -end - 0.01, _DARK)
    _add_wheels(build, half + 0.01, (-0.32 * length, -0.18 * length, 0.35 * length), 0.48)
    _add_lights(build, 2.4, length, 0.62)
    return build.build((-half, half, -end, end), height)


def _add_windows(
    build: ModelBuilder, end: float, half: float, z: Span, step: float, doors: Span
) -> None:
    build.side_plate((-end + 0.3, end - 0.3), z, half + 0.008, _BAND)
    for y in np.arange(-end + 0.4, end - step, step).tolist():
        build.side_plate((y, y + step * 0.9), (z[0] + 0.06, z[1] - 0.06), half + 0.012, _PANE)
    for y in doors:
        build.side_plate((y, y + 1.2), (0.45, z[1]), half + 0.015, _DOOR)
        build.side_plate((y + 0.56, y + 0.64), (0.45, z[1]), half + 0.017, _DOOR_SEAM)


def draw_bus(rng: np.random.Generator) -> Model:
    """Draw a city bus."""
    build = ModelBuilder(Material.BUS)
    colour = pick(rng, _BUS_COLOURS)
    length, half, height = rng.uniform(10.0, 12.0), 1.25, 3.05
    end = length / 2
    body = [
        (-end, 0.34, half),
        (end, 0.34, half),
        (end, 1.3, half),
        (end - 0.14, height, half * 0.97),
        (-end, height, half * 0.97),
    ]
    build.extrude(body, colour)
    build.side_plate((-end + 0.02, end - 0.02), (0.34, 0.55), half + 0.006, _DARK)
    _add_windows(build, end, half, (1.35, 2.45), 1.35, (-0.4, end - 1.7))
    build.pane((half * 0.93, end + 0.01, 1.25), (half * 0.9, end - 0.11, 2.6), GLASS)
    build.end_plate((-0.8, 0.8), (2.68, 2.94), end + 0.01, _BLACK)
    build.end_plate((-0.6, 0.6), (2.74, 2.88), end + 0.02, _DISPLAY)
    build.end_plate((-1.0, 1.0), (1.5, 2.4), -end - 0.01, GLASS)
    build.end_plate((-0.45, 0.45), (2.58, 2.82), -end - 0.01, _DISPLAY)
    build.end_plate((-0.9, 0.9), (0.62, 1.2), -end - 0.01, scaled(colour, 0.8))
    _add_wheels(build, half + 0.015, (-0.28 * length, 0.26 * length), 0.5)
    _add_lights(build, 2.5, length, 0.72)
    return build.build((-half, half, -end, end), height)


def draw_tram(rng: np.random.Generator) -> Model:
    """Draw a tram of three cars, symmetrical front and back."""
    build = ModelBuilder(Material.TRAIN)
    colour = pick(rng, _TRAM_COLOURS)
    length, half, height = rng.uniform(22.0, 30.0), 1.2, 3.3
    end = length / 2
    body = [
        (-end + 0.15, 0.25, half * 0.9),
        (end - 0.15, 0.25, half * 0.9),
        (end, 1.25, half * 0.92),
        (end - 0.7, height, half),
        (-end + 0.7, height, half),
        (-end, 1.25, half * 0.92),
    ]
    build.extrude(body, colour)
    build.side_plate((-end + 0.8, end - 0.8), (0.25, 0.5), half + 0.004, _DARK)
    build.side_plate((-end + 0.8, end - 0.8), (2.9, 3.25), half + 0.004, _FRIEZE)
    doors = (-0.36 * length, -0.04 * length, 0.28 * length)
    _add_windows(build, end - 0.6, half, (1.35, 2.7), 1.6, doors)
    for y in (-length / 6, length / 6):
        build.side_plate((y - 0.25, y + 0.25), (0.3, height), half + 0.02, RUBBER)
    for sign in (-1, 1):
        y, top = sign * (end + 0.01), sign * (end - 0.52)
        build.pane((half * 0.86, y, 1.3), (half * 0.84, top, 2.75), GLASS)
        build.end_plate((-0.7, 0.7), (2.86, 3.1), sign * (end - 0.55), _DISPLAY)
        for x in (-0.85, 0.6):
            build.end_plate((x, x + 0.25), (0.7, 0.9), y, _LAMP)
    elbow = (0.0, 0.6, height + 0.9)
    build.capsule((0.0, -1.0, height), elbow, 0.03, _DARK)
    build.capsule(elbow, (0.0, -0.6, height + 1.7), 0.03, _DARK)
    build.capsule((-0.8, -0.6, height + 1.7), (0.8, -0.6, height + 1.7), 0.04, _DARK)
    return build.build((-half, half, -end, end), height)


def draw_paint(rng: np.random.Generator) -> Colour:
    """Draw the colour of a frame or a tank."""
    return pick(rng, _PAINTS)


def _add_wheel(build: ModelBuilder, y: float, radius: float, width: float, rim: Colour) -> None:
    build.wheel(width, y, radius, {1.0: RUBBER, 0.84: rim, 0.16: _AXLE})
    build.capsule((0.0, y, 0.03), (0.0, y, 2 * radius - 0.03), width, RUBBER)


def bicycle(paint: Colour, rider: Look | None, pedal: float) -> Model:
    """Return a bicycle; ``pedal`` is the pedals' turn in radians."""
    build = ModelBuilder(Material.BICYCLE)
    rear, front = (0.0, -0.52, 0.34), (0.0, 0.52, 0.34)
    for _, y, radius in (rear, front):
        _add_wheel(build, y, radius, 0.025, (148, 148, 150))
    seat, head, crank = (0.0, -0.2, 0.82), (0.0, 0.38, 0.84), (0.0, 0.0, 0.3)
    tubes = (
        (crank, seat),
        (seat, head),
        (crank, head),
        (crank, rear),
        (seat, rear),
        (head, front),
    )
    for start, end in (*tubes, (head, (0.0, 0.36, 1.04))):
        build.capsule(start, end, 0.028, paint)
    build.capsule((-0.26, 0.34, 1.05), (0.26, 0.34, 1.05), 0.022, (50, 50, 54))
    build.capsule((0.0, -0.3, 0.93), (0.0, -0.1, 0.92), (0.07, 0.04), (36, 34, 34))
    build.capsule(seat, (0.0, -0.2, 0.92), 0.025, (60, 60, 64))
    if rider is not None:
        add_rider(build, rider, (0.0, -0.2, 0.93), (0.0, 0.34, 1.06), pedal, 0.3, helmet=False)
    return build.build((-0.3, 0.3, -0.88, 0.88), 1.7 if rider else 1.0)


def motorcycle(paint: Colour, rider: Look | None) -> Model:
    """Return a motorcycle or scooter."""
    build = ModelBuilder(Material.MOTORCYCLE)
    for y in (-0.66, 0.68):
        _add_wheel(build, y, 0.32, 0.07, (120, 122, 126))
    build.capsule((0.0, -0.2, 0.42), (0.0, 0.25, 0.45), 0.19, (62, 62, 66))
    build.capsule((0.0, -0.75, 0.74), (0.0, -0.1, 0.7), (0.1, 0.14), (32, 32, 34))
    build.capsule((0.0, 0.0, 0.74), (0.0, 0.32, 0.82), (0.15, 0.17), paint)
    build.capsule((0.0, 0.45, 0.98), (0.0, 0.68, 0.32), 0.055, (150, 150, 154))
    build.capsule((0.0, 0.5, 0.82), (0.0, 0.6, 0.95), (0.17, 0.14), paint)
    build.capsule((0.0, -0.9, 0.62), (0.0, -0.6, 0.66), (0.07, 0.11), scaled(paint, 0.8))
    build.capsule((-0.36, 0.38, 1.04), (0.36, 0.38, 1.04), 0.03, (44, 44, 48))
    build.capsule((0.0, -0.93, 0.62), (0.0, -0.93, 0.62), 0.06, (200, 36, 32))
    build.capsule((0.0, 0.66, 0.88), (0.0, 0.66, 0.88), 0.09, (244, 240, 216))
    build.capsule((0.16, -0.7, 0.36), (0.16, 0.1, 0.36), 0.06, (128, 128, 132))
    if rider is not None:
        add_rider(build, rider, (0.0, -0.3, 0.82), (0.0, 0.36, 1.06), 0.4, 0.42, helmet=True)
    return build.build((-0.38, 0.38, -1.0, 1.0), 1.6 if rider else 1.1)
