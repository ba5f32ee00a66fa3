"""Boundary counts against a slow reference that looks at every pair of pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tdnet import ClassMap
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.boundary import boundary_counts, tolerance
from tdnet_offline.evaluation.confusion import ClassAxis

CLASSES = 4
IGNORED = 255


def reference(truth: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """The definition, pixel by pixel, in plain Python."""
    height, width = truth.shape
    reach = max(1, round(0.0075 * math.sqrt(height**2 + width**2)))

    def boundary(picture: np.ndarray) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        for row in range(height):
            for column in range(width):
                if truth[row, column] == IGNORED:
                    continue
                around = [
                    (row - 1, column),
                    (row + 1, column),
                    (row, column - 1),
                    (row, column + 1),
                ]
                if any(
                    0 <= r < height
                    and 0 <= c < width
                    and truth[r, c] != IGNORED
                    and picture[r, c] != picture[row, column]
                    for r, c in around
                ):
                    found.setdefault(int(picture[row, column]), []).append((row, column))
        return found

    def near(pixels: list[tuple[int, int]], others: list[tuple[int, int]]) -> int:
        return sum(
            any((r - s) ** 2 + (c - d) ** 2 <= reach**2 for s, d in others) for r, c in pixels
        )

    true, given = boundary(truth), boundary(labels)
    rows = []
    for entry in range(CLASSES):
        t, g = true.get(entry, []), given.get(entry, [])
        rows.append([len(g), near(g, t), len(t), near(t, g)])
    return rows


def shapes(seed: int, size: tuple[int, int]) -> np.ndarray:
    draw = np.random.default_rng(seed)
    picture = np.zeros(size, np.uint8)
    for _ in range(5):
        top, left = draw.integers(size[0]), draw.integers(size[1])
        height, width = draw.integers(4, 25, 2)
        picture[top : top + height, left : left + width] = draw.integers(CLASSES)
    return picture


@pytest.mark.parametrize("size", [(40, 60), (300, 420), (33, 65)], ids=str)
def test_counts_are_those_of_the_reference(size: tuple[int, int]) -> None:
    axis = ClassAxis(ClassMap.numbered(CLASSES))
    seen = np.zeros((CLASSES, 4), int)
    for seed in range(3):
        truth = shapes(seed, size)
        # The labels are the truth, moved by some pixels, with a thing that is not there.
        labels = np.roll(truth, (2 * seed, 3), axis=(0, 1))
        labels[5:9, 5:9] = 3
        truth[:, -6:] = IGNORED
        counts = boundary_counts(truth, labels, axis)
        assert counts.tolist() == reference(truth, labels)
        seen += counts
    # Every kind of pixel was there: given and true, near and far.
    given, near_true, true, near_given = seen.sum(axis=0)
    assert 0 < near_true < given
    assert 0 < near_given < true


def test_tolerance_is_a_share_of_the_diagonal() -> None:
    assert tolerance((1024, 2048)) == 17
    assert tolerance((360, 640)) == 6
    assert tolerance((33, 65)) == 1


def test_a_border_beyond_the_tolerance_is_missed() -> None:
    axis = ClassAxis(ClassMap.numbered(2))
    scores = []
    for shift in (0, 3, 5):  # the tolerance of 400 x 400 is 4
        truth = np.zeros((400, 400), np.uint8)
        labels = truth.copy()
        truth[:, 200:], labels[:, 200 + shift :] = 1, 1
        scores.append(metrics.mean_boundary_f(boundary_counts(truth, labels, axis)))
    assert scores == [1.0, 1.0, 0.0]


def test_pictures_without_boundaries_count_nothing() -> None:
    flat = np.zeros((20, 20), np.uint8)
    assert not boundary_counts(flat, flat, ClassAxis(ClassMap.numbered(2))).any()
    ignored = np.full((20, 20), IGNORED, np.uint8)
    mixed = np.arange(400, dtype=np.uint8).reshape(20, 20) % 2
    assert not boundary_counts(ignored, mixed, ClassAxis(ClassMap.numbered(2))).any()
