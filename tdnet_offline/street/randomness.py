"""Random numbers that depend on the seed and on their purpose, not on the order of drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np

Choice = TypeVar("Choice")


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return a generator for one purpose: the same for the same seed and key, in any process."""
    # Zigzag: keys count blocks and lanes, which may be negative; a SeedSequence takes none.
    words = [2 * part if part >= 0 else -2 * part - 1 for part in (seed, *key)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """Draw one of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def smooth_noise(
    rng: np.random.Generator, size: tuple[int, int], cell: int, octaves: int = 4
) -> np.ndarray:
    """Return (H, W) float32 cloud-like noise of about zero mean and unit range.

    The noise repeats seamlessly in both directions when ``cell`` divides ``size``.
    """
    height, width = size
    total = np.zeros(size, np.float32)
    amplitude = 1.0
    for _ in range(octaves):
        rows, columns = max(1, height // cell), max(1, width // cell)
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        padded = np.pad(grid, 2, mode="wrap")
        step_y, step_x = height / rows, width / columns
        matrix = np.array(
            [[1 / step_x, 0, 1.5 + 0.5 / step_x], [0, 1 / step_y, 1.5 + 0.5 / step_y]], np.float32
        )
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        total += amplitude * cv2.warpAffine(padded, matrix, (width, height), flags=flags)
        amplitude *= 0.55
        cell = max(1, cell // 2)
    return total * 0.5
