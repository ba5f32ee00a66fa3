"""Materials of painted surfaces, and their Cityscapes train ids."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from tdnet.class_map.classes import UNLABELLED


class Material(IntEnum):
    """Kinds of surface; the canvas stores the value beside the colour."""

    NOTHING = 0
    ROAD = 1
    MARKING = 2
    SIDEWALK = 3
    KERB = 4
    TERRAIN = 5
    BUILDING = 6
    WALL = 7
    FENCE = 8
    POLE = 9
    TRAFFIC_LIGHT = 10
    TRAFFIC_SIGN = 11
    VEGETATION = 12
    SKY = 13
    PERSON = 14
    RIDER = 15
    CAR = 16
    TRUCK = 17
    BUS = 18
    TRAIN = 19
    MOTORCYCLE = 20
    BICYCLE = 21
    STREET_FURNITURE = 22


_TRAIN_IDS = {
    Material.ROAD: 0,
    Material.MARKING: 0,
    Material.SIDEWALK: 1,
    Material.KERB: 1,
    Material.BUILDING: 2,
    Material.WALL: 3,
    Material.FENCE: 4,
    Material.POLE: 5,
    Material.TRAFFIC_LIGHT: 6,
    Material.TRAFFIC_SIGN: 7,
    Material.VEGETATION: 8,
    Material.TERRAIN: 9,
    Material.SKY: 10,
    Material.PERSON: 11,
    Material.RIDER: 12,
    Material.CAR: 13,
    Material.TRUCK: 14,
    Material.BUS: 15,
    Material.TRAIN: 16,
    Material.MOTORCYCLE: 17,
    Material.BICYCLE: 18,
}

# Materials that lie flat on the ground, with its grain, shadows and haze.
_GROUND = {
    Material.ROAD: 255,
    Material.MARKING: 255,
    Material.SIDEWALK: 255,
    Material.KERB: 255,
    Material.TERRAIN: 255,
}


def _table(values: dict[Material, int], default: int) -> np.ndarray:
    table = np.full(256, default, np.uint8)
    for material, value in values.items():
        table[material] = value
    return table


TRAIN_ID_OF_MATERIAL = _table(_TRAIN_IDS, UNLABELLED)
"""(256,) uint8: material to Cityscapes train id, 255 for none."""

GROUND_OF_MATERIAL = _table(_GROUND, 0)
"""(256,) uint8: 255 for materials that lie flat on the ground, else 0."""
