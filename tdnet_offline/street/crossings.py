"""People and vehicles that cross the street, and are gone when the camera arrives."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from math import pi
from typing import NamedTuple

from tdnet_offline.street.camera import CameraPath
from tdnet_offline.street.layout import BLOCK_LENGTH, CROSSING_LENGTH, KERB_HEIGHT, Layout
from tdnet_offline.street.placer import PlacedModel, Placer
from tdnet_offline.street.randomness import generator
from tdnet_offline.street.traffic import Member, Traffic, draw_pedestrian, draw_vehicle

_SIGHT = 90.0


class _Crosser(NamedTuple):
    """A person or vehicle on its way across the street.

    Attributes:
        sign: of the direction, 1 to the right.
        speed: metres a second; 0: a vehicle that waits at the kerb.
        start: seconds; a person starts 1.5 m before the kerb, a vehicle is on the centre line.
            Of a waiting vehicle its place in the queue in metres.
        along: metres along the street.
    """

    member: Member
    sign: int
    speed: float
    start: float
    along: float


class Crossings:
    """People on the crosswalks and vehicles in the crossing streets, at any time."""

    def __init__(
        self, seed: int, layout: Layout, path: CameraPath, traffic: Traffic, placer: Placer
    ) -> None:
        """Create the crossings of a street, for a camera path and the traffic along the street."""
        self._seed, self._layout, self._path, self._placer = seed, layout, path, placer
        self._traffic = traffic
        self._width = layout.kerb(1) + layout.kerb(-1) + 3.0
        self._walkers = lru_cache(maxsize=64)(self._draw_walkers)
        self._vehicles = lru_cache(maxsize=64)(self._draw_vehicles)

    def models(self, time: float) -> dict[Hashable, PlacedModel]:
        """Return everything that crosses within sight at ``time`` seconds.

        A model has the same key at all times.
        """
        first = int(self._path.along(time) // BLOCK_LENGTH)
        blocks = [b for b in range(first, first + 3) if self._layout.is_crossing(b)]
        return {key: model for b in blocks for key, model in self._crossing(time, b).items()}

    def _draw_walkers(self, block: int) -> tuple[_Crosser, ...]:
        layout, arrival = self._layout, self._path.time_at(block * BLOCK_LENGTH)
        walkers = []
        for place in range(int(generator(self._seed, 139, block).integers(1, 7))):
            rng = generator(self._seed, 149, block, place)
            sign, pace = int(rng.choice([-1, 1])), rng.uniform(1.2, 1.7)
            leaves = arrival - 2.2 - self._width / pace - rng.uniform(0.0, 5.0)
            along = block * BLOCK_LENGTH + rng.uniform(0.8, 3.2)
            person = draw_pedestrian(rng)
            at_middle = leaves + (layout.kerb(-sign) + 1.5) / pace
            if not self._endangered(along, sign, pace, at_middle, 5.0):
                walkers.append(_Crosser(person, sign, pace, leaves, along))
        return tuple(walkers)

    def _endangered(
        self, along: float, sign: int, speed: float, at_middle: float, spare: float
    ) -> bool:
        """Return whether a crosser meets the traffic of a lane; metres, seconds."""
        return any(
            self._traffic.meets(along, lane, at_middle + sign * lane / speed + early, spare)
            for lane in self._traffic.lanes()
            for early in (-0.9, -0.3, 0.3, 0.9)
        )

    def _draw_vehicles(self, block: int) -> tuple[_Crosser, ...]:
        """Draw the vehicles of a crossing; one that would meet the traffic waits at the kerb."""
        start = block * BLOCK_LENGTH
        arrival = self._path.time_at(start)
        vehicles = []
        for sign, share in ((1, 0.38), (-1, 0.62)):
            rng = generator(self._seed, 151, block, sign)
            speed, along = rng.uniform(6.0, 10.0), start + CROSSING_LENGTH * share
            queue = 0.0
            for place in range(int(rng.integers(0, 4))):
                passes = arrival - 3.5 - 3.5 * (2 - place) - rng.uniform(0.0, 1.0)
                vehicle = draw_vehicle(rng)
                if queue or self._endangered(along, sign, speed, passes, 7.0):
                    queue += vehicle.half
                    vehicles.append(_Crosser(vehicle, sign, 0.0, queue, along))
                    queue += vehicle.half + 1.5
                else:
                    vehicles.append(_Crosser(vehicle, sign, speed, passes, along))
        return tuple(vehicles)

    def _crossing(self, time: float, block: int) -> dict[Hashable, PlacedModel]:
        layout = self._layout
        placed: dict[Hashable, PlacedModel] = {}
        for place, (person, sign, pace, leaves, along) in enumerate(self._walkers(block)):
            gone = (time - leaves) * pace
            if -1.0 < gone < self._width + 12.0:
                lateral = sign * (gone - layout.kerb(-sign) - 1.5)
                on_road = -layout.kerb(-1) < lateral < layout.kerb(1)
                height, model = 0.0 if on_road else KERB_HEIGHT, person.model(gone)
                key = "walker", block, place
                placed[key] = self._placer.place(model, lateral, along, height, -sign * pi / 2)
        for place, (vehicle, sign, speed, start, along) in enumerate(self._vehicles(block)):
            lateral = sign * (time - start) * speed
            if not speed:
                lateral = -sign * (layout.kerb(-sign) + 4.5 + start)
            if abs(lateral) < _SIGHT:
                model = vehicle.model(0.0)
                key = "vehicle", block, place
                placed[key] = self._placer.place(model, lateral, along, 0.0, -sign * pi / 2)
        return placed
