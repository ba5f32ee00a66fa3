"""Blocks of the street: buildings, gardens, trees, poles, parked cars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdnet_offline.street.buildings import barrier, building
from tdnet_offline.street.catalogue import Catalogue
from tdnet_offline.street.cycles import bicycle, draw_paint, motorcycle
from tdnet_offline.street.ground import GroundColours
from tdnet_offline.street.layout import BLOCK_LENGTH, CROSSING_LENGTH, KERB_HEIGHT, Layout
from tdnet_offline.street.markings import block_joints, block_markings
from tdnet_offline.street.people import draw_look, walker
from tdnet_offline.street.placer import PlacedModel, Placer
from tdnet_offline.street.randomness import generator
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
from tdnet_offline.street.vehicles import draw_bus, draw_car, draw_truck


@dataclass(frozen=True)
class Character:
    """How crowded and how green a street is; shares of 0 to 1."""

    buildings: float
    trees: float
    parked: float
    signs: float
    crowd: float
    traffic: float
    barrier_kind: tuple[float, float, float]


def draw_character(seed: int) -> Character:
    """Draw a street's character from the seed."""
    rng = generator(seed, 89)
    kinds = rng.dirichlet((2.0, 2.0, 0.9))
    return Character(
        buildings=float(rng.uniform(0.55, 1.0)),
        trees=float(rng.uniform(0.1, 0.85)),
        parked=float(rng.uniform(0.12, 0.8)),
        signs=float(rng.uniform(0.3, 0.9)),
        crowd=float(rng.uniform(0.1, 0.5)),
        traffic=float(rng.uniform(0.3, 0.85)),
        barrier_kind=(float(kinds[0]), float(kinds[1]), float(kinds[2])),
    )


@dataclass(frozen=True)
class Block:
    """One block: models that stand on it, markings, and the joints of paving slabs."""

    standing: tuple[PlacedModel, ...]
    markings: PlacedModel
    joints: PlacedModel


