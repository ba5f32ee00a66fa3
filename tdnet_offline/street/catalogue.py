"""The textures of one drive, drawn once from its seed: plants, walls, fences, and facades."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tdnet_offline.street.facades import Facade, draw_facade
from tdnet_offline.street.materials import Material
from tdnet_offline.street.randomness import generator, smooth_noise
from tdnet_offline.street.texture import Texture, cutout_texture, opaque_texture

_GREENS = ((74, 104, 44), (88, 112, 52), (58, 90, 48), (104, 118, 54), (66, 96, 66))
_AUTUMN = ((164, 112, 44), (150, 84, 40), (142, 124, 50))
_BARRIER_SIZE = (56, 128)


@dataclass(frozen=True)
class Catalogue:
    """Textures that the models of a street choose from."""

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


def leaf_colour(rng: np.random.Generator, autumn: bool) -> np.ndarray:
    """Return RGB of the leaves of one kind of plant."""
    choices = _AUTUMN if autumn and rng.random() < 0.6 else _GREENS
    return np.array(choices[int(rng.integers(len(choices)))], np.float64) + rng.normal(0, 6, 3)


def _tufts(
    pixels: np.ndarray,
    rng: np.random.Generator,
    centres: np.ndarray,
    radius: float,
    colour: np.ndarray,
) -> None:
    """Paint tufts of leaves, darker ones below and lighter ones on top."""
    height = pixels.shape[0]
    order = np.argsort(-centres[:, 1] + rng.normal(0, radius * 1.5, len(centres)), kind="stable")
    for x, y in centres[order].tolist():
        light = 0.62 + 0.55 * (1 - y / height) + float(rng.normal(0, 0.1))
        for _ in range(5):
            offset = rng.normal(0, radius * 0.55, 2)
            paint = np.clip(colour * light * float(rng.uniform(0.8, 1.22)), 0, 255)
            at = (round(x + offset[0]), round(y + offset[1] - radius * 0.2))
            size = max(1, round(radius * float(rng.uniform(0.25, 0.6))))
            cv2.circle(pixels, at, size, (*paint.tolist(), float(Material.VEGETATION)), -1)


def _cluster(
    rng: np.random.Generator, size: int, lobes: list[tuple[float, float, float, float]], count: int
) -> np.ndarray:
    """Return (N, 2) points spread over ellipses (x, y, radius x, radius y), all in 0 to 1."""
    points = []
    area = np.array([lobe[2] * lobe[3] for lobe in lobes])
    for lobe, share in zip(lobes, area / area.sum(), strict=True):
        number = max(4, round(count * float(share)))
        turn, out = rng.uniform(0, 2 * np.pi, number), np.sqrt(rng.random(number))
        x = lobe[0] + lobe[2] * out * np.cos(turn)
        points.append(np.stack([x, lobe[1] + lobe[3] * out * np.sin(turn)], axis=1))
    return np.concatenate(points) * size


def draw_crown(rng: np.random.Generator, autumn: bool) -> Texture:
    """Draw the crown of a broad-leaved tree."""
    size = 224
    pixels = np.zeros((size, size, 4), np.uint8)
    lobes = [(0.5, 0.5, 0.3, 0.33)]
    for _ in range(int(rng.integers(4, 8))):
        turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.18, 0.3)
        radius = float(rng.uniform(0.1, 0.19))
        x = 0.5 + out * np.cos(turn)
        lobes.append((x, 0.48 + 0.9 * out * np.sin(turn), radius, radius * 0.85))
    points = np.clip(_cluster(rng, size, lobes, int(rng.integers(340, 560))), 8, size - 9)
    _tufts(pixels, rng, points, size * 0.036, leaf_colour(rng, autumn))
    return cutout_texture(pixels)


def draw_conifer(rng: np.random.Generator) -> Texture:
    """Draw a pointed tree with branches in layers."""
    size = 224
    pixels = np.zeros((size, size, 4), np.uint8)
    lobes = []
    for level in np.linspace(0.08, 0.92, 11):
        lobes.append((0.5, float(level), 0.04 + 0.34 * float(level), 0.045))
    points = np.clip(_cluster(rng, size, lobes, 300), 6, size - 7)
    _tufts(pixels, rng, points, size * 0.03, np.array([52, 80, 52]) + rng.normal(0, 6, 3))
    return cutout_texture(pixels)


def draw_bush(rng: np.random.Generator, autumn: bool) -> Texture:
    """Draw a bush that is wider than high."""
    size = 128
    pixels = np.zeros((size, size, 4), np.uint8)
    lobes = [(float(rng.uniform(0.25, 0.75)), 0.6, 0.22, 0.3) for _ in range(4)]
    lobes.append((0.5, 0.8, 0.4, 0.18))
    points = np.clip(_cluster(rng, size, lobes, 150), 5, size - 6)
    _tufts(pixels, rng, points, size * 0.06, leaf_colour(rng, autumn))
    return cutout_texture(pixels)


def draw_hedge(rng: np.random.Generator, autumn: bool) -> Texture:
    """Draw the flank of a trimmed hedge; it repeats along the street."""
    height, width = 48, 192
    pixels = np.zeros((height, width, 4), np.uint8)
    colour = leaf_colour(rng, autumn)
    pixels[..., :3] = colour * 0.6
    points = rng.uniform((0, 0), (width, height), (420, 2))
    _tufts(pixels, rng, points, 5.0, colour * 0.95)
    return opaque_texture(pixels[..., :3].astype(np.float32), Material.VEGETATION)


def draw_wall(rng: np.random.Generator) -> Texture:
    """Draw 4 metres of a garden wall: bricks, blocks or smooth concrete under a coping."""
    kind = int(rng.integers(3))
    base = np.array([(164, 96, 74), (152, 146, 136), (176, 174, 168)][kind], np.float32)
    noise = 8.0 * smooth_noise(rng, _BARRIER_SIZE, 32) + 4.0 * rng.standard_normal(_BARRIER_SIZE)
    pixels = base + rng.normal(0, 8) + noise[..., None]
    height, length = ((5, 14), (12, 22), (57, 64))[kind]
    for index, row in enumerate(range(0, _BARRIER_SIZE[0], height)):
        pixels[row] *= 0.78
        for column in range((index % 2) * length // 2, _BARRIER_SIZE[1], length):
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
    pixels = np.empty((*_BARRIER_SIZE, 3), np.float32)
    pixels[:] = wood * 0.4 if wooden else iron * 0.3 + np.array([66, 70, 58])
    step, width = (8, 6) if wooden else (6, 2)
    for column in range(0, _BARRIER_SIZE[1], step):
        tone = float(rng.uniform(0.88, 1.1)) if wooden else 1.0
        pixels[2:, column : column + width] = (wood if wooden else iron) * tone
        pixels[2:, column : column + 1] *= 0.8
    for row in (8, 42):
        pixels[row : row + 4] = (wood * 0.86) if wooden else iron * 0.9
    pixels[:, :5] = (wood * 0.8) if wooden else iron * 0.8
    pixels += 3.0 * rng.standard_normal((*_BARRIER_SIZE, 1))
    return opaque_texture(pixels, Material.FENCE)
