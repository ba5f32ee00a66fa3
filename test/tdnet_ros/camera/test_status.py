"""Counts and class shares."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tdnet import ClassMap
from tdnet_ros.camera.status import FrameCounter, FrameCounts, FrameTimes, class_shares

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


def test_counts_add_up() -> None:
    counter = FrameCounter()
    counter.add(received=2, dropped=1, overtaken=1)
    sums = FrameCounts(received=2, segmented=1, dropped=1, refused=0, overtaken=1)
    assert counter.add(segmented=1) == sums
    assert counter.counts == sums


def test_times_are_told_from_the_arrival_on() -> None:
    marks = {
        "arrived": 1.0,
        "started": 1.01,
        "converted": 1.03,
        "segmented": 1.1,
        "published": 1.2,
    }
    times = FrameTimes(**marks, labels_out=1.15, making=0.02)
    told = (times.wait_ms, times.convert_ms, times.publish_ms, times.labels_ms, times.total_ms)
    assert told == pytest.approx((10, 20, 100, 150, 200))
    assert math.isnan(FrameTimes(**marks).labels_ms)  # nobody subscribes to the labels
