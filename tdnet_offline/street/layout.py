"""The street's plan: how it bends, and how wide its lanes, kerbs, verges and gardens are."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin, tau

import numpy as np

from tdnet_offline.street.randomness import generator

BLOCK_LENGTH = 64.0
"""Metres of street that are laid out at a time."""
KERB_HEIGHT = 0.13
"""Metres by which the sidewalk lies above the road."""


@dataclass(frozen=True)
class CentreLine:
    """The street's gentle bends: x offset of the centre line, a sum of two waves."""

    amplitudes: tuple[float, float]
    lengths: tuple[float, float]
    phases: tuple[float, float]

    def offset(self, along: float) -> float:
        """Return the metres by which the street lies to the right at ``along`` metres."""
        waves = zip(self.amplitudes, self.lengths, self.phases, strict=True)
        return sum(a * sin(tau * along / length + phase) for a, length, phase in waves)

    def slope(self, along: float) -> float:
        """Return the sideways metres per metre at ``along``."""
        waves = zip(self.amplitudes, self.lengths, self.phases, strict=True)
        return sum(a * tau / length * cos(tau * along / length + p) for a, length, p in waves)

    def offsets(self, along: np.ndarray) -> np.ndarray:
        """Return ``offset`` of every element of an array of metres."""
        result = np.zeros_like(along)
        for a, length, phase in zip(self.amplitudes, self.lengths, self.phases, strict=True):
            result += a * np.sin(tau / length * along + phase)
        return result


@dataclass(frozen=True)
class Side:
    """Widths beside the road on one side, from the kerb outwards, in metres."""

    parking: float
    verge: float
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


CROSSING_LENGTH = 15.0
"""Metres of a block that a crossing street takes."""


def _side(rng: np.random.Generator) -> Side:
    verge = float(rng.choice([0.0, 1.6, 2.4], p=[0.25, 0.35, 0.4]))
    return Side(
        parking=float(rng.choice([0.0, 2.3], p=[0.5, 0.5])),
        verge=verge,
        green_verge=bool(rng.random() < 0.7),
        sidewalk=float(rng.uniform(2.2, 4.2)),
        setback=float(rng.choice([0.0, 3.0, 6.0], p=[0.3, 0.35, 0.35])),
    )


def draw_layout(seed: int) -> Layout:
    """Draw a street's plan from the seed."""
    rng = generator(seed, 7)
    centre_line = CentreLine(
        amplitudes=(float(rng.uniform(0.0, 7.0)), float(rng.uniform(0.0, 1.5))),
        lengths=(float(rng.uniform(350.0, 600.0)), float(rng.uniform(140.0, 220.0))),
        phases=(float(rng.uniform(0.0, tau)), float(rng.uniform(0.0, tau))),
    )
    every = int(rng.integers(2, 4))
    return Layout(
        centre_line=centre_line,
        lanes=int(rng.choice([1, 2], p=[0.7, 0.3])),
        lane_width=float(rng.uniform(3.1, 3.6)),
        median=float(rng.choice([0.0, 6.6], p=[0.68, 0.32])),
        left=_side(rng),
        right=_side(rng),
        crossing_every=every,
        crossing_phase=int(rng.integers(every)),
    )
