"""Textures of walls and fences."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.materials import Material
from tdnet_offline.street.randomness import smooth_noise
from tdnet_offline.street.texture import Texture, opaque_texture

_SIZE = (56, 128)


def draw_wall(rng: np.random.Generator) -> Texture:
    """Draw 4 metres of a garden wall: bricks, blocks or smooth concrete under a coping."""
    kind = int(rng.integers(3))
    base = np.array([(164, 96, 74), (152, 146, 136), (176, 174, 168)][kind], np.float32)
    noise = 8.0 * smooth_noise(rng, _SIZE, 32) + 4.0 * rng.standard_normal(_SIZE)
    pixels = base + rng.normal(0, 8) + noise[..., None]
    height, length = ((5, 14), (12, 22), (57, 64))[kind]
    for index, row in enumerate(range(0, _SIZE[0], height)):
        pixels[row] *= 0.78
        for column in range((index % 2) * length // 2, _SIZE[1], length):
            pixels[row : row + height, column] *= 0.8
            pixels[row : row + height, column : column + length] *= rng.uniform(0.92, 1.06)
    pixels[:5] = base * 1.12
    pixels[5] *= 0.6
    pixels[-6:] *= 0.82
    return opaque_texture(pixels, Material.WALL)


def draw_fence(rng: np.random.Generator) -> Texture:
    """Draw 4 metres of a fence: wooden boards or iron bars before a dark background."""
    wooden = rng.random() < 0.6
    woods = [(150, 110, 74), (196, 190, 178), (112, 84, 62)]
    wood = np.array(woods[int(rng.integers(3))], np.float32)
    iron = np.array([(52, 66, 58), (58, 60, 66), (40, 44, 50)][int(rng.integers(3))], np.float32)
    pixels = np.empty((*_SIZE, 3), np.float32)
    pixels[:] = wood * 0.4 if wooden else iron * 0.3 + np.array([66, 70, 58])
    step, width = (8, 6) if wooden else (6, 2)
    for column in range(0, _SIZE[1], step):
        tone = float(rng.uniform(0.88, 1.1)) if wooden else 1.0
        pixels[2:, column : column + width] = (wood if wooden else iron) * tone
        pixels[2:, column : column + 1] *= 0.8
    for row in (8, 42):
        pixels[row : row + 4] = (wood * 0.86) if wooden else iron * 0.9
    pixels[:, :5] = (wood * 0.8) if wooden else iron * 0.8
    pixels += 3.0 * rng.standard_normal((*_SIZE, 1))
    return opaque_texture(pixels, Material.FENCE)
