"""Exact flow of the drawn street: geometry, true labels, and moving things."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tdnet_offline.evaluation.motion import Flow, Motion, grey
from tdnet_offline.street import StreetDrive
from tdnet_offline.street.flow import UNKNOWN

NOW, BEFORE = 22, 20


@pytest.fixture(scope="module")
def drive() -> StreetDrive:
    return StreetDrive(5, (180, 320))


@pytest.fixture(scope="module")
def flows(drive: StreetDrive) -> tuple[Flow, Flow]:
    return drive.flow(NOW, BEFORE), drive.flow(BEFORE, NOW)


def test_a_drive_paints_the_surfaces_of_each_frame_once() -> None:
    drive = StreetDrive(5, (36, 64))
    for index in range(1, 5):
        drive.flow(index, index - 1)
        drive.flow(index - 1, index)
    assert drive._numbers.cache_info().misses == 5


def test_the_road_moves_as_a_plane_under_the_camera(
    drive: StreetDrive, flows: tuple[Flow, Flow]
) -> None:
    rows, columns = np.nonzero(drive.frame(NOW).labels == 0)
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=1)
    pose, earlier, camera = drive.pose(NOW), drive.pose(BEFORE), drive.intrinsics.matrix()
    rays = pixels @ np.linalg.inv(camera).T @ pose.rotation
    points = pose.position - rays * (pose.position[2] / rays[:, 2:])
    there = earlier.to_camera(points) @ camera.T
    expected = there[:, :2] / there[:, 2:] - pixels[:, :2]
    errors = np.abs(flows[0][rows, columns] - expected).max(axis=1)
    assert len(errors) > 5000
    assert np.abs(expected).max() > 5
    assert np.percentile(errors, 98) < 0.01  # markings lie a little higher


def test_true_labels_agree_along_it_more_than_along_an_estimate(
    drive: StreetDrive, flows: tuple[Flow, Flow]
) -> None:
    frames = {index: drive.frame(index) for index in (BEFORE, NOW)}
    estimate = Motion.estimated(*(grey(frame.image) for frame in frames.values()))
    found = {}
    for name, motion in (("exact", Motion(*flows)), ("estimated", estimate)):
        carried, in_sight = motion.carry(frames[BEFORE].labels)
        found[name] = in_sight.mean(), (carried == frames[NOW].labels)[in_sight].mean()
    assert found["exact"][0] > max(0.9, found["estimated"][0] + 0.1)  # pixels that count
    assert found["exact"][1] > max(0.985, found["estimated"][1] + 0.005)


def test_moving_things_have_a_motion_of_their_own(drive: StreetDrive) -> None:
    # Two frames, and the flow as if all had stood still between them.
    scene, other = drive._scene(NOW), drive._scene(BEFORE)
    numbers = drive._surfaces.numbers(scene)
    still = drive._surfaces.flow(numbers, scene, replace(other, moving=scene.moving))
    flow = drive.flow(NOW, BEFORE)
    labels = drive.frame(NOW).labels
    _, in_sight = Motion(flow, drive.flow(BEFORE, NOW)).carry(labels)
    moving = (np.abs(flow - still).max(axis=2) > 1) & in_sight
    assert moving.sum() > 200
    assert set(np.unique(labels[moving]).tolist()) <= {*range(11, 19), 255}
    before, now = (grey(drive.frame(index).image).astype(np.float32) for index in (BEFORE, NOW))
    errors = []
    for tried in (flow, still):
        y, x = np.indices(now.shape, np.float32)
        carried = cv2.remap(before, x + tried[..., 0], y + tried[..., 1], cv2.INTER_LINEAR)
        errors.append(np.abs(carried - now)[moving].mean())
    assert errors[0] < 0.5 * errors[1]


def test_what_the_other_frame_does_not_have_is_unknown(drive: StreetDrive) -> None:
    scene = drive._scene(NOW)
    numbers = drive._surfaces.numbers(scene)
    flow = drive._surfaces.flow(numbers, scene, replace(drive._scene(BEFORE), moving={}))
    vehicles = np.isin(drive.frame(NOW).labels, range(11, 19))
    assert (flow[vehicles] == UNKNOWN).mean() > 0.2  # parked ones stay
    assert (flow[~vehicles] == UNKNOWN).mean() < 0.01
