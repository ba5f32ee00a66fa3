"""The textures of one drive, drawn once from its seed."""

from __future__ import annotations

from dataclasses import dataclass

from tdnet_offline.street.barriers import draw_fence, draw_wall
from tdnet_offline.street.facades import Facade, draw_facade
from tdnet_offline.street.foliage import draw_bush, draw_conifer, draw_crown, draw_hedge
from tdnet_offline.street.randomness import generator
from tdnet_offline.street.texture import Texture


@dataclass(frozen=True)
class Catalogue:
    """What a street's builders can choose from."""

    facades: tuple[Facade, ...]
    crowns: tuple[Texture, ...]
    conifer: Texture
    bushes: tuple[Texture, ...]
    hedge: Texture
    walls: tuple[Texture, ...]
    fences: tuple[Texture, ...]


def draw_catalogue(seed: int) -> Catalogue:
    """Draw all textures of a drive."""
    autumn = bool(generator(seed, 53).random() < 0.2)
    return Catalogue(
        facades=tuple(draw_facade(generator(seed, 59, index)) for index in range(7)),
        crowns=tuple(draw_crown(generator(seed, 61, index), autumn) for index in range(4)),
        conifer=draw_conifer(generator(seed, 67)),
        bushes=tuple(draw_bush(generator(seed, 71, index), autumn) for index in range(2)),
        hedge=draw_hedge(generator(seed, 73), autumn),
        walls=tuple(draw_wall(generator(seed, 79, index)) for index in range(2)),
        fences=tuple(draw_fence(generator(seed, 83, index)) for index in range(2)),
    )
