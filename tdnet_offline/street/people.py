"""Models of pedestrians and riders: capsules for limbs, which move with the phase of a step."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Colour, Model, ModelBuilder, Point, palette, scaled
from tdnet_offline.street.randomness import pick

_SKIN = palette("e2b696 c4926e 8e6248 624232")
_HAIR = palette("2a201c 62442a b08c58 787674")
_CLOTHES = palette(
    "b02c2c 2c4278 28282e cec8be 466246 cea43c 784a78 545860 c47040 3c7a8a e6e6e8 705442"
)
_TROUSERS = palette("2e364c 242428 605a52 485470 867a66")
_SHOE = palette("262222")[0]


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

    def shade_of(colours: tuple[Colour, ...]) -> Colour:
        return scaled(pick(rng, colours), rng.uniform(0.85, 1.15))

    child = rng.random() < 0.12
    return Look(
        height=rng.uniform(1.15, 1.4) if child else rng.uniform(1.58, 1.9),
        skin=shade_of(_SKIN),
        hair=shade_of(_HAIR),
        top=shade_of(_CLOTHES),
        legs=shade_of(_TROUSERS),
        bag=rng.random() < 0.35,
        skirt=rng.random() < 0.2,
        stout=rng.uniform(0.9, 1.25),
    )


def _add_head(build: ModelBuilder, look: Look, neck: Point, scale: float) -> None:
    _, y, z = neck
    build.capsule((0.0, y, z - 0.05), (0.0, y, z + 0.08 * scale), 0.06 * scale, look.skin)
    for y0, z0, y1, z1, radius, colour in (
        (-0.025, 0.23, -0.03, 0.2, 0.118, look.hair),
        (0.03, 0.14, 0.01, 0.2, 0.088, look.skin),
        (-0.045, 0.17, -0.03, 0.25, 0.09, look.hair),
    ):
        start, end = (0.0, y + y0, z + z0 * scale), (0.0, y + y1, z + z1 * scale)
        build.capsule(start, end, radius * scale, colour)


def walker(look: Look, phase: float, standing: bool = False) -> Model:
    """Return a person in one phase of a step, walking towards +y.

    Args:
        look: of the person.
        phase: radians; a full turn is two steps.
        standing: whether the legs stay together.
    """
    build = ModelBuilder(Material.PERSON)
    scale = look.height / 1.75
    hip, shoulder = 0.86 * scale, 1.43 * scale
    swing = 0.0 if standing else 0.42
    stout = look.stout * scale
    for sign in (-1, 1) if sin(phase) > 0 else (1, -1):
        turn = swing * sin(phase) * sign
        bend = 0.0 if standing else max(0.0, 0.65 * cos(phase) * sign)
        x = 0.1 * scale * sign
        knee = (x, 0.43 * scale * sin(turn), hip - 0.43 * scale * cos(turn))
        heel_y = knee[1] + 0.42 * scale * sin(turn - bend)
        ankle = (x, heel_y, knee[2] - 0.42 * scale * cos(turn - bend))
        toes = (x, ankle[1] + 0.15 * scale, ankle[2] - 0.02)
        colour = scaled(look.legs, 0.94 + 0.06 * sign)
        shin = look.skin if look.skirt else colour
        build.capsule((x * 0.8, 0.0, hip), knee, (0.095 * stout, 0.068 * scale), colour)
        build.capsule(knee, ankle, (0.066 * scale, 0.048 * scale), shin)
        build.capsule(ankle, toes, 0.045 * scale, _SHOE)
        armpit = (0.2 * stout * sign, 0.0, shoulder - 0.06)
        elbow_z = shoulder - 0.05 - 0.27 * scale * cos(turn)
        elbow = (0.24 * stout * sign, -0.26 * scale * sin(turn), elbow_z)
        hand_y = elbow[1] + 0.1 * scale * (1 - sin(turn))
        hand = (0.25 * stout * sign, hand_y, elbow[2] - 0.24 * scale)
        sleeve = scaled(look.top, 0.86)
        build.capsule(armpit, elbow, 0.05 * scale, sleeve)
        build.capsule(elbow, hand, (0.043 * scale, 0.036 * scale), sleeve)
        build.capsule(hand, hand, 0.042 * scale, look.skin)

    chest = (0.0, 0.01, shoulder - 0.12)
    build.capsule((0.0, 0.0, hip), chest, (0.15 * stout, 0.17 * stout), look.top)
    left, right = ((sign * 0.12 * stout, 0.0, shoulder - 0.06) for sign in (-1, 1))
    build.capsule(left, right, 0.085 * scale, look.top)
    if look.skirt:
        waist, hem = (0.0, 0.0, hip + 0.05), (0.0, 0.0, hip - 0.3 * scale)
        build.capsule(waist, hem, (0.14 * stout, 0.21 * stout), look.legs)
    if look.bag:
        low, high = (0.0, -0.16, hip + 0.22), (0.0, -0.16, shoulder - 0.15)
        build.capsule(low, high, 0.13 * scale, scaled(look.legs, 1.2))
    _add_head(build, look, (0.0, 0.01, shoulder + 0.02), scale)
    return build.build((-0.25, 0.25, -0.25, 0.25), look.height)


def add_rider(
    build: ModelBuilder,
    look: Look,
    seat: Point,
    grip: Point,
    pedal: float,
    foot: float,
    *,
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
    build.material = Material.RIDER
    reach = 0.16 if foot < 0.4 else 0.03
    shoulder = (0.0, seat[1] + 0.24, seat[2] + 0.52)
    sleeve = scaled(look.top, 0.88)
    for sign in (-1, 1):
        at = pedal + (0.0 if sign < 0 else pi)
        ankle = (0.13 * sign, 0.05 + reach * cos(at), foot + reach * sin(at))
        knee_y, knee_z = seat[1] + 0.38 + 0.06 * cos(at), (seat[2] + ankle[2]) / 2 + 0.14
        knee, hip = (0.14 * sign, knee_y, knee_z), (0.1 * sign, seat[1], seat[2] + 0.05)
        build.capsule(hip, knee, (0.09, 0.07), look.legs)
        build.capsule(knee, ankle, (0.066, 0.05), scaled(look.legs, 0.92))
        build.capsule(ankle, (ankle[0], ankle[1] + 0.14, ankle[2] - 0.04), 0.045, _SHOE)
        elbow_y, elbow_z = (shoulder[1] + grip[1]) / 2 - 0.04, (shoulder[2] + grip[2]) / 2 - 0.08
        elbow = (0.27 * sign, elbow_y, elbow_z)
        build.capsule((0.17 * sign, shoulder[1], shoulder[2]), elbow, 0.05, sleeve)
        build.capsule(elbow, (0.24 * sign, grip[1], grip[2]), 0.042, sleeve)
    build.capsule((0.0, seat[1], seat[2] + 0.05), shoulder, (0.14, 0.17), look.top)
    _add_head(build, look, (0.0, shoulder[1] + 0.06, shoulder[2] + 0.06), 0.95)
    if helmet:
        y, z = shoulder[1] + 0.07, shoulder[2] + 0.26
        build.capsule((0.0, y, z - 0.02), (0.0, y, z + 0.04), 0.15, scaled(look.top, 0.7))
