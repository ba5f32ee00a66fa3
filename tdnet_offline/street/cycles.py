"""Bicycles and motorcycles, parked or with a rider; forward is +y."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import RUBBER, Colour, Model, ModelBuilder, palette, scaled
from tdnet_offline.street.people import Look, add_rider
from tdnet_offline.street.randomness import pick

_PAINTS = palette("aa2828 244882 282a2e d6d6d2 3a784e d69628")
_AXLE = palette("46464a")[0]


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
