"""The street's plan: how it bends, and how wide its lanes, kerbs, verges and gardens are."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin, tau

import numpy as np

from tdnet_offline.street.randomness import generator

BLOCK_LENGTH = 64.0
"""Metres of street that are laid out at a time."""
CROSSING_LENGTH = 15.0
"""Metres of a block that a crossing street takes."""
KERB_HEIGHT = 0.13
"""Metres by which the sidewalk lies above the road."""


@dataclass(frozen=True)
class CentreLine:
    """The street's gentle bends: x offset of the centre line, a sum of waves.

    Attributes:
        waves: amplitude and length in metres and phase in radians of each.
    """

    waves: tuple[tuple[float, float, float], ...]

    def offset(self, along: float) -> float:
        """Return the metres by which the street lies to the right at ``along`` metres."""
        return sum(a * sin(tau * along / length + phase) for a, length, phase in self.waves)

    def slope(self, along: float) -> float:
        """Return the sideways metres per metre at ``along``."""
        return sum(a * tau / length * cos(tau * along / length + p) for a, length, p in self.waves)

    def offsets(self, along: np.ndarray) -> np.ndarray:
        """Return ``offset`` of every element of an array of metres."""
        result = np.zeros_like(along)
        for a, length, phase in self.waves:
            result += a * np.sin(tau / length * along + phase)
        return result


@dataclass(frozen=True)
class Side:
    """Widths beside the road on one side, from the kerb outwards, in metres."""

    verge: float
    parking: float
    green_verge: bool
    sidewalk: float
    setback: float


@dataclass(frozen=True)
class Layout:
    """The street in cross-section; right-hand traffic, lateral metres right of the centre line."""

    centre_line: CentreLine
    lanes: int
    lane_width: float
    median: float
    left: Side
    right: Side
    crossing_every: int
    crossing_phase: int

    @property
    def carriageway(self) -> float:
        """Half the width of the driven lanes in metres."""
        return self.median / 2 + self.lanes * self.lane_width

    def side(self, sign: int) -> Side:
        """Return the left side (-1) or the right side (+1)."""
        return self.right if sign > 0 else self.left

    def kerb(self, sign: int) -> float:
        """Return the distance of the kerb from the centre line."""
        return self.carriageway + self.side(sign).parking

    def sidewalk_start(self, sign: int) -> float:
        """Return the distance at which the sidewalk proper begins."""
        return self.kerb(sign) + self.side(sign).verge

    def sidewalk_end(self, sign: int) -> float:
        """Return the distance at which gardens, or the buildings, begin."""
        return self.sidewalk_start(sign) + self.side(sign).sidewalk

    def building_line(self, sign: int) -> float:
        """Return the distance of the facades."""
        return self.sidewalk_end(sign) + self.side(sign).setback

    def lane_centre(self, lane: int) -> float:
        """Return the distance of a lane's middle; lane 0 is next to the centre line."""
        return self.median / 2 + (lane + 0.5) * self.lane_width

    @property
    def own_lane(self) -> float:
        """Lateral metres of the lane in which the camera drives."""
        return self.lane_centre(self.lanes - 1)

    def is_crossing(self, block: int) -> bool:
        """Return whether another street crosses at the start of a block."""
        return (block - self.crossing_phase) % self.crossing_every == 0


def _side(rng: np.random.Generator) -> Side:
    return Side(
        verge=float(rng.choice([0.0, 1.6, 2.4], p=[0.25, 0.35, 0.4])),
        parking=float(rng.choice([0.0, 2.3], p=[0.5, 0.5])),
        green_verge=rng.random() < 0.7,
        sidewalk=rng.uniform(2.2, 4.2),
        setback=float(rng.choice([0.0, 3.0, 6.0], p=[0.3, 0.35, 0.35])),
    )


def draw_layout(seed: int) -> Layout:
    """Draw a street's plan from the seed."""
    rng = generator(seed, 7)
    amplitudes = rng.uniform(0.0, 7.0), rng.uniform(0.0, 1.5)
    lengths = rng.uniform(350.0, 600.0), rng.uniform(140.0, 220.0)
    phases = rng.uniform(0.0, tau), rng.uniform(0.0, tau)
    every = int(rng.integers(2, 4))
    return Layout(
        centre_line=CentreLine(tuple(zip(amplitudes, lengths, phases, strict=True))),
        lanes=int(rng.choice([1, 2], p=[0.7, 0.3])),
        lane_width=rng.uniform(3.1, 3.6),
        median=float(rng.choice([0.0, 6.6], p=[0.68, 0.32])),
        left=_side(rng),
        right=_side(rng),
        crossing_every=every,
        crossing_phase=int(rng.integers(every)),
    )


@dataclass(frozen=True)
class Character:
    """How crowded and how green a street is; shares of 0 to 1.

    Attributes:
        barrier_kind: (3,) of the gardens with a wall, a fence and a hedge.
    """

    barrier_kind: np.ndarray
    buildings: float
    trees: float
    parked: float
    signs: float
    crowd: float
    traffic: float


def draw_character(seed: int) -> Character:
    """Draw a street's character from the seed."""
    rng = generator(seed, 89)
    kinds = rng.dirichlet((2.0, 2.0, 0.9))
    ranges = ((0.55, 1.0), (0.1, 0.85), (0.12, 0.8), (0.3, 0.9), (0.1, 0.5), (0.3, 0.85))
    return Character(kinds, *(rng.uniform(*limits) for limits in ranges))
