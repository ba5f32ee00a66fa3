"""Labels carried along the optical flow, where the motion is known and on the street's truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tdnet import ClassMap
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.confusion import ClassAxis
from tdnet_offline.evaluation.motion import FLOW_SIDE, Motion, grey
from tdnet_offline.street import StreetDrive

HIDDEN = 255
AXIS = ClassAxis(ClassMap.numbered(2))


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A surface with detail of every size, as of asphalt or leaves."""
    draw = np.random.default_rng(seed)
    layers = [
        cv2.resize(draw.random((height // k + 2, width // k + 2)), (width, height)) * k
        for k in (4, 8, 16)
    ]
    sum_of_layers = np.sum(layers, axis=0)
    grey_values = (255 * sum_of_layers / sum_of_layers.max()).astype(np.uint8)
    return np.repeat(grey_values[..., None], 3, axis=2)


def stripes(height: int, width: int, start: int = 0) -> np.ndarray:
    """Labels 0 and 1 in upright stripes, 32 pixels wide."""
    row = ((np.arange(width) - start) // 32 % 2).astype(np.uint8)
    return np.tile(row, (height, 1))


def agreement(carried: np.ndarray, in_sight: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return AXIS.agreement(carried[in_sight], labels[in_sight])


@pytest.mark.parametrize("size", [(120, 240), (200, 2 * FLOW_SIDE)], ids=["as it is", "smaller"])
def test_labels_that_move_with_the_picture_agree(size: tuple[int, int]) -> None:
    height, width = size
    shift = 8
    wide = texture(height, width + shift)
    before, now = wide[:, shift:], wide[:, :width]  # what is seen moves to the right
    motion = Motion.estimated(grey(before), grey(now))
    carried, in_sight = motion.carry(stripes(height, width))

    counts = agreement(carried, in_sight, stripes(height, width, start=shift))
    assert counts.sum() > 0.85 * height * width
    assert metrics.agreement(counts) > 0.98
    # On the left comes in what was not in sight.
    assert (carried[:, : shift // 2] == HIDDEN).mean() > 0.9


def test_labels_that_stay_while_the_picture_moves_disagree_as_much_as_they_should() -> None:
    shift = 8
    wide = texture(120, 640 + shift)
    motion = Motion.estimated(grey(wide[:, shift:]), grey(wide[:, :640]))
    counts = agreement(*motion.carry(stripes(120, 640)), stripes(120, 640))
    assert metrics.agreement(counts) == pytest.approx(1 - shift / 32, abs=0.02)


def test_what_a_moving_thing_uncovers_is_left_out() -> None:
    ground, thing = texture(160, 240, seed=1), texture(60, 60, seed=2)
    before, now = ground.copy(), ground.copy()
    before[50:110, 60:120] = thing
    now[50:110, 72:132] = thing
    labels = np.zeros((160, 240), np.uint8)
    labels[50:110, 60:120] = 1

    carried, in_sight = Motion.estimated(grey(before), grey(now)).carry(labels)
    np.testing.assert_array_equal(in_sight, carried != HIDDEN)
    assert (carried[55:105, 62:70] == HIDDEN).mean() > 0.6  # the ground behind it
    assert (carried[55:105, 80:125] == 1).mean() > 0.95
    assert (carried[:40, 10:230] == 0).mean() > 0.95


def test_a_still_picture_keeps_every_label() -> None:
    picture = grey(texture(64, 96))
    labels = stripes(64, 96)
    labels[:, 40:50] = HIDDEN  # given by the network, and in sight
    carried, in_sight = Motion.estimated(picture, picture).carry(labels)
    np.testing.assert_array_equal(carried, labels)
    assert in_sight.all()


def test_true_labels_of_the_street_are_nearly_consistent() -> None:
    drive = StreetDrive(5, (180, 320))
    frames = [drive.frame(index) for index in (20, 22)]
    axis = ClassAxis(ClassMap.load("cityscapes"))
    motion = Motion.estimated(*(grey(frame.image) for frame in frames))
    labels, in_sight = motion.carry(frames[0].labels)
    carried = axis.agreement(labels[in_sight], frames[1].labels[in_sight])
    stayed = axis.agreement(frames[0].labels, frames[1].labels)
    assert carried.sum() > 0.5 * frames[0].labels.size
    assert metrics.agreement(carried) > 0.95
    assert 1 - metrics.agreement(carried) < 0.7 * (1 - metrics.agreement(stayed))


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (33, 65), (1, 8000)], ids=str)
def test_every_size_has_a_flow(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    labels = np.ones(size, np.uint8)
    carried, in_sight = Motion.estimated(grey(image), grey(image)).carry(labels)
    assert carried.shape == in_sight.shape == size
    assert (carried == 1).all()
