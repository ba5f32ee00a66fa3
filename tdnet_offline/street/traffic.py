"""Moving pedestrians, cyclists and vehicles, and their streams along lanes and sidewalks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, pi, sin

import numpy as np

from tdnet_offline.street.blocks import Character
from tdnet_offline.street.camera import CameraPath
from tdnet_offline.street.cycles import bicycle, draw_paint, motorcycle
from tdnet_offline.street.layout import KERB_HEIGHT, Layout
from tdnet_offline.street.model import Colour, Model
from tdnet_offline.street.people import Look, draw_look, walker
from tdnet_offline.street.placer import PlacedModel, Placer
from tdnet_offline.street.randomness import generator
from tdnet_offline.street.vehicles import draw_bus, draw_car, draw_tram, draw_truck

_VEHICLE_REACH = 180.0
_PERSON_REACH = 80.0


@dataclass(frozen=True)
class Pedestrian:
    """A person on foot; ``phase`` is the start of a step in radians."""

    look: Look
    phase: float

    def model(self, gone: float) -> Model:
        """Return the person after ``gone`` metres."""
        return walker(self.look, self.phase + 2 * pi * abs(gone) / (0.86 * self.look.height))


@dataclass(frozen=True)
class Cyclist:
    """A person on a bicycle; ``phase`` is the start of the pedals in radians."""

    look: Look
    phase: float
    paint: Colour

    def model(self, gone: float) -> Model:
        """Return bicycle and rider after ``gone`` metres."""
        return bicycle(self.paint, self.look, self.phase + 1.2 * abs(gone))


@dataclass(frozen=True)
class Vehicle:
    """A rigid vehicle."""

    shape: Model

    def model(self, gone: float) -> Model:
        """Return the vehicle, which looks the same after any ``gone`` metres."""
        return self.shape


Member = Pedestrian | Cyclist | Vehicle


def draw_pedestrian(rng: np.random.Generator) -> Pedestrian:
    """Draw a person on foot."""
    return Pedestrian(draw_look(rng), float(rng.uniform(0.0, 2 * pi)))


def draw_cyclist(rng: np.random.Generator) -> Cyclist:
    """Draw a person on a bicycle."""
    return Cyclist(draw_look(rng), float(rng.uniform(0.0, 2 * pi)), draw_paint(rng))


def draw_vehicle(rng: np.random.Generator) -> Vehicle:
    """Draw a car, truck, bus or motorcycle."""
    kind = str(rng.choice(["car", "truck", "bus", "motorcycle"], p=[0.64, 0.13, 0.12, 0.11]))
    if kind == "car":
        return Vehicle(draw_car(rng))
    if kind == "motorcycle":
        return Vehicle(motorcycle(draw_paint(rng), draw_look(rng)))
    return Vehicle(draw_truck(rng) if kind == "truck" else draw_bus(rng))


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
    oncoming = -float(rng.uniform(7.0, 11.0))
    for lane in range(layout.lanes):
        at, speed = layout.lane_centre(lane), oncoming * (1.0 - 0.15 * lane)
        streams.append(Stream(-at, speed, 17.0, character.traffic * 0.75, draw_vehicle))
    for lane in range(layout.lanes - 1):
        at, speed = layout.lane_centre(lane), float(rng.uniform(9.0, 13.0))
        streams.append(Stream(at, speed, 19.0, character.traffic * 0.7, draw_vehicle))
    if layout.median:
        for sign, low, high in ((-1, 7.0, 10.0), (1, 12.0, 15.0)):
            speed = sign * float(rng.uniform(low, high))
            streams.append(Stream(sign * 1.65, speed, 80.0, 0.55, _draw_tram, wander=0.0))
    for sign in (-1, 1):
        speed, density = sign * float(rng.uniform(3.8, 5.2)), float(rng.uniform(0.1, 0.5))
        edge = sign * (layout.carriageway - 0.55)
        streams.append(Stream(edge, speed, 21.0, density, draw_cyclist, _PERSON_REACH))
        for share, way in ((0.3, 1), (0.65, -1)):
            at = sign * (layout.sidewalk_start(sign) + share * layout.side(sign).sidewalk)
            streams.append(
                Stream(
                    at,
                    way * float(rng.uniform(1.1, 1.6)),
                    5.0,
                    character.crowd,
                    draw_pedestrian,
                    _PERSON_REACH,
                    0.3,
                    KERB_HEIGHT,
                )
            )
    return tuple(streams)


def _draw_tram(rng: np.random.Generator) -> Vehicle:
    return Vehicle(draw_tram(rng))


class Traffic:
    """All that moves along one street, known for every moment."""

    def __init__(
        self, seed: int, layout: Layout, character: Character, path: CameraPath, placer: Placer
    ) -> None:
        """Draw the streams from the seed."""
        self._seed, self._layout, self._path, self._placer = seed, layout, path, placer
        self._streams = _draw_streams(seed, layout, character)
        self._member = lru_cache(maxsize=2048)(self._draw_member)
        rng = generator(seed, 137)
        self._leader = draw_vehicle(rng) if rng.random() < 0.65 else None
        self._gap = float(rng.uniform(14.0, 32.0))
        self._gap_period = float(rng.uniform(12.0, 25.0))

    def _draw_member(self, number: int, place: int) -> tuple[Member, float, float] | None:
        """Return the member at a place of a stream, and its offsets ahead and aside in metres."""
        stream = self._streams[number]
        rng = generator(self._seed, 113, number, place)
        if rng.random() >= stream.density:
            return None
        ahead, aside = rng.uniform(-1.0, 1.0, 2).tolist()
        return stream.draw(rng), 0.12 * stream.slot * ahead, stream.wander * aside

    def meets(self, along: float, lateral: float, time: float, spare: float) -> bool:
        """Return whether a vehicle or cyclist is near a place of the road at a time.

        Args:
            along: metres along the street.
            lateral: metres right of the centre line.
            time: seconds.
            spare: metres that must be free before and behind it, beside its own length.
        """
        if self._leader is not None and abs(lateral - self._layout.own_lane) < 2.0:
            gap = self._leader_along(time) - along
            if abs(gap) < spare + self._leader.shape.footprint[3]:
                return True
        for number, stream in enumerate(self._streams):
            if stream.draw is draw_pedestrian or abs(stream.lateral - lateral) > 2.0:
                continue
            moved = stream.speed * time
            reach = spare + stream.slot
            first = ceil((along - reach - moved) / stream.slot)
            last = floor((along + reach - moved) / stream.slot)
            for place in range(first, last + 1):
                taken = self._member(number, place)
                if taken is None:
                    continue
                member, ahead, _ = taken
                half = member.shape.footprint[3] if isinstance(member, Vehicle) else 1.0
                if abs(place * stream.slot + moved + ahead - along) < spare + half:
                    return True
        return False

    def lanes(self) -> list[float]:
        """Return the lateral metres of all lines of vehicles or cyclists."""
        lines = [s.lateral for s in self._streams if s.draw is not draw_pedestrian]
        return [*lines, self._layout.own_lane]

    def _leader_along(self, time: float) -> float:
        if self._leader is None:
            return float("inf")
        swing = 0.2 * self._gap * sin(2 * pi * time / self._gap_period)
        return self._path.along(time) + self._gap + swing + self._leader.shape.footprint[3]

    def models(self, time: float) -> list[PlacedModel]:
        """Return all models that move along the street in sight, at ``time`` seconds."""
        here = self._path.along(time)
        placed: list[PlacedModel] = []
        for number, stream in enumerate(self._streams):
            moved = stream.speed * time
            first = ceil((here - 16.0 - moved) / stream.slot)
            last = floor((here + stream.reach - moved) / stream.slot)
            for place in range(first, last + 1):
                taken = self._member(number, place)
                if taken is None:
                    continue
                member, ahead, aside = taken
                along = place * stream.slot + moved + ahead
                turn = 0.0 if stream.speed > 0 else pi
                lateral = stream.lateral + aside
                model = member.model(along)
                placed.append(self._placer.place(model, lateral, along, stream.height, turn))
        if self._leader is not None:
            along = self._leader_along(time)
            placed.append(self._placer.place(self._leader.shape, self._layout.own_lane, along))
        return placed
