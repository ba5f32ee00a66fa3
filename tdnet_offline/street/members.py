"""Those who take part in traffic: who they are, and the model of each at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from tdnet_offline.street.cycles import bicycle, draw_paint, motorcycle
from tdnet_offline.street.model import Colour, Model
from tdnet_offline.street.people import Look, draw_look, walker
from tdnet_offline.street.vehicles import draw_bus, draw_car, draw_truck


@dataclass(frozen=True)
class Pedestrian:
    """A person on foot; ``phase`` in radians is where their step begins."""

    look: Look
    phase: float

    def model(self, gone: float) -> Model:
        """Return the person after ``gone`` metres."""
        return walker(self.look, self.phase + 2 * pi * abs(gone) / (0.86 * self.look.height))


@dataclass(frozen=True)
class Cyclist:
    """A person on a bicycle; ``phase`` in radians is where the pedals begin."""

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
