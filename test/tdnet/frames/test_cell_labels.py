"""Labels of cells against comparing all classes in every pixel, with the same arithmetic."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tdnet.frames.cell_labels import cell_labels, has_cells

Floats = npt.NDArray[np.float32]
CHANNELS = np.arange(256, dtype=np.uint8)
FULL_HD = (1080, 1920)


Indices = npt.NDArray[np.intp]


def positions(features: int, pixels: int, align_corners: bool) -> tuple[Indices, Indices, Floats]:
    """Return the two logits that each pixel of an axis lies between, and the second's weight."""
    pixel = np.arange(pixels, dtype=np.float32)
    last = features - 1
    if align_corners:
        position = np.float32(last) / np.float32(pixels - 1) * pixel
        index = np.minimum(np.floor(position).astype(np.intp), last - 1)
    else:
        step = np.float32(features) / np.float32(pixels)
        position = np.maximum(step * (pixel + np.float32(0.5)) - np.float32(0.5), 0)
        index = np.minimum(np.floor(position).astype(np.intp), last)
    weight = np.minimum(position - index.astype(np.float32), np.float32(1))
    return index, np.minimum(index + 1, last), weight


def enlarged(logits: Floats, size: tuple[int, int], align_corners: bool = True) -> Floats:
    """Return the float32 scores (K, H, W) of all classes."""
    row, next_row, down = positions(logits.shape[1], size[0], align_corners)
    column, next_column, across = positions(logits.shape[2], size[1], align_corners)
    left, right = logits[:, :, column], logits[:, :, next_column]
    wide = left + (right - left) * across
    above, below = wide[:, row], wide[:, next_row]
    return above + (below - above) * down[:, None]


