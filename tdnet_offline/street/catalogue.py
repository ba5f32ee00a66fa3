"""The textures of one drive, drawn once from its seed: plants, walls, fences, and facades."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tdnet_offline.street.buildings import Facade, draw_facade
from tdnet_offline.street.materials import Material, Texture, cutout_texture, opaque_texture
from tdnet_offline.street.model import Colour, palette
from tdnet_offline.street.randomness import generator, pick, smooth_noise

_GREENS = palette("4a682c 587034 3a5a30 687636 426042")
_AUTUMN = palette("a4702c 965428 8e7c32")
_CONIFER = palette("345034")
_BRICKS = palette("a4604a 989288 b0aea8")
_WOODS = palette("966e4a c4beb2 70543e")
_IRONS = palette("34423a 3a3c42 282c32")
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
        crowns=tuple(_draw_crown(generator(seed, 61, index), autumn) for index in range(4)),
        conifer=_draw_conifer(generator(seed, 67)),
        bushes=tuple(_draw_bush(generator(seed, 71, index), autumn) for index in range(2)),
        hedge=_draw_hedge(generator(seed, 73), autumn),
        walls=tuple(_draw_wall(generator(seed, 79, index)) for index in range(2)),
        fences=tuple(_draw_fence(generator(seed, 83, index)) for index in range(2)),
    )


def _leaf_colour(
    rng: np.random.Generator, autumn: bool, greens: tuple[Colour, ...] = _GREENS
) -> np.ndarray:
    """Draw the RGB of the leaves of one kind of plant."""
    choices = _AUTUMN if autumn and rng.random() < 0.6 else greens
    return np.array(pick(rng, choices)) + rng.normal(0, 6, 3)


def _paint_tufts(
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
        light = 0.62 + 0.55 * (1 - y / height) + rng.normal(0, 0.1)
        for _ in range(5):
            offset = rng.normal(0, radius * 0.55, 2)
            paint = np.clip(colour * light * rng.uniform(0.8, 1.22), 0, 255)
            at = (round(x + offset[0]), round(y + offset[1] - radius * 0.2))
            size = max(1, round(radius * rng.uniform(0.25, 0.6)))
            cv2.circle(pixels, at, size, (*paint.tolist(), float(Material.VEGETATION)), -1)


def _draw_plant(
    rng: np.random.Generator,
    size: int,
    lobes: list[tuple[float, float, float, float]],
    count: int,
    margin: int,
    tuft: float,
    autumn: bool,
    greens: tuple[Colour, ...] = _GREENS,
) -> Texture:
    """Draw a plant of tufts spread over ellipses (x, y, radius x, radius y), all in 0 to 1."""
    points = []
    area = np.array([lobe[2] * lobe[3] for lobe in lobes])
    for lobe, share in zip(lobes, (area / area.sum()).tolist(), strict=True):
        number = max(4, round(count * share))
        turn, out = rng.uniform(0, 2 * np.pi, number), np.sqrt(rng.random(number))
        x = lobe[0] + lobe[2] * out * np.cos(turn)
        points.append(np.stack([x, lobe[1] + lobe[3] * out * np.sin(turn)], axis=1))
    centres = np.clip(np.concatenate(points) * size, margin, size - 1 - margin)
    pixels = np.zeros((size, size, 4), np.uint8)
    _paint_tufts(pixels, rng, centres, size * tuft, _leaf_colour(rng, autumn, greens))
    return cutout_texture(pixels)


def _draw_crown(rng: np.random.Generator, autumn: bool) -> Texture:
    """Draw the crown of a broad-leaved tree."""
    lobes = [(0.5, 0.5, 0.3, 0.33)]
    for _ in range(int(rng.integers(4, 8))):
        turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.18, 0.3)
        radius, x = rng.uniform(0.1, 0.19), 0.5 + out * np.cos(turn)
        lobes.append((x, 0.48 + 0.9 * out * np.sin(turn), radius, radius * 0.85))
    return _draw_plant(rng, 224, lobes, int(rng.integers(340, 560)), 8, 0.036, autumn)


def _draw_conifer(rng: np.random.Generator) -> Texture:
    """Draw a pointed tree with branches in layers."""
    levels = np.linspace(0.08, 0.92, 11).tolist()
    lobes = [(0.5, level, 0.04 + 0.34 * level, 0.045) for level in levels]
    return _draw_plant(rng, 224, lobes, 300, 6, 0.03, autumn=False, greens=_CONIFER)


def _draw_bush(rng: np.random.Generator, autumn: bool) -> Texture:
    """Draw a bush that is wider than high."""
    lobes = [(rng.uniform(0.25, 0.75), 0.6, 0.22, 0.3) for _ in range(4)]
    return _draw_plant(rng, 128, [*lobes, (0.5, 0.8, 0.4, 0.18)], 150, 5, 0.06, autumn)


def _draw_hedge(rng: np.random.Generator, autumn: bool) -> Texture:
    """Draw the flank of a trimmed hedge; it repeats along the street."""
    height, width = 48, 192
    pixels = np.zeros((height, width, 4), np.uint8)
    colour = _leaf_colour(rng, autumn)
    pixels[..., :3] = colour * 0.6
    points = rng.uniform((0, 0), (width, height), (420, 2))
    _paint_tufts(pixels, rng, points, 5.0, colour * 0.95)
    return opaque_texture(pixels[..., :3].astype(np.float32), Material.VEGETATION)


def _draw_wall(rng: np.random.Generator) -> Texture:
    """Draw 4 metres of a garden wall: bricks, blocks or smooth concrete under a coping."""
    kind = int(rng.integers(3))
    base = np.array(_BRICKS[kind], np.float32)
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


def _draw_fence(rng: np.random.Generator) -> Texture:
    """Draw 4 metres of a fence: wooden boards or iron bars before a dark background."""
    wooden = rng.random() < 0.6
    wood = np.array(pick(rng, _WOODS), np.float32)
    iron = np.array(pick(rng, _IRONS), np.float32)
    pixels = np.empty((*_BARRIER_SIZE, 3), np.float32)
    pixels[:] = wood * 0.4 if wooden else iron * 0.3 + np.array([66, 70, 58])
    step, width = (8, 6) if wooden else (6, 2)
    for column in range(0, _BARRIER_SIZE[1], step):
        tone = rng.uniform(0.88, 1.1) if wooden else 1.0
        pixels[2:, column : column + width] = (wood if wooden else iron) * tone
        pixels[2:, column : column + 1] *= 0.8
    for row in (8, 42):
        pixels[row : row + 4] = (wood * 0.86) if wooden else iron * 0.9
    pixels[:, :5] = (wood * 0.8) if wooden else iron * 0.8
    pixels += 3.0 * rng.standard_normal((*_BARRIER_SIZE, 1))
    return opaque_texture(pixels, Material.FENCE)