class BlockMaker:
    """Lays out the blocks of one street; every block depends on the seed and its number only."""

    def __init__(
        self,
        seed: int,
        layout: Layout,
        catalogue: Catalogue,
        colours: GroundColours,
        character: Character,
        placer: Placer,
    ) -> None:
        """Create the maker from the parts that the street's seed has drawn."""
        self._seed, self._layout, self._catalogue = seed, layout, catalogue
        self._colours, self._character, self._placer = colours, character, placer

    def make(self, block: int) -> Block:
        """Return block number ``block``, from ``block * BLOCK_LENGTH`` metres on."""
        start = block * BLOCK_LENGTH
        markings = block_markings(
            generator(self._seed, 97, block), self._layout, self._colours, block
        )
        joints = block_joints(self._layout, self._colours, block)
        placed: list[PlacedModel] = []
        for sign in (-1, 1):
            rng = generator(self._seed, 103, block, sign)
            free = CROSSING_LENGTH if self._layout.is_crossing(block) else 0.0
            self._lots(rng, sign, start + free, start + BLOCK_LENGTH, placed)
            self._roadside(rng, sign, start + free, start + BLOCK_LENGTH, placed)
            self._parking(rng, sign, start + free, start + BLOCK_LENGTH, placed)
            if free:
                self._corner(rng, sign, start, placed)
        return Block(
            tuple(placed),
            self._placer.place(markings, 0.0, start, bend=True),
            self._placer.place(joints, 0.0, start, bend=True),
        )

    def _lots(
        self,
        rng: np.random.Generator,
        sign: int,
        start: float,
        end: float,
        placed: list[PlacedModel],
    ) -> None:
        """Fill the building line with houses, and with gardens between and before them."""
        layout, catalogue = self._layout, self._catalogue
        line, garden = layout.building_line(sign), layout.sidewalk_end(sign)
        along = start
        while along < end - 5.0:
            length = min(float(rng.uniform(11.0, 24.0)), end - along)
            if end - along - length < 7.0:
                length = end - along
            built = rng.random() < self._character.buildings
            if built:
                facade = catalogue.facades[int(rng.integers(len(catalogue.facades)))]
                gap = float(rng.choice([0.0, 3.0], p=[0.7, 0.3]))
                model = building(rng, facade, sign, length - gap)
                placed.append(
                    self._placer.place(model, sign * line, along, KERB_HEIGHT, bend=True)
                )
            if not built or layout.side(sign).setback:
                self._garden(rng, sign, garden, along, length, built, placed)
            along += length

    def _garden(
        self,
        rng: np.random.Generator,
        sign: int,
        front: float,
        along: float,
        length: float,
        built: bool,
        placed: list[PlacedModel],
    ) -> None:
        catalogue = self._catalogue
        depth = self._layout.building_line(sign) - front
        if rng.random() < (0.8 if built else 0.95):
            kind = int(rng.choice(3, p=self._character.barrier_kind))
            choice = int(rng.integers(2))
            texture = (catalogue.walls[choice], catalogue.fences[choice], catalogue.hedge)[kind]
            low = built and rng.random() < 0.7
            height = float(rng.uniform(0.8, 1.2) if low else rng.uniform(1.5, 2.2))
            model = barrier(texture, sign, length - 0.05, height, (0.3, 0.0, 0.8)[kind])
            at = sign * (front + 0.1)
            placed.append(self._placer.place(model, at, along, KERB_HEIGHT, bend=True))
        room = depth if built else depth + 12.0
        count = int(rng.integers(0, 3) if built else rng.integers(2, 7))
        if room < 2.5:
            return
        for _ in range(count):
            lateral = sign * (front + float(rng.uniform(1.6, room - 0.5)))
            place = along + float(rng.uniform(0.5, length - 0.5))
            bush = built or rng.random() < 0.25
            model = draw_bush(rng, catalogue) if bush else draw_tree(rng, catalogue, 1.1)
            placed.append(self._placer.place(model, lateral, place, KERB_HEIGHT))

    def _roadside(
        self,
        rng: np.random.Generator,
        sign: int,
        start: float,
        end: float,
        placed: list[PlacedModel],
    ) -> None:
        """Line the kerb with trees, lamps, signs, bins, benches and cycles."""
        layout, character = self._layout, self._character
        verge = max(layout.side(sign).verge, 1.0)
        lateral = layout.kerb(sign) + 0.5 * verge
        spacing = float(rng.uniform(6.5, 9.0))
        for index, along in enumerate(np.arange(start + 3.0, end - 1.5, spacing).tolist()):
            at = sign * (lateral + float(rng.uniform(-0.15, 0.15)))
            if index % 4 == 1:
                pole = rng.random() < 0.75
                model = draw_street_lamp(rng, -sign) if pole else draw_utility_pole(rng)
            elif rng.random() < character.trees:
                model = draw_tree(rng, self._catalogue, 0.85)
            elif rng.random() < character.signs:
                model = draw_sign_post(rng)
            else:
                model = draw_bin(rng) if rng.random() < 0.5 else draw_bench(rng)
            placed.append(self._placer.place(model, at, along, KERB_HEIGHT))
            if rng.random() < 0.2:
                turn = float(rng.normal(np.pi / 2, 0.3))
                cycles = range(int(rng.integers(1, 4)))
                motor = rng.random() < 0.25
                for number in cycles:
                    paint = draw_paint(rng)
                    model = motorcycle(paint, None) if motor else bicycle(paint, None, 0.0)
                    place = along + 1.8 + number * 0.9
                    placed.append(self._placer.place(model, at, place, KERB_HEIGHT, turn))
            if rng.random() < character.crowd * 0.5:
                inner = layout.sidewalk_end(sign) - 0.5
                model = walker(draw_look(rng), 0.3, standing=True)
                place, turn = along + float(rng.uniform(-2, 2)), float(rng.uniform(0, 6))
                placed.append(self._placer.place(model, sign * inner, place, KERB_HEIGHT, turn))

    def _parking(
        self,
        rng: np.random.Generator,
        sign: int,
        start: float,
        end: float,
        placed: list[PlacedModel],
    ) -> None:
        layout = self._layout
        if not layout.side(sign).parking:
            return
        lateral = sign * (layout.carriageway + layout.side(sign).parking / 2)
        along = start + 3.4
        while along < end - 3.0:
            kind = rng.random()
            if kind < self._character.parked:
                large = rng.random() < 0.07 and along + 8.0 < end - 3.0
                if large:
                    model = draw_truck(rng) if rng.random() < 0.7 else draw_bus(rng)
                    along += 3.0
                else:
                    model = draw_car(rng)
                turn = (0.0 if sign > 0 else np.pi) + float(rng.normal(0, 0.02))
                shift = float(rng.normal(0, 0.08))
                placed.append(self._placer.place(model, lateral + shift, along, 0.0, turn))
                along += 4.0 if large else 0.0
            elif kind < self._character.parked + 0.03:
                for offset in (-1.2, 0.0, 1.2):
                    model = motorcycle(draw_paint(rng), None)
                    place = along + offset
                    placed.append(self._placer.place(model, lateral, place, 0.0, sign * 1.4))
            along += 6.0

    def _corner(
        self, rng: np.random.Generator, sign: int, start: float, placed: list[PlacedModel]
    ) -> None:
        """Put traffic lights at a crossing, and a wall of houses along the street that crosses."""
        lateral = sign * (self._layout.kerb(sign) + 0.6)
        state = int(
            generator(self._seed, 107, round(start)).choice([0, 1, 2], p=[0.25, 0.1, 0.65])
        )
        mast = bool(rng.random() < 0.4)
        for along in (start - 0.8, start + CROSSING_LENGTH - 0.5):
            light = traffic_light(state, -sign, mast)
            placed.append(self._placer.place(light, lateral, along, KERB_HEIGHT))
        sign_post = draw_sign_post(rng)
        placed.append(
            self._placer.place(sign_post, lateral + sign * 0.9, start - 4.0, KERB_HEIGHT)
        )
