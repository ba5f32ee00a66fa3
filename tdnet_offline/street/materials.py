"""Materials of painted surfaces with their Cityscapes train ids, and their textures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
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


@dataclass(frozen=True)
class Texture:
    """A picture of a surface at several resolutions.

    Attributes:
        levels: (h, w, 4) uint8 RGB and material, each half the size of the one before.
        cutout: whether pixels of material ``NOTHING`` are transparent.
    """

    levels: tuple[np.ndarray, ...]
    cutout: bool


def opaque_texture(colour: np.ndarray, material: Material) -> Texture:
    """Return a texture of one material from (h, w, 3) colours, 0 to 255."""
    height, width = colour.shape[:2]
    pixels = np.full((height, width, 4), material, np.uint8)
    pixels[..., :3] = np.clip(colour, 0, 255)
    levels = [pixels]
    while min(levels[-1].shape[:2]) >= 8:
        rows, columns = levels[-1].shape[:2]
        half = (columns // 2, rows // 2)
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    return Texture(tuple(levels), cutout=False)


def cutout_texture(pixels: np.ndarray) -> Texture:
    """Return a texture with holes from (h, w, 4) uint8 RGB and material, 0 where it is open.

    A pixel of a smaller copy is open if at least half of the pixels that it covers are open.
    """
    levels = [pixels]
    while min(levels[-1].shape[:2]) >= 16:
        fine = levels[-1]
        size = (fine.shape[1] // 2, fine.shape[0] // 2)
        solid = (fine[..., 3] > 0).astype(np.float32)
        share = cv2.resize(solid, size, interpolation=cv2.INTER_AREA)
        colour = fine[..., :3].astype(np.float32) * solid[..., None]
        mean = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        coarse = np.zeros((size[1], size[0], 4), np.uint8)
        coarse[..., :3] = mean / np.maximum(share, 1e-3)[..., None]
        covered = fine[: 2 * size[1], : 2 * size[0], 3]
        material = covered.reshape(size[1], 2, size[0], 2).max(axis=(1, 3))
        coarse[..., 3] = np.where(share > 0.5, material, 0)
        coarse[coarse[..., 3] == 0] = 0
        levels.append(coarse)
    return Texture(tuple(levels), cutout=True)