def ties(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.integers(-2, 3, shape).astype(np.float32)


def plateaus(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    steps = ties(random, (shape[0], -(-shape[1] // 3), -(-shape[2] // 3)))
    return steps.repeat(3, 1).repeat(3, 2)[:, : shape[1], : shape[2]]


def neighbouring_floats(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return scores that differ by a few units in the last place, less than rounding errors."""
    base = random.normal(0, 10, shape[1:]).astype(np.float32)
    return base + random.integers(-4, 5, shape).astype(np.float32) * np.spacing(base)


def offset(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return (1e4 + random.normal(0, 1e-2, shape)).astype(np.float32)


def half_precision(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.normal(0, 4, shape).astype(np.float16).astype(np.float32)


def noise(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.normal(0, 4, shape).astype(np.float32)


def one_far_above(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    logits = noise(random, shape)
    logits[shape[0] // 2, : shape[1] // 2] = 1e6
    return logits


KINDS = [
    ties,
    plateaus,
    neighbouring_floats,
    offset,
    half_precision,
    noise,
    one_far_above,
]


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    classes=st.integers(1, 30),
    features=st.tuples(st.integers(2, 9), st.integers(2, 17)),
    factor=st.tuples(st.floats(2, 12), st.floats(2, 12)),
    align_corners=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_comparing_all_classes(
    kind: Callable[[np.random.Generator, tuple[int, ...]], Floats],
    classes: int,
    features: tuple[int, int],
    factor: tuple[float, float],
    align_corners: bool,
    seed: int,
) -> None:
    logits = kind(np.random.default_rng(seed), (classes, *features))
    assert logits.dtype == np.float32
    height, width = (
        int(np.ceil(by * (side - align_corners))) + align_corners
        for by, side in zip(factor, features, strict=True)
    )
    assert has_cells(features, (height, width), align_corners)
    labels, confidence = cell_labels(
        logits, (height, width), CHANNELS, align_corners=align_corners
    )
    assert confidence is None
    scores = enlarged(logits, (height, width), align_corners)
    np.testing.assert_array_equal(labels, scores.argmax(0))


@pytest.mark.parametrize("size", [(480, 640), (721, 1283), FULL_HD], ids=str)
def test_camera_sizes(size: tuple[int, int]) -> None:
    """Smooth scores, as networks compute them, so that most cells have one candidate."""
    random = np.random.default_rng(5)
    coarse = torch.from_numpy(random.normal(0, 12, (1, 19, 6, 9)))
    smooth = torch.nn.functional.interpolate(coarse, (33, 65), mode="bicubic")
    logits = (smooth[0].numpy() + random.normal(0, 0.3, (19, 33, 65))).astype(np.float32)
    labels, _ = cell_labels(logits, size, CHANNELS)
    np.testing.assert_array_equal(labels, enlarged(logits, size).argmax(0))


@pytest.mark.parametrize("align_corners", [True, False])
def test_equals_pytorch_where_rounding_cannot_matter(align_corners: bool) -> None:
    logits = noise(np.random.default_rng(6), (19, 33, 65))
    labels, _ = cell_labels(logits, (480, 640), CHANNELS, align_corners=align_corners)
    scores = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], (480, 640), mode="bilinear", align_corners=align_corners
    )[0]
    best, channel = scores.topk(2, dim=0)
    clear = (best[0] - best[1] > 1e-4).numpy()
    assert clear.mean() > 0.999
    np.testing.assert_array_equal(labels[clear], channel[0].numpy()[clear])


@settings(max_examples=100, deadline=None)
# Scores that differ by more than an exponential reaches, within one cell.
@example(spread=12.0, classes=23, size=(10, 18), threshold=0.0, align_corners=False, seed=28)
@given(
    spread=st.sampled_from([0.0, 0.1, 1.0, 4.0, 12.0, 40.0]),
    classes=st.integers(1, 30),
    size=st.tuples(st.integers(10, 60), st.integers(18, 90)),
    threshold=st.sampled_from([0.0, 0.3, 0.9]),
    align_corners=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_confidence_is_within_a_quarter_of_a_step(
    spread: float,
    classes: int,
    size: tuple[int, int],
    threshold: float,
    align_corners: bool,
    seed: int,
) -> None:
    logits = np.random.default_rng(seed).normal(0, spread, (classes, 5, 9)).astype(np.float32)
    labels, confidence = cell_labels(
        logits,
        size,
        CHANNELS,
        align_corners=align_corners,
        confidence=True,
        threshold=threshold,
    )
    scores = torch.from_numpy(enlarged(logits, size, align_corners)).double()
    probability = scores.softmax(0).amax(0).numpy()
    assert confidence is not None
    above = confidence - 255 * probability
    assert above.min() >= -0.51
    assert above.max() <= 0.5 + 0.25 + 0.01
    channel = scores.argmax(0).numpy()
    confident = probability > threshold
    unsure = probability < threshold - 1 / 1020 - 1e-5
    np.testing.assert_array_equal(labels[confident], channel[confident])
    assert (labels[unsure] == 255).all()


def test_scores_further_apart_than_exponentials_reach() -> None:
    logits = np.zeros((3, 3, 4), np.float32)
    logits[0, :, :2] = logits[1, :, 2:] = 5000.0
    labels, confidence = cell_labels(logits, (41, 61), CHANNELS, confidence=True)
    np.testing.assert_array_equal(labels, enlarged(logits, (41, 61)).argmax(0))
    assert confidence is not None
    assert (confidence[:, [0, 20, 40, 60]] == 255).all()
    assert np.isin(confidence[:, 30], (127, 128)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_cells_with_a_corner_that_is_not_finite_are_unlabelled(value: float) -> None:
    logits = noise(np.random.default_rng(7), (19, 9, 17))
    expected = enlarged(logits, (65, 129)).argmax(0)
    logits[3, 4, 8] = value
    labels, confidence = cell_labels(logits, (65, 129), CHANNELS, confidence=True)
    assert confidence is not None
    unlabelled = np.zeros(labels.shape, np.bool_)
    unlabelled[24:40, 56:72] = True  # four cells of 8 x 8 pixels
    assert (labels[unlabelled] == 255).all()
    assert (confidence[unlabelled] == 0).all()
    np.testing.assert_array_equal(labels[~unlabelled], expected[~unlabelled])


@pytest.mark.parametrize(
    ("logits_size", "size", "expected"),
    [
        ((33, 65), FULL_HD, True),
        ((33, 65), (65, 129), True),
        ((33, 65), (64, 129), False),
        ((33, 65), (33, 65), False),
        ((97, 193), (48, 96), False),
        ((1, 65), FULL_HD, False),
    ],
)
def test_small_images_have_no_cells(
    logits_size: tuple[int, int], size: tuple[int, int], expected: bool
) -> None:
    assert has_cells(logits_size, size) is expected


@pytest.mark.parametrize("confidence", [False, True])
def test_memory_is_far_below_that_of_all_scores(confidence: bool) -> None:
    """Even if all classes compete everywhere."""
    logits = ties(np.random.default_rng(8), (19, 33, 65))
    cell_labels(logits, FULL_HD, CHANNELS, confidence=confidence)
    tracemalloc.start()
    try:
        cell_labels(logits, FULL_HD, CHANNELS, confidence=confidence)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (1 + confidence) * FULL_HD[0] * FULL_HD[1] + (8 << 20)
