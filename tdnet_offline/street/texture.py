"""Textures: painted pictures of facades, leaves, bricks, with their smaller copies."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tdnet_offline.street.materials import Material


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
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3] = np.clip(colour, 0, 255)
    pixels[..., 3] = material
    levels = [pixels]
    while min(levels[-1].shape[:2]) >= 8:
        rows, columns = levels[-1].shape[:2]
        levels.append(
            cv2.resize(levels[-1], (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
        )
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
        corners = [
            fine[y : 2 * size[1] : 2, x : 2 * size[0] : 2, 3] for y in (0, 1) for x in (0, 1)
        ]
        coarse[..., 3] = np.where(share > 0.5, np.max(corners, axis=0), 0)
        coarse[coarse[..., 3] == 0] = 0
        levels.append(coarse)
    return Texture(tuple(levels), cutout=True)
