"""Materials of painted surfaces, and their Cityscapes train ids."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from tdnet.class_map.classes import UNLABELLED


class Material(IntEnum):
    """Kinds of surface, each with a Cityscapes train id; the canvas stores the value.

    Attributes:
        train_id: 255 for none.
    """

    train_id: int

    def __new__(cls, value: int, train_id: int = UNLABELLED) -> Material:
        """Create a member from its value and train id."""
        member = int.__new__(cls, value)
        member._value_, member.train_id = value, train_id
        return member

    NOTHING = 0
    ROAD = 1, 0
    MARKING = 2, 0
    SIDEWALK = 3, 1
    KERB = 4, 1
    TERRAIN = 5, 9
    BUILDING = 6, 2
    WALL = 7, 3
    FENCE = 8, 4
    POLE = 9, 5
    TRAFFIC_LIGHT = 10, 6
    TRAFFIC_SIGN = 11, 7
    VEGETATION = 12, 8
    SKY = 13, 10
    PERSON = 14, 11
    RIDER = 15, 12
    CAR = 16, 13
    TRUCK = 17, 14
    BUS = 18, 15
    TRAIN = 19, 16
    MOTORCYCLE = 20, 17
    BICYCLE = 21, 18
    STREET_FURNITURE = 22


TRAIN_ID_OF_MATERIAL = np.full(256, UNLABELLED, np.uint8)
"""(256,) uint8: material to Cityscapes train id, 255 for none."""
TRAIN_ID_OF_MATERIAL[list(Material)] = [material.train_id for material in Material]

GROUND_OF_MATERIAL = np.zeros(256, np.uint8)
"""(256,) uint8: 255 for materials that lie flat on the ground, else 0."""
GROUND_OF_MATERIAL[Material.ROAD : Material.TERRAIN + 1] = 255
