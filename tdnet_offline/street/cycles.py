"""Bicycles and motorcycles, parked or with a rider; forward is +y."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import RUBBER, Colour, Model, ModelBuilder, scaled
from tdnet_offline.street.people import Look, add_rider

_PAINTS: tuple[Colour, ...] = (
    (170, 40, 40),
    (36, 72, 130),
    (40, 42, 46),
    (214, 214, 210),
    (58, 120, 78),
    (214, 150, 40),
)


def draw_paint(rng: np.random.Generator) -> Colour:
    """Draw the colour of a frame or a tank."""
    return _PAINTS[int(rng.integers(len(_PAINTS)))]


def _wheel(
    build: ModelBuilder, y: float, radius: float, width: float, spokes: Colour, material: Material
) -> None:
    for sign in (-1, 1):
        build.disc((sign * width, y, radius), radius, 0, sign, RUBBER, material)
        build.disc((sign * width, y, radius), radius * 0.84, 0, sign, spokes, material)
        build.disc((sign * width, y, radius), radius * 0.16, 0, sign, (70, 70, 74), material)
    build.capsule((0.0, y, 0.03), (0.0, y, 2 * radius - 0.03), width, RUBBER, material)


def bicycle(paint: Colour, rider: Look | None, pedal: float) -> Model:
    """Return a bicycle; ``pedal`` is the pedals' turn in radians."""
    build = ModelBuilder()
    material = Material.BICYCLE
    for y in (-0.52, 0.52):
        _wheel(build, y, 0.34, 0.025, (148, 148, 150), material)
    seat, head, crank = (0.0, -0.2, 0.82), (0.0, 0.38, 0.84), (0.0, 0.0, 0.3)
    for start, end in (
        (crank, seat),
        (seat, head),
        (crank, head),
        (crank, (0.0, -0.52, 0.34)),
        (seat, (0.0, -0.52, 0.34)),
        (head, (0.0, 0.52, 0.34)),
        (head, (0.0, 0.36, 1.04)),
    ):
        build.capsule(start, end, 0.028, paint, material)
    build.capsule((-0.26, 0.34, 1.05), (0.26, 0.34, 1.05), 0.022, (50, 50, 54), material)
    build.capsule((0.0, -0.3, 0.93), (0.0, -0.1, 0.92), (0.07, 0.04), (36, 34, 34), material)
    build.capsule((0.0, -0.2, 0.82), (0.0, -0.2, 0.92), 0.025, (60, 60, 64), material)
    if rider is not None:
        add_rider(build, rider, (0.0, -0.2, 0.93), (0.0, 0.34, 1.06), pedal, 0.3, False)
    return build.build((-0.3, 0.3, -0.88, 0.88), 1.7 if rider else 1.0)


def motorcycle(paint: Colour, rider: Look | None) -> Model:
    """Return a motorcycle or scooter."""
    build = ModelBuilder()
    material = Material.MOTORCYCLE
    for y in (-0.66, 0.68):
        _wheel(build, y, 0.32, 0.07, (120, 122, 126), material)
    build.capsule((0.0, -0.2, 0.42), (0.0, 0.25, 0.45), 0.19, (62, 62, 66), material)
    build.capsule((0.0, -0.75, 0.74), (0.0, -0.1, 0.7), (0.1, 0.14), (32, 32, 34), material)
    build.capsule((0.0, 0.0, 0.74), (0.0, 0.32, 0.82), (0.15, 0.17), paint, material)
    build.capsule((0.0, 0.45, 0.98), (0.0, 0.68, 0.32), 0.055, (150, 150, 154), material)
    build.capsule((0.0, 0.5, 0.82), (0.0, 0.6, 0.95), (0.17, 0.14), paint, material)
    build.capsule((0.0, -0.9, 0.62), (0.0, -0.6, 0.66), (0.07, 0.11), scaled(paint, 0.8), material)
    build.capsule((-0.36, 0.38, 1.04), (0.36, 0.38, 1.04), 0.03, (44, 44, 48), material)
    build.capsule((0.0, -0.93, 0.62), (0.0, -0.93, 0.62), 0.06, (200, 36, 32), material)
    build.capsule((0.0, 0.66, 0.88), (0.0, 0.66, 0.88), 0.09, (244, 240, 216), material)
    build.capsule((0.16, -0.7, 0.36), (0.16, 0.1, 0.36), 0.06, (128, 128, 132), material)
    if rider is not None:
        add_rider(build, rider, (0.0, -0.3, 0.82), (0.0, 0.36, 1.06), 0.4, 0.42, True)
    return build.build((-0.38, 0.38, -1.0, 1.0), 1.6 if rider else 1.1)
