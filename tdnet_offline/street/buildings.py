"""Buildings with their facades, and walls, fences and hedges, that follow the street's bends."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from tdnet_offline.street.materials import Material, Texture, opaque_texture
from tdnet_offline.street.model import Colour, Model, ModelBuilder, palette, scaled
from tdnet_offline.street.randomness import pick, smooth_noise

_PIXELS = 26
"""Texture pixels per metre."""
_WALLS = palette(
    "cebc9e ded4c0 bc9e84 ac6c54 965c4c c4b08a a8aaac d6c4ac b2beba ca9878 8c8076 e2ded6"
)
_ACCENTS = palette("602828 28443c 2c3a5c 544638 78746e 3c3c40")
_ROOFS = palette("844434 5c5452 6e483a 4a4c54")
_CHIMNEY = palette("865444")[0]


@dataclass(frozen=True)
class Facade:
    """A kind of building: its front and its side wall.

    Attributes:
        width: metres of street that the front's texture covers.
        height: metres.
    """

    front: Texture
    side: Texture
    width: float
    height: float
    wall: Colour
    storeys: int


class _Wall:
    """A wall that is being painted; measures in metres, from the top left corner."""

    def __init__(
        self, rng: np.random.Generator, width: float, height: float, colour: np.ndarray
    ) -> None:
        self.rng, self.width, self.height, self.colour = rng, width, height, colour
        self.size = (round(height * _PIXELS), round(width * _PIXELS))
        grain = 3.5 * rng.standard_normal(self.size, dtype=np.float32)
        stains = 7.0 * smooth_noise(rng, self.size, 96, octaves=4)
        grime = np.linspace(4.0, -9.0, self.size[0], dtype=np.float32)[:, None]
        self.pixels = (colour + (grain + stains + grime)[..., None]).astype(np.float32)

    def rectangle(self, x: float, y: float, w: float, h: float, colour: np.ndarray) -> None:
        x0, y0 = round(x * _PIXELS), round(y * _PIXELS)
        x1, y1 = max(round((x + w) * _PIXELS), x0 + 1), max(round((y + h) * _PIXELS), y0 + 1)
        self.pixels[max(y0, 0) : y1, max(x0, 0) : x1] = colour

    def ledge(self, y: float, high: float, low: float, tones: tuple[float, float]) -> None:
        """Paint a band over the whole width, and its shadow below, darker than the wall."""
        self.rectangle(0, y, self.width, high, self.colour * tones[0])
        self.rectangle(0, y + high, self.width, low, self.colour * tones[1])

    def bricks(self) -> None:
        row_height, length = 4, 12
        mortar = np.float32(0.88)
        self.pixels[::row_height] *= mortar
        for index, row in enumerate(range(0, self.size[0], row_height)):
            offset = (index % 2) * (length // 2)
            self.pixels[row : row + row_height, offset::length] *= mortar
            self.pixels[row : row + row_height] *= self.rng.uniform(0.95, 1.05)

    def glass(self, x: float, y: float, w: float, h: float) -> None:
        rows = max(round(h * _PIXELS), 2)
        shine = self.rng.uniform(0.5, 1.0)
        top = np.array([128, 152, 176]) * shine
        bottom = np.array([44, 52, 60]) * self.rng.uniform(0.8, 1.3)
        blend = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
        x0, y0 = max(round(x * _PIXELS), 0), max(round(y * _PIXELS), 0)
        target = self.pixels[y0 : y0 + rows, x0 : round((x + w) * _PIXELS)]
        target[:] = (top * (1 - blend) + bottom * blend)[: len(target)]
        if self.rng.random() < 0.3:
            curtain = np.array([214, 206, 190]) * self.rng.uniform(0.7, 1.0)
            self.rectangle(x, y, w * 0.28, h, curtain)
            self.rectangle(x + w * 0.72, y, w * 0.28, h, curtain)
        elif self.rng.random() < 0.15:
            blind = np.array([196, 192, 180])
            self.rectangle(x, y, w, h * self.rng.uniform(0.3, 0.9), blind)

    def window(self, x: float, y: float, w: float, h: float, frame: np.ndarray) -> None:
        self.rectangle(x - 0.1, y - 0.1, w + 0.2, h + 0.2, self.colour * 0.72)
        self.rectangle(x - 0.06, y - 0.06, w + 0.12, h + 0.12, frame)
        self.glass(x, y, w, h)
        self.rectangle(x + w / 2 - 0.03, y, 0.06, h, frame)
        self.rectangle(x, y + h * 0.3, w, 0.05, frame)
        self.rectangle(x - 0.16, y + h + 0.04, w + 0.32, 0.1, self.colour * 1.12)
        self.rectangle(x - 0.16, y + h + 0.14, w + 0.32, 0.07, self.colour * 0.66)

    def texture(self, material: Material) -> Texture:
        return opaque_texture(cv2.GaussianBlur(self.pixels, (3, 3), 0.5), material)


def _upper_storeys(
    wall: _Wall, storeys: int, storey: float, bays: int, bay: float, accent: np.ndarray
) -> None:
    rng = wall.rng
    frame = np.array([232, 230, 224]) if rng.random() < 0.65 else accent * 0.9
    width = rng.uniform(0.42, 0.56) * bay
    height = rng.uniform(0.5, 0.62) * storey
    shutters, balconies = rng.random() < 0.25, rng.random() < 0.3
    bands = rng.random() < 0.5
    for level in range(storeys - 1):
        top = wall.height - (level + 2) * storey
        if bands:
            wall.ledge(top + storey - 0.12, 0.16, 0.07, (1.1, 0.7))
        for column in range(bays):
            x = column * bay + (bay - width) / 2
            y = top + 0.2 * storey
            wall.window(x, y, width, height, frame)
            if shutters:
                for left in (x - 0.42, x + width + 0.1):
                    wall.rectangle(left, y - 0.05, 0.32, height + 0.1, accent)
            elif balconies and column % 2 == 1:
                wall.rectangle(x - 0.4, y + height * 0.55, width + 0.8, 0.06, accent * 0.6)
                for bar in np.arange(x - 0.4, x + width + 0.4, 0.17).tolist():
                    wall.rectangle(bar, y + height * 0.55, 0.05, height * 0.5, accent * 0.6)
                wall.rectangle(x - 0.5, y + height * 1.04, width + 1.0, 0.14, wall.colour * 0.6)


def _ground_storey(wall: _Wall, storey: float, bays: int, bay: float, accent: np.ndarray) -> None:
    rng = wall.rng
    top = wall.height - storey
    shop = rng.random() < 0.45
    if shop:
        wall.rectangle(0, top, wall.width, storey, accent * rng.uniform(0.9, 1.5))
        for column in range(bays):
            wall.glass(column * bay + 0.18, top + 0.75, bay - 0.36, storey - 1.15)
        board = rng.uniform(50, 215, 3)
        wall.rectangle(0.1, top + 0.12, wall.width - 0.2, 0.5, board)
        for letter in np.arange(0.8, wall.width - 1.0, 0.28).tolist():
            wall.rectangle(letter, top + 0.25, 0.16, 0.24, 255 - board)
    else:
        wall.rectangle(0, wall.height - 0.55, wall.width, 0.55, wall.colour * 0.68)
        door = int(rng.integers(bays))
        for column in range(bays):
            x = column * bay
            if column == door:
                wall.rectangle(x + bay / 2 - 0.62, top + 0.55, 1.24, storey, wall.colour * 0.7)
                wall.rectangle(x + bay / 2 - 0.5, top + 0.7, 1.0, storey, accent)
                wall.glass(x + bay / 2 - 0.36, top + 0.8, 0.72, 0.7)
            else:
                wall.window(x + bay * 0.27, top + 0.75, bay * 0.46, storey * 0.46, accent)
    wall.ledge(top - 0.1, 0.12, 0.07, (1.12, 0.6))


def draw_facade(rng: np.random.Generator) -> Facade:
    """Draw one kind of building from a generator."""
    colour = pick(rng, _WALLS) + rng.normal(0, 7, 3)
    accent = pick(rng, _ACCENTS) + rng.normal(0, 8, 3)
    storeys = int(rng.choice([2, 3, 4, 5, 6], p=[0.28, 0.27, 0.22, 0.15, 0.08]))
    storey, bay = rng.uniform(2.9, 3.4), rng.uniform(2.3, 3.2)
    bays = int(rng.integers(3, 5))
    wall = _Wall(rng, bays * bay, storeys * storey, colour)
    if colour[0] - colour[2] > 60 or rng.random() < 0.15:
        wall.bricks()
    if storeys > 3 and rng.random() < 0.3:
        for level, column in product(range(storeys), range(bays)):
            top = wall.height - (level + 1) * storey
            wall.glass(column * bay + 0.08, top + 0.5, bay - 0.16, storey - 0.6)
    else:
        _upper_storeys(wall, storeys, storey, bays, bay, accent)
        _ground_storey(wall, storey, bays, bay, accent)
    wall.ledge(0.0, 0.3, 0.1, (1.1, 0.6))

    side = _Wall(rng, 8.0, storeys * storey, colour * 0.97)
    if rng.random() < 0.5:
        for level in range(storeys):
            side.window(3.4, level * storey + 0.8, 1.0, 1.2, np.array([226, 224, 218]))
    r, g, b = colour.tolist()
    return Facade(
        front=wall.texture(Material.BUILDING),
        side=side.texture(Material.BUILDING),
        width=wall.width,
        height=wall.height,
        wall=(r, g, b),
        storeys=storeys,
    )


def _add_front(
    build: ModelBuilder, sign: int, length: float, height: float, step: float, texture: Texture
) -> None:
    """Add a row of panels at x = 0 along +y that face the street, each about ``step`` long."""
    count = max(1, round(length / step))
    part = length / count
    for index in range(count):
        start, end = index * part, (index + 1) * part
        # Seen from the street, a left-hand row runs from near left to far right.
        first, last = (start, end) if sign < 0 else (end, start)
        build.panel((0.0, first, height), (0.0, last - first, 0.0), (0.0, 0.0, -height), texture)


def _add_end_wall(
    build: ModelBuilder, sign: int, depth: float, height: float, texture: Texture
) -> None:
    """Add the end wall that faces the oncoming camera."""
    left, right = (0.0, depth) if sign > 0 else (-depth, 0.0)
    build.panel((left, 0.0, height), (right - left, 0.0, 0.0), (0.0, 0.0, -height), texture)


def building(rng: np.random.Generator, facade: Facade, sign: int, length: float) -> Model:
    """Return a building from y = 0 to ``length``, its front at x = 0, its depth outwards."""
    build = ModelBuilder(Material.BUILDING)
    depth, height = rng.uniform(9.0, 13.0), facade.height
    gable = facade.storeys <= 3 and rng.random() < 0.75
    roof = pick(rng, _ROOFS)
    if gable:
        # Roof planes first: the walls are painted over their lower edge.
        outer, rise = sign * depth, rng.uniform(2.2, 3.4)
        ridge = height + rise
        count = max(1, round(length / 10.0))
        for index in range(count):
            y0, y1 = index * length / count - 0.2, (index + 1) * length / count + 0.2
            (x, z), (x1, z1) = (-sign * 0.35, height - 0.25), (outer / 2, ridge)
            slope = [(x, y0, z), (x, y1, z), (x1, y1, z1), (x1, y0, z1)]
            build.polygon(slope[::-sign], roof)
        if rng.random() < 0.7:
            y, x = length * rng.uniform(0.2, 0.8), outer * 0.4
            base = (x - 0.35, y - 0.4, height + rise * 0.5)
            build.box(base, (x + 0.35, y + 0.4, height + rise + 0.9), _CHIMNEY)
        tip = [(0.0, 0.0, height), (outer, 0.0, height), (outer / 2, 0.0, ridge)]
        build.polygon(tip[::sign], scaled(facade.wall, 0.95))
    _add_end_wall(build, sign, depth, height, facade.side)
    _add_front(build, sign, length, height, facade.width, facade.front)
    if not gable:
        low, high = height, height + 0.25
        lip = [(0.0, 0.0, low), (0.0, length, low), (0.0, length, high), (0.0, 0.0, high)]
        build.polygon(lip[::sign], scaled(facade.wall, 0.7), two_sided=True)
    x0, x1 = (0.0, depth) if sign > 0 else (-depth, 0.0)
    return build.build((x0, x1, 0.0, length), height)


def barrier(texture: Texture, sign: int, length: float, height: float, thick: float) -> Model:
    """Return a wall, fence or hedge from y = 0 to ``length``, facing the street at x = 0."""
    build = ModelBuilder(Material.WALL)
    if thick > 0.0:
        _add_end_wall(build, sign, thick, height, texture)
    _add_front(build, sign, length, height, 4.0, texture)
    x0, x1 = (0.0, max(thick, 0.1)) if sign > 0 else (-max(thick, 0.1), 0.0)
    return build.build((x0, x1, 0.0, length), height)
