"""The synthetic street drive as a whole: the same frames always, true labels, a real camera."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tdnet_offline.street import StreetDrive
from tdnet_offline.street.layout import KERB_HEIGHT

SMALL = (96, 192)
DIGESTS = """
import hashlib, sys
from tdnet_offline.street import StreetDrive
drive = StreetDrive(4, (96, 192))
for index in map(int, sys.argv[1:]):
    frame = drive.frame(index)
    print(index, hashlib.sha256(frame.image.tobytes() + frame.labels.tobytes()).hexdigest())
"""


def digests(*indices: int, threads: str) -> set[str]:
    """Return the frames' digests as another process computes them."""
    words = [sys.executable, "-c", DIGESTS, *map(str, indices)]
    limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    environment = os.environ | limits | {"PYTHONHASHSEED": threads}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_frames_are_the_same_in_every_process_and_order() -> None:
    once = digests(0, 30, 150, threads="1")
    again = digests(150, 0, 30, threads="2")
    assert len(once) == 3
    assert once == again


def test_a_frame_does_not_depend_on_those_before() -> None:
    drive = StreetDrive(2, SMALL)
    frames = {index: drive.frame(index) for index in (0, 1, 400)}
    fresh = StreetDrive(2, SMALL).frame(400)
    np.testing.assert_array_equal(fresh.image, frames[400].image)
    np.testing.assert_array_equal(fresh.labels, frames[400].labels)
    np.testing.assert_array_equal(drive.frame(0).image, frames[0].image)


@pytest.mark.parametrize("size", [(96, 192), (97, 193), (129, 65)], ids=str)
def test_frames_have_the_asked_size_and_valid_labels(size: tuple[int, int]) -> None:
    frame = StreetDrive(1, size).frame(3)
    assert (frame.image.shape, frame.image.dtype) == ((*size, 3), np.uint8)
    assert (frame.labels.shape, frame.labels.dtype) == (size, np.uint8)
    assert set(np.unique(frame.labels).tolist()) <= {*range(19), 255}


@pytest.mark.parametrize("seed", [0, 5])
def test_depth_puts_road_and_sidewalk_where_they_are(seed: int) -> None:
    """Every pixel of the road back in the world is on its plane; the picture is the same."""
    drive = StreetDrive(seed, SMALL)
    plain, frame = drive.frame(40), drive.frame(40, with_depth=True)
    assert plain.depth is None
    assert frame.depth is not None
    np.testing.assert_array_equal(frame.image, plain.image)
    np.testing.assert_array_equal(frame.labels, plain.labels)
    assert (frame.depth.shape, frame.depth.dtype) == (SMALL, np.float32)
    road, sidewalk, sky = (frame.labels == label for label in (0, 1, 10))
    assert np.isinf(frame.depth[sky]).all()
    assert np.isfinite(frame.depth[~sky]).mean() > 0.95  # the skyline is as far as the sky
    rows, columns = np.mgrid[: SMALL[0], : SMALL[1]]
    pixels = np.stack([columns, rows, np.ones(SMALL)], axis=-1)
    rays = pixels @ np.linalg.inv(drive.intrinsics.matrix()).T
    depth = np.where(np.isfinite(frame.depth), frame.depth, 0.0)[..., None].astype(np.float64)
    pose = drive.pose(40)
    height = (rays * depth @ pose.rotation + pose.position)[..., 2]
    assert road.sum() > 2000
    assert np.abs(height[road & (frame.depth < 60)]).max() < 1e-4
    # Kerbs are labelled as sidewalk too.
    assert sidewalk.sum() > 50
    assert np.median(height[sidewalk]) == pytest.approx(KERB_HEIGHT, abs=1e-4)


def test_all_classes_occur_in_a_handful_of_seeds() -> None:
    found: set[int] = set()
    for seed in (0, 3, 4):
        drive = StreetDrive(seed, (128, 256))
        for index in (0, 90, 180):
            found.update(np.unique(drive.frame(index).labels).tolist())
    assert found >= set(range(19))


def test_seeds_give_different_streets_and_cameras() -> None:
    drives = [StreetDrive(seed, SMALL) for seed in range(4)]
    images = {hashlib.sha256(drive.frame(0).image.tobytes()).hexdigest() for drive in drives}
    assert len(images) == 4
    assert len({drive.intrinsics.focal for drive in drives}) == 4


def test_the_rate_is_the_time_between_frames() -> None:
    slow, fast = StreetDrive(5, SMALL, rate=10.0), StreetDrive(5, SMALL, rate=20.0)
    np.testing.assert_array_equal(slow.frame(7).labels, fast.frame(14).labels)
    assert slow.pose(1).along > fast.pose(1).along > fast.pose(0).along


def ground_to_picture(drive: StreetDrive, index: int) -> np.ndarray:
    """Return the homography from metres on the road to pixels."""
    pose = drive.pose(index)
    x_axis, y_axis = pose.rotation[:, 0], pose.rotation[:, 1]
    origin = pose.rotation @ -pose.position
    return drive.intrinsics.matrix() @ np.stack([x_axis, y_axis, origin], axis=1)


@pytest.mark.parametrize("seed", [3, 6])
def test_the_road_moves_as_the_camera_does(seed: int) -> None:
    """Where the poses say that a point of the road is in two frames, the same road is seen."""
    drive = StreetDrive(seed)
    first, second = drive.frame(50), drive.frame(52)
    there = ground_to_picture(drive, 52) @ np.linalg.inv(ground_to_picture(drive, 50))
    flags, size = cv2.WARP_INVERSE_MAP, (640, 360)
    warped = cv2.warpPerspective(second.image, there, size, flags=cv2.INTER_LINEAR | flags)
    labels = cv2.warpPerspective(
        second.labels, there, size, flags=cv2.INTER_NEAREST | flags, borderValue=255
    )
    road = (first.labels == 0) & (second.labels == 0) & (labels == 0)
    road[:215] = False  # far away, where two frames hardly differ
    assert road.sum() > 30_000

    def difference(image: np.ndarray) -> float:
        both = [cv2.GaussianBlur(i, (0, 0), 1).astype(float) for i in (image, first.image)]
        return float(np.abs(both[0] - both[1])[road].mean())

    assert difference(warped) < 0.5 * difference(second.image)


@pytest.mark.parametrize("seed", range(6))
def test_the_camera_runs_into_nothing(seed: int) -> None:
    drive = StreetDrive(seed, SMALL)
    for index in range(0, 500, 9):
        pose = drive.pose(index)
        scene = drive._scene(index)
        for thing in [*scene.standing, *scene.moving.values()]:
            left, right, near, far = thing.box
            beside = pose.lateral < left - 0.4 or pose.lateral > right + 0.4
            apart = pose.along < near - 0.5 or pose.along > far + 0.5
            assert beside or apart, f"frame {index}: {thing.box}"


def test_labels_lie_where_the_things_are() -> None:
    """Sky is above the road, and what is labelled as road has the road's grey."""
    frame = StreetDrive(3).frame(20)
    rows = np.arange(360)[:, None] * np.ones((1, 640))
    assert rows[frame.labels == 10].max() < rows[frame.labels == 0].min() + 12
    road = frame.image[frame.labels == 0].astype(float)
    assert np.median(road.max(axis=1) - road.min(axis=1)) < 30
