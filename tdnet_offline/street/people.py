"""Models of pedestrians and riders: capsules for limbs, which move with the phase of a step."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Colour, Model, ModelBuilder, Point, scaled

_SKIN: tuple[Colour, ...] = ((226, 182, 150), (196, 146, 110), (142, 98, 72), (98, 66, 50))
_HAIR: tuple[Colour, ...] = ((42, 32, 28), (98, 68, 42), (176, 140, 88), (120, 118, 116))
_CLOTHES: tuple[Colour, ...] = (
    (176, 44, 44),
    (44, 66, 120),
    (40, 40, 46),
    (206, 200, 190),
    (70, 98, 70),
    (206, 164, 60),
    (120, 74, 120),
    (84, 88, 96),
    (196, 112, 64),
    (60, 122, 138),
    (230, 230, 232),
    (112, 84, 66),
)
_TROUSERS: tuple[Colour, ...] = (
    (46, 54, 76),
    (36, 36, 40),
    (96, 90, 82),
    (72, 84, 112),
    (134, 122, 102),
)


@dataclass(frozen=True)
class Look:
    """Appearance of a person; colours RGB, height in metres."""

    height: float
    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    bag: bool
    skirt: bool
    stout: float


def draw_look(rng: np.random.Generator) -> Look:
    """Draw a person, grown up or a child."""

    def pick(colours: tuple[Colour, ...]) -> Colour:
        return scaled(colours[int(rng.integers(len(colours)))], float(rng.uniform(0.85, 1.15)))

    child = rng.random() < 0.12
    return Look(
        height=float(rng.uniform(1.15, 1.4) if child else rng.uniform(1.58, 1.9)),
        skin=pick(_SKIN),
        hair=pick(_HAIR),
        top=pick(_CLOTHES),
        legs=pick(_TROUSERS),
        bag=bool(rng.random() < 0.35),
        skirt=bool(rng.random() < 0.2),
        stout=float(rng.uniform(0.9, 1.25)),
    )


def _head(build: ModelBuilder, look: Look, neck: Point, material: Material, scale: float) -> None:
    x, y, z = neck
    build.capsule((x, y, z - 0.05), (x, y, z + 0.08 * scale), 0.06 * scale, look.skin, material)
    top: Point = (x, y + 0.01, z + 0.2 * scale)
    build.capsule(
        (x, y - 0.025, z + 0.23 * scale),
        (x, y - 0.03, z + 0.2 * scale),
        0.118 * scale,
        look.hair,
        material,
    )
    build.capsule((x, y + 0.03, z + 0.14 * scale), top, 0.088 * scale, look.skin, material)
    build.capsule(
        (x, y - 0.045, z + 0.17 * scale),
        (x, y - 0.03, z + 0.25 * scale),
        0.09 * scale,
        look.hair,
        material,
    )


def walker(look: Look, phase: float, standing: bool = False) -> Model:
    """Return a person in one phase of a step, walking towards +y.

    Args:
        look: of the person.
        phase: radians; a full turn is two steps.
        standing: whether the legs stay together.
    """
    build = ModelBuilder()
    material = Material.PERSON
    scale = look.height / 1.75
    hip, shoulder = 0.86 * scale, 1.43 * scale
    swing = 0.0 if standing else 0.42
    stout = look.stout * scale
    for sign in (-1, 1) if sin(phase) > 0 else (1, -1):
        turn = swing * sin(phase) * sign
        bend = 0.0 if standing else max(0.0, 0.65 * cos(phase) * sign)
        x = 0.1 * scale * sign
        knee: Point = (x, 0.43 * scale * sin(turn), hip - 0.43 * scale * cos(turn))
        ankle: Point = (
            x,
            knee[1] + 0.42 * scale * sin(turn - bend),
            knee[2] - 0.42 * scale * cos(turn - bend),
        )
        colour = scaled(look.legs, 0.94 + 0.06 * sign)
        skin = look.skin if look.skirt else colour
        build.capsule((x * 0.8, 0.0, hip), knee, (0.095 * stout, 0.068 * scale), colour, material)
        build.capsule(knee, ankle, (0.066 * scale, 0.048 * scale), skin, material)
        build.capsule(
            ankle,
            (x, ankle[1] + 0.15 * scale, ankle[2] - 0.02),
            0.045 * scale,
            (38, 34, 34),
            material,
        )
        elbow: Point = (
            0.24 * stout * sign,
            -0.26 * scale * sin(turn),
            shoulder - 0.05 - 0.27 * scale * cos(turn),
        )
        hand: Point = (
            0.25 * stout * sign,
            elbow[1] + 0.1 * scale * (1 - sin(turn)),
            elbow[2] - 0.24 * scale,
        )
        sleeve = scaled(look.top, 0.86)
        build.capsule(
            (0.2 * stout * sign, 0.0, shoulder - 0.06), elbow, 0.05 * scale, sleeve, material
        )
        build.capsule(elbow, hand, (0.043 * scale, 0.036 * scale), sleeve, material)
        build.capsule(hand, hand, 0.042 * scale, look.skin, material)
    build.capsule(
        (0.0, 0.0, hip),
        (0.0, 0.01, shoulder - 0.12),
        (0.15 * stout, 0.17 * stout),
        look.top,
        material,
    )
    build.capsule(
        (-0.12 * stout, 0.0, shoulder - 0.06),
        (0.12 * stout, 0.0, shoulder - 0.06),
        0.085 * scale,
        look.top,
        material,
    )
    if look.skirt:
        build.capsule(
            (0.0, 0.0, hip + 0.05),
            (0.0, 0.0, hip - 0.3 * scale),
            (0.14 * stout, 0.21 * stout),
            look.legs,
            material,
        )
    if look.bag:
        build.capsule(
            (0.0, -0.16, hip + 0.22),
            (0.0, -0.16, shoulder - 0.15),
            0.13 * scale,
            scaled(look.legs, 1.2),
            material,
        )
    _head(build, look, (0.0, 0.01, shoulder + 0.02), material, scale)
    return build.build((-0.25, 0.25, -0.25, 0.25), look.height)


def add_rider(
    build: ModelBuilder,
    look: Look,
    seat: Point,
    grip: Point,
    pedal: float,
    foot: float,
    helmet: bool,
) -> None:
    """Add a person who sits and holds a handlebar.

    Args:
        build: to add the person to.
        look: of the person.
        seat: position of the seat in metres.
        grip: metres, the middle of the handlebar.
        pedal: radians of the pedals' turn.
        foot: metres of height of the pedals' middle.
        helmet: whether they wear one, as on a motorcycle.
    """
    material = Material.RIDER
    reach = 0.16 if foot < 0.4 else 0.03
    shoulder: Point = (0.0, seat[1] + 0.24, seat[2] + 0.52)
    for sign in (-1, 1):
        at = pedal + (0.0 if sign < 0 else np.pi)
        ankle: Point = (0.13 * sign, 0.05 + reach * cos(at), foot + reach * sin(at))
        knee: Point = (
            0.14 * sign,
            seat[1] + 0.38 + 0.06 * cos(at),
            (seat[2] + ankle[2]) / 2 + 0.14,
        )
        hip: Point = (0.1 * sign, seat[1], seat[2] + 0.05)
        build.capsule(hip, knee, (0.09, 0.07), look.legs, material)
        build.capsule(knee, ankle, (0.066, 0.05), scaled(look.legs, 0.92), material)
        build.capsule(
            ankle, (ankle[0], ankle[1] + 0.14, ankle[2] - 0.04), 0.045, (38, 34, 34), material
        )
        hand: Point = (0.24 * sign, grip[1], grip[2])
        elbow: Point = (
            0.27 * sign,
            (shoulder[1] + grip[1]) / 2 - 0.04,
            (shoulder[2] + grip[2]) / 2 - 0.08,
        )
        build.capsule(
            (0.17 * sign, shoulder[1], shoulder[2]), elbow, 0.05, scaled(look.top, 0.88), material
        )
        build.capsule(elbow, hand, 0.042, scaled(look.top, 0.88), material)
    build.capsule((0.0, seat[1], seat[2] + 0.05), shoulder, (0.14, 0.17), look.top, material)
    _head(build, look, (0.0, shoulder[1] + 0.06, shoulder[2] + 0.06), material, 0.95)
    if helmet:
        x, y, z = 0.0, shoulder[1] + 0.07, shoulder[2] + 0.26
        build.capsule((x, y, z - 0.02), (x, y, z + 0.04), 0.15, scaled(look.top, 0.7), material)
