"""Blocks of the street: buildings, gardens, trees, poles, parked cars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdnet_offline.street.buildings import barrier, building
from tdnet_offline.street.catalogue import Catalogue
from tdnet_offline.street.ground import GroundColours
from tdnet_offline.street.layout import (
    BLOCK_LENGTH,
    CROSSING_LENGTH,
    KERB_HEIGHT,
    Character,
    Layout,
)
from tdnet_offline.street.markings import block_joints, block_markings
from tdnet_offline.street.model import Model
from tdnet_offline.street.people import draw_look, walker
from tdnet_offline.street.placer import PlacedModel, Placer
from tdnet_offline.street.randomness import generator, pick
from tdnet_offline.street.roadside import (
    draw_bench,
    draw_bin,
    draw_bush,
    draw_sign_post,
    draw_street_lamp,
    draw_tree,
    draw_utility_pole,
    traffic_light,
)
from tdnet_offline.street.vehicles import (
    bicycle,
    draw_bus,
    draw_car,
    draw_paint,
    draw_truck,
    motorcycle,
)


@dataclass(frozen=True)
class Block:
    """One block: models that stand on it, markings, and the joints of paving slabs."""

    standing: tuple[PlacedModel, ...]
    markings: PlacedModel
    joints: PlacedModel


@dataclass(frozen=True)
class BlockMaker:
    """Lays out the blocks of one street; every block depends on the seed and its number only."""

    seed: int
    layout: Layout
    catalogue: Catalogue
    colours: GroundColours
    character: Character
    placer: Placer

    def make(self, block: int) -> Block:
        """Return block number ``block``, from ``block * BLOCK_LENGTH`` metres on."""
        start, crossing = block * BLOCK_LENGTH, self.layout.is_crossing(block)
        rng = generator(self.seed, 97, block)
        markings = block_markings(rng, self.layout, self.colours, block)
        joints = block_joints(self.layout, self.colours, block)
        placed: list[PlacedModel] = []
        for sign in (-1, 1):
            rng = generator(self.seed, 103, block, sign)
            free = CROSSING_LENGTH if crossing else 0.0
            side = _BlockSide(self, rng, sign, start + free, start + BLOCK_LENGTH, placed)
            side.add_lots()
            side.add_roadside()
            side.add_parking()
            if crossing:
                side.add_corner(start)
        return Block(
            tuple(placed),
            self.placer.place(markings, 0.0, start, bend=True),
            self.placer.place(joints, 0.0, start, bend=True),
        )


@dataclass(frozen=True)
class _BlockSide:
    """One side of a block, -1 left or 1 right, that is filled from ``start`` to ``end``."""

    street: BlockMaker
    rng: np.random.Generator
    sign: int
    start: float
    end: float
    placed: list[PlacedModel]

    def _place(
        self,
        model: Model,
        distance: float,
        along: float,
        turn: float = 0.0,
        *,
        height: float = KERB_HEIGHT,
        bend: bool = False,
    ) -> None:
        """Place a model at a distance from the centre line; the rest as in `Placer.place`."""
        place = self.street.placer.place
        self.placed.append(place(model, self.sign * distance, along, height, turn, bend))

    def add_lots(self) -> None:
        """Fill the building line with houses, and with gardens between and before them."""
        rng, layout = self.rng, self.street.layout
        along = self.start
        while along < self.end - 5.0:
            length = min(rng.uniform(11.0, 24.0), self.end - along)
            if self.end - along - length < 7.0:
                length = self.end - along
            built = rng.random() < self.street.character.buildings
            if built:
                facade = pick(rng, self.street.catalogue.facades)
                gap = float(rng.choice([0.0, 3.0], p=[0.7, 0.3]))
                model = building(rng, facade, self.sign, length - gap)
                self._place(model, layout.building_line(self.sign), along, bend=True)
            if not built or layout.side(self.sign).setback:
                self._add_garden(along, length, built)
            along += length

    def _add_garden(self, along: float, length: float, built: bool) -> None:
        rng, layout, catalogue = self.rng, self.street.layout, self.street.catalogue
        front = layout.sidewalk_end(self.sign)
        if rng.random() < (0.8 if built else 0.95):
            kind = int(rng.choice(3, p=self.street.character.barrier_kind))
            choice = int(rng.integers(2))
            texture = (catalogue.walls[choice], catalogue.fences[choice], catalogue.hedge)[kind]
            low = built and rng.random() < 0.7
            height = rng.uniform(0.8, 1.2) if low else rng.uniform(1.5, 2.2)
            model = barrier(texture, self.sign, length - 0.05, height, (0.3, 0.0, 0.8)[kind])
            self._place(model, front + 0.1, along, bend=True)
        depth = layout.building_line(self.sign) - front
        room = depth if built else depth + 12.0
        count = int(rng.integers(0, 3) if built else rng.integers(2, 7))
        if room < 2.5:
            return
        for _ in range(count):
            distance, ahead = front + rng.uniform(1.6, room - 0.5), rng.uniform(0.5, length - 0.5)
            bush = built or rng.random() < 0.25
            model = draw_bush(rng, catalogue) if bush else draw_tree(rng, catalogue, 1.1)
            self._place(model, distance, along + ahead)

    def add_roadside(self) -> None:
        """Line the kerb with trees, lamps, signs, bins, benches and cycles."""
        rng, layout, character = self.rng, self.street.layout, self.street.character
        distance = layout.kerb(self.sign) + 0.5 * max(layout.side(self.sign).verge, 1.0)
        places = np.arange(self.start + 3.0, self.end - 1.5, rng.uniform(6.5, 9.0))
        for index, along in enumerate(places.tolist()):
            at = distance + rng.uniform(-0.15, 0.15)
            if index % 4 == 1:
                lamp = rng.random() < 0.75
                model = draw_street_lamp(rng, -self.sign) if lamp else draw_utility_pole(rng)
            elif rng.random() < character.trees:
                model = draw_tree(rng, self.street.catalogue, 0.85)
            elif rng.random() < character.signs:
                model = draw_sign_post(rng)
            else:
                model = draw_bin(rng) if rng.random() < 0.5 else draw_bench(rng)
            self._place(model, at, along)
            if rng.random() < 0.2:
                turn, cycles = rng.normal(np.pi / 2, 0.3), int(rng.integers(1, 4))
                motor = rng.random() < 0.25
                for number in range(cycles):
                    paint = draw_paint(rng)
                    model = motorcycle(paint, None) if motor else bicycle(paint, None, 0.0)
                    self._place(model, at, along + 1.8 + number * 0.9, turn)
            if rng.random() < character.crowd * 0.5:
                model = walker(draw_look(rng), 0.3, standing=True)
                place, turn = along + rng.uniform(-2, 2), rng.uniform(0, 6)
                self._place(model, layout.sidewalk_end(self.sign) - 0.5, place, turn)

    def add_parking(self) -> None:
        """Fill the parking lane with cars, some trucks and motorcycles."""
        rng, sign, layout = self.rng, self.sign, self.street.layout
        if not layout.side(sign).parking:
            return
        distance = layout.carriageway + layout.side(sign).parking / 2
        along, parked = self.start + 3.4, self.street.character.parked
        while along < self.end - 3.0:
            kind = rng.random()
            if kind < parked:
                large = rng.random() < 0.07 and along + 8.0 < self.end - 3.0
                draw = draw_car
                if large:
                    draw = draw_truck if rng.random() < 0.7 else draw_bus
                    along += 3.0
                model = draw(rng)
                turn = (0.0 if sign > 0 else np.pi) + rng.normal(0, 0.02)
                self._place(model, distance + sign * rng.normal(0, 0.08), along, turn, height=0.0)
                along += 4.0 if large else 0.0
            elif kind < parked + 0.03:
                for offset in (-1.2, 0.0, 1.2):
                    model = motorcycle(draw_paint(rng), None)
                    self._place(model, distance, along + offset, sign * 1.4, height=0.0)
            along += 6.0

    def add_corner(self, start: float) -> None:
        """Put traffic lights and a sign at the crossing that begins at ``start`` metres."""
        distance = self.street.layout.kerb(self.sign) + 0.6
        lights = generator(self.street.seed, 107, round(start))
        state = int(lights.choice(3, p=[0.25, 0.1, 0.65]))
        mast = self.rng.random() < 0.4
        for along in (start - 0.8, start + CROSSING_LENGTH - 0.5):
            self._place(traffic_light(state, -self.sign, mast), distance, along)
        self._place(draw_sign_post(self.rng), distance + 0.9, start - 4.0)
