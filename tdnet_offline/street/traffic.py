"""Moving pedestrians, cyclists and vehicles, and their streams along lanes and sidewalks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, inf, pi, sin

import numpy as np

from tdnet_offline.street.camera import CameraPath
from tdnet_offline.street.layout import KERB_HEIGHT, Character, Layout
from tdnet_offline.street.model import Model
from tdnet_offline.street.people import draw_look, walker
from tdnet_offline.street.placer import PlacedModel, Placer
from tdnet_offline.street.randomness import generator
from tdnet_offline.street.vehicles import (
    bicycle,
    draw_bus,
    draw_car,
    draw_paint,
    draw_tram,
    draw_truck,
    motorcycle,
)

_VEHICLE_REACH = 180.0
_PERSON_REACH = 80.0


@dataclass(frozen=True)
class Member:
    """A pedestrian, a cyclist or a vehicle.

    Attributes:
        model: returns the model after a number of metres.
        half: metres from its middle to its front.
    """

    model: Callable[[float], Model]
    half: float = 1.0


def draw_pedestrian(rng: np.random.Generator) -> Member:
    """Draw a person on foot."""
    look, phase = draw_look(rng), rng.uniform(0.0, 2 * pi)
    return Member(lambda gone: walker(look, phase + 2 * pi * abs(gone) / (0.86 * look.height)))


def draw_cyclist(rng: np.random.Generator) -> Member:
    """Draw a person on a bicycle."""
    look, phase, paint = draw_look(rng), rng.uniform(0.0, 2 * pi), draw_paint(rng)
    return Member(lambda gone: bicycle(paint, look, phase + 1.2 * abs(gone)))


def _rigid(shape: Model) -> Member:
    return Member(lambda _gone: shape, shape.footprint[3])


def draw_vehicle(rng: np.random.Generator) -> Member:
    """Draw a car, truck, bus or motorcycle."""
    kind = str(rng.choice(["car", "truck", "bus", "motorcycle"], p=[0.64, 0.13, 0.12, 0.11]))
    if kind == "motorcycle":
        return _rigid(motorcycle(draw_paint(rng), draw_look(rng)))
    return _rigid({"car": draw_car, "truck": draw_truck, "bus": draw_bus}[kind](rng))


def _draw_tram(rng: np.random.Generator) -> Member:
    return _rigid(draw_tram(rng))


@dataclass(frozen=True)
class Stream:
    """Members that follow one another along a line, all at one speed, in slots of equal length.

    Attributes:
        lateral: metres right of the centre line.
        speed: metres a second along the street; negative comes towards the camera.
        slot: metres from one place to the next.
        density: share of places that are taken.
        draw: draws a member.
        reach: metres ahead of the camera up to which members are shown.
        wander: largest distance of a member from the line in metres.
        height: metres of the ground above the road.
    """

    lateral: float
    speed: float
    slot: float
    density: float
    draw: Callable[[np.random.Generator], Member]
    reach: float = _VEHICLE_REACH
    wander: float = 0.12
    height: float = 0.0


def _draw_streams(seed: int, layout: Layout, character: Character) -> tuple[Stream, ...]:
    rng = generator(seed, 109)
    streams = []
    oncoming = -rng.uniform(7.0, 11.0)
    for lane in range(layout.lanes):
        at, speed = layout.lane_centre(lane), oncoming * (1.0 - 0.15 * lane)
        streams.append(Stream(-at, speed, 17.0, character.traffic * 0.75, draw_vehicle))
    for lane in range(layout.lanes - 1):
        at, speed = layout.lane_centre(lane), rng.uniform(9.0, 13.0)
        streams.append(Stream(at, speed, 19.0, character.traffic * 0.7, draw_vehicle))
    if layout.median:
        for sign, low, high in ((-1, 7.0, 10.0), (1, 12.0, 15.0)):
            speed = sign * rng.uniform(low, high)
            streams.append(Stream(sign * 1.65, speed, 80.0, 0.55, _draw_tram, wander=0.0))
    for sign in (-1, 1):
        speed, density = sign * rng.uniform(3.8, 5.2), rng.uniform(0.1, 0.5)
        edge = sign * (layout.carriageway - 0.55)
        streams.append(Stream(edge, speed, 21.0, density, draw_cyclist, _PERSON_REACH))
        for share, way in ((0.3, 1), (0.65, -1)):
            at = sign * (layout.sidewalk_start(sign) + share * layout.side(sign).sidewalk)
            line = (at, way * rng.uniform(1.1, 1.6), 5.0, character.crowd, draw_pedestrian)
            streams.append(Stream(*line, _PERSON_REACH, wander=0.3, height=KERB_HEIGHT))
    return tuple(streams)


class Traffic:
    """All that moves along one street, known for every moment."""

    def __init__(
        self, seed: int, layout: Layout, character: Character, path: CameraPath, placer: Placer
    ) -> None:
        """Draw the traffic of a street from the seed, for a camera that takes a path."""
        self._seed, self._path, self._placer = seed, path, placer
        self._own_lane = layout.own_lane
        self._streams = _draw_streams(seed, layout, character)
        self._member = lru_cache(maxsize=2048)(self._draw_member)
        rng = generator(seed, 137)
        self._leader = draw_vehicle(rng) if rng.random() < 0.65 else None
        self._gap, self._gap_period = rng.uniform(14.0, 32.0), rng.uniform(12.0, 25.0)

    def _draw_member(self, number: int, place: int) -> tuple[Member, float, float] | None:
        """Return the member at a place of a stream, and its offsets ahead and aside in metres."""
        stream = self._streams[number]
        rng = generator(self._seed, 113, number, place)
        if rng.random() >= stream.density:
            return None
        ahead, aside = rng.uniform(-1.0, 1.0, 2).tolist()
        return stream.draw(rng), 0.12 * stream.slot * ahead, stream.wander * aside

    def _members(
        self, number: int, time: float, low: float, high: float
    ) -> Iterator[tuple[int, Member, float, float]]:
        """Yield the members of a stream whose slots are in a range of the street.

        Each with its place, and its metres along the street and right of the centre line.
        """
        stream = self._streams[number]
        moved = stream.speed * time
        first, last = ceil((low - moved) / stream.slot), floor((high - moved) / stream.slot)
        for place in range(first, last + 1):
            taken = self._member(number, place)
            if taken is not None:
                member, ahead, aside = taken
                along = place * stream.slot + moved + ahead
                yield place, member, along, stream.lateral + aside

    def meets(self, along: float, lateral: float, time: float, spare: float) -> bool:
        """Return whether a vehicle or cyclist is near a place of the road at a time.

        Args:
            along: metres along the street.
            lateral: metres right of the centre line.
            time: seconds.
            spare: metres that must be free before and behind it, beside its own length.
        """
        if self._leader is not None and abs(lateral - self._own_lane) < 2.0:
            gap = abs(self._leader_along(time) - along)
            if gap < spare + self._leader.half:
                return True
        for number, stream in enumerate(self._streams):
            if stream.draw is draw_pedestrian or abs(stream.lateral - lateral) > 2.0:
                continue
            reach = spare + stream.slot
            near = self._members(number, time, along - reach, along + reach)
            for _, member, at, _ in near:
                if abs(at - along) < spare + member.half:
                    return True
        return False

    def lanes(self) -> list[float]:
        """Return the lateral metres of all lines of vehicles or cyclists."""
        lines = [s.lateral for s in self._streams if s.draw is not draw_pedestrian]
        return [*lines, self._own_lane]

    def _leader_along(self, time: float) -> float:
        if self._leader is None:
            return inf
        swing = 0.2 * self._gap * sin(2 * pi * time / self._gap_period)
        return self._path.along(time) + self._gap + swing + self._leader.half

    def models(self, time: float) -> dict[Hashable, PlacedModel]:
        """Return all models that move along the street in sight, at ``time`` seconds.

        A model has the same key at all times.
        """
        here = self._path.along(time)
        placed: dict[Hashable, PlacedModel] = {}
        for number, stream in enumerate(self._streams):
            turn = 0.0 if stream.speed > 0 else pi
            members = self._members(number, time, here - 16.0, here + stream.reach)
            for place, member, along, lateral in members:
                model = member.model(along)
                placed[number, place] = self._placer.place(
                    model, lateral, along, stream.height, turn
                )
        if self._leader is not None:
            along = self._leader_along(time)
            placed["leader"] = self._placer.place(self._leader.model(0.0), self._own_lane, along)
        return placed
