"""Class shares of a label image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tdnet import ClassMap
from tdnet_ros.camera.status import class_shares

CITYSCAPES = ClassMap.load("cityscapes")


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_shares_are_those_of_the_classes_present(labels: np.ndarray) -> None:
    ids, shares = class_shares(labels, CITYSCAPES)
    known = [entry.id for entry in CITYSCAPES.classes]
    assert ids == [int(i) for i in np.unique(labels) if i in known]
    assert shares == pytest.approx([float((labels == i).mean()) for i in ids])


def test_shares_of_speckled_labels_are_the_same_numbers() -> None:
    noise = np.random.default_rng(1).integers(0, 23, (60, 80), np.uint8)
    flat = np.repeat(np.repeat(noise[:6, :5], 40, axis=0), 40, axis=1)
    for labels in (noise, flat, np.vstack([noise, flat[:60, :80]])):
        ids, shares = class_shares(labels, CITYSCAPES)
        assert ids == [i for i in range(19) if (labels == i).any()]
        assert shares == pytest.approx([float((labels == i).mean()) for i in ids])
