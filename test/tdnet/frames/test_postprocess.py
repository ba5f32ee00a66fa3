"""Labels and confidence against the plain formulation: resize everything, softmax, argmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.postprocess import OutputOptions, Postprocessor

CPU = torch.device("cpu")
# Rounding to a step of the confidence, and the share of the classes that are left out.
STEP = 0.5 + 0.25 + 0.01
MERGED = """
name: merged
network: cityscapes
classes:
  - {id: 7, name: ground, color: [10, 20, 30], from: [road, sidewalk]}
  - {id: 3, name: car, color: [0, 0, 255], from: [car]}
rest: unlabelled
"""


def plain(
    logits: torch.Tensor, size: tuple[int, int], align_corners: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    large = torch.nn.functional.interpolate(
        logits, size, mode="bilinear", align_corners=align_corners
    )
    probability, channel = large.double().softmax(1).max(1)
    return channel[0].numpy(), probability[0].numpy()


@settings(max_examples=40, deadline=None)
@given(
    feature=st.tuples(st.integers(1, 9), st.integers(1, 17)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 90)),
    align_corners=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_plain_formulation(
    feature: tuple[int, int], size: tuple[int, int], align_corners: bool, seed: int
) -> None:
    logits = 3 * torch.randn(1, 19, *feature, generator=torch.Generator().manual_seed(seed))
    postprocessor = Postprocessor(ClassMap.load("cityscapes"), CPU, align_corners=align_corners)
    images = postprocessor(logits, size, confidence=True, threshold=0.0)
    channel, probability = plain(logits, size, align_corners)
    assert images.confidence is not None
    assert images.labels.shape == images.confidence.shape == size
    assert (images.labels.numpy() == channel).mean() > 0.998
    assert np.abs(images.confidence.numpy() - 255 * probability).max() <= STEP


def test_a_large_image_is_seamless() -> None:
    logits = torch.randn(1, 19, 33, 65, generator=torch.Generator().manual_seed(1))
    size = (720, 1280)
    images = Postprocessor(ClassMap.load("cityscapes"), CPU)(
        logits, size, confidence=False, threshold=0.0
    )
    assert images.confidence is None
    assert (images.labels.numpy() == plain(logits, size)[0]).mean() > 0.99999


def test_threshold_and_class_map() -> None:
    class_map = ClassMap.from_yaml(MERGED, "merged.yaml")
    logits = 2 * torch.randn(1, 19, 9, 17, generator=torch.Generator().manual_seed(2))
    size = (65, 129)
    images = Postprocessor(class_map, CPU)(logits, size, confidence=True, threshold=0.5)
    channel, probability = plain(logits, size)
    expected = np.full(size, 255)
    expected[(channel == 0) | (channel == 1)] = 7
    expected[channel == 13] = 3
    expected[probability < 0.5] = 255
    assert set(np.unique(expected)) == {3, 7, 255}
    assert (images.labels.numpy() == expected).mean() > 0.999


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_overflow_is_unlabelled_and_never_the_first_class(value: float) -> None:
    logits = torch.zeros(1, 19, 9, 17)
    logits[:, 4] = 5.0
    logits[:, :, 2:5, 3:6] = value
    images = Postprocessor(ClassMap.load("cityscapes"), CPU)(
        logits, (65, 129), confidence=True, threshold=0.0
    )
    assert images.confidence is not None
    assert set(np.unique(images.labels.numpy())) == {4, 255}
    assert images.labels[28, 32] == 255
    assert images.confidence[28, 32] == 0
    assert images.labels[60, 100] == 4


@pytest.mark.parametrize("classes", [1, 2, 255])
def test_any_number_of_classes(classes: int) -> None:
    logits = torch.randn(1, classes, 5, 6, generator=torch.Generator().manual_seed(3))
    images = Postprocessor(ClassMap.numbered(classes), CPU)(
        logits, (23, 31), confidence=True, threshold=0.0
    )
    channel, probability = plain(logits, (23, 31))
    assert (images.labels.numpy() == channel).mean() > 0.99
    assert images.confidence is not None
    assert np.abs(images.confidence.numpy() - 255 * probability).max() <= STEP


def test_of_equal_scores_the_first_class_is_taken() -> None:
    logits = torch.zeros(1, 19, 3, 4)
    logits[:, [4, 7, 18]] = 2.5
    images = Postprocessor(ClassMap.load("cityscapes"), CPU)(
        logits, (20, 30), confidence=False, threshold=0.0
    )
    assert np.unique(images.labels.numpy()).tolist() == [4]


def test_scores_far_apart() -> None:
    logits = torch.full((1, 19, 3, 4), -1000.0)
    logits[:, 5] = -7.0
    images = Postprocessor(ClassMap.load("cityscapes"), CPU)(
        logits, (20, 30), confidence=True, threshold=0.5
    )
    assert images.confidence is not None
    assert np.unique(images.labels.numpy()).tolist() == [5]
    assert np.unique(images.confidence.numpy()).tolist() == [255]


@pytest.mark.parametrize(
    "options",
    [
        {"size": "screen"},
        {"size": (0, 10)},
        {"size": (10, 100000)},
        {"size": (16384, 16384)},
        {"confidence_threshold": 1.1},
        {"confidence_threshold": -0.1},
    ],
    ids=str,
)
def test_impossible_options_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="allowed are"):
        OutputOptions(**options)
