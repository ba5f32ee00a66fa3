"""Counts and class shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tdnet import ClassMap
from tdnet_ros.status import FrameCounter, FrameCounts, class_shares

CITYSCAPES = ClassMap.load("cityscapes")


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_shares_are_those_of_the_classes_present(labels: np.ndarray) -> None:
    ids, shares = class_shares(labels, CITYSCAPES)
    known = [entry.id for entry in CITYSCAPES.classes]
    assert ids == [int(i) for i in np.unique(labels) if i in known]
    assert shares == pytest.approx([float((labels == i).mean()) for i in ids])


def test_counts_add_up() -> None:
    counter = FrameCounter()
    counter.add(received=2, dropped=1, overtaken=1)
    sums = FrameCounts(received=2, segmented=1, dropped=1, refused=0, overtaken=1)
    assert counter.add(segmented=1) == sums
    assert counter.counts == sums
