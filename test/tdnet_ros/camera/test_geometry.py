"""Scaled intrinsics and points, against the exact ones of the drawn street."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, RegionOfInterest
from std_msgs.msg import Header
from support.ros_graph import image_message

from tdnet.errors import InputError
from tdnet_offline.street import StreetDrive, StreetFrame
from tdnet_ros.camera.geometry import PointCloud, depth_pixels, scaled_camera_info

SIZE = (96, 160)
HEADER = Header(frame_id="camera")
ALL = np.ones(256, bool)


@pytest.fixture(scope="module")
def drive() -> StreetDrive:
    return StreetDrive(5, SIZE)


@pytest.fixture(scope="module")
def frame(drive: StreetDrive) -> StreetFrame:
    return drive.frame(40, with_depth=True)


def camera_info(drive: StreetDrive) -> CameraInfo:
    k = drive.intrinsics.matrix()
    p = np.hstack([k, np.zeros((3, 1))])
    return CameraInfo(height=SIZE[0], width=SIZE[1], k=k.ravel(), p=p.ravel(), d=[0.0] * 5)


def depth_message(depth: np.ndarray, encoding: str) -> Image:
    message = image_message(depth.view(np.uint8), encoding=encoding)
    message.width //= depth.itemsize
    return message


def fields(cloud: PointCloud2) -> np.ndarray:
    """Return the points as a program reads them: by the names and offsets of the message."""
    kinds = {7: "f4", 2: "u1"}
    point = np.dtype(
        {
            "names": [field.name for field in cloud.fields],
            "formats": [kinds[field.datatype] for field in cloud.fields],
            "offsets": [field.offset for field in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    assert cloud.row_step == cloud.point_step * cloud.width
    return np.frombuffer(cloud.data, point).reshape(cloud.height, cloud.width)


def exact(drive: StreetDrive, depth: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) points of pixel centres, metres; NaN without depth."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    pixels = np.stack([columns, rows, np.ones(SIZE)], axis=-1)
    rays = pixels @ np.linalg.inv(drive.intrinsics.matrix()).T
    return rays * np.where(np.isfinite(depth), depth, np.nan)[..., None].astype(np.float64)


@pytest.mark.parametrize(
    ("encoding", "tolerance"), [("32FC1", 1e-6), ("16UC1", 5.1e-4)], ids=["metres", "millimetres"]
)
def test_points_are_those_of_the_street(
    drive: StreetDrive, frame: StreetFrame, encoding: str, tolerance: float
) -> None:
    """To a millionth of the distance, or to half a millimetre of depth."""
    assert frame.depth is not None
    depth = frame.depth
    if encoding == "16UC1":  # up to 65 m; 0: none
        depth = np.where(depth < 65, np.rint(depth * 1000), 0).astype(np.uint16)
    confidence = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint8)
    info = scaled_camera_info(camera_info(drive), HEADER, SIZE, SIZE)
    cloud = PointCloud()
    pixels, unit = depth_pixels(depth_message(depth, encoding), SIZE)
    points = fields(cloud.fill(info, pixels, unit, frame.labels, confidence, ALL))
    known = exact(drive, frame.depth)
    if encoding == "16UC1":
        known[depth == 0] = np.nan
    got = np.stack([points[axis] for axis in "xyz"], axis=-1)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(known))
    error = np.abs(got - known)
    if encoding == "32FC1":
        error /= np.linalg.norm(known, axis=-1, keepdims=True)
    assert np.nanmax(error) < tolerance
    np.testing.assert_array_equal(points["label"], frame.labels)
    np.testing.assert_array_equal(points["confidence"], confidence)

    kept = np.zeros(256, bool)
    kept[0] = True
    road = fields(cloud.fill(info, pixels, unit, frame.labels, confidence, kept))
    np.testing.assert_array_equal(np.isfinite(road["z"]), (frame.labels == 0) & ~(depth == 0))


@pytest.mark.parametrize("output", [(48, 80), (50, 33), (192, 320)], ids=str)
def test_smaller_and_larger_labels_get_exact_points(
    drive: StreetDrive, frame: StreetFrame, output: tuple[int, int]
) -> None:
    """Every point is one of the camera's resolution, and its projection is in the label pixel."""
    assert frame.depth is not None
    labels = cv2.resize(frame.labels, output[::-1], interpolation=cv2.INTER_NEAREST)
    full = scaled_camera_info(camera_info(drive), HEADER, SIZE, SIZE)
    pixels, unit = depth_pixels(depth_message(frame.depth, "32FC1"), SIZE)
    points = fields(PointCloud().fill(full, pixels, unit, labels, labels, ALL))
    got = np.stack([points[axis] for axis in "xyz"], axis=-1)
    known = {
        tuple(p) for p in exact(drive, frame.depth).reshape(-1, 3).astype(np.float32).round(3)
    }
    seen = np.isfinite(got[..., 2])
    assert seen.mean() > 0.5
    assert sum(tuple(p) in known for p in got[seen].round(3)) > 0.99 * seen.sum()
    small = scaled_camera_info(camera_info(drive), HEADER, SIZE, output)
    assert (small.height, small.width) == output
    at = got[seen] @ np.reshape(small.k, (3, 3)).T
    rows, columns = np.nonzero(seen)
    # From centre to centre: half a pixel of the camera and half of the labels at most.
    apart = np.abs(at[:, :2] / at[:, 2:] - np.stack([columns, rows], axis=1))
    limit = 0.5 + 0.5 * np.array([output[1] / SIZE[1], output[0] / SIZE[0]])
    assert (apart <= limit + 1e-3).all()


def test_region_and_binning_become_a_part_of_the_matrices() -> None:
    """As a camera that reads out a region in groups of 2 x 2 pixels."""
    k = np.array([[400.0, 0.0, 319.5], [0.0, 410.0, 239.5], [0.0, 0.0, 1.0]])
    info = CameraInfo(height=480, width=640, binning_x=2, binning_y=2, k=k.ravel())
    info.p = np.hstack([k, [[-40.0], [0.0], [0.0]]]).ravel()
    info.roi = RegionOfInterest(x_offset=100, y_offset=40, width=320, height=200)
    scaled = scaled_camera_info(info, HEADER, (100, 160), (50, 80))
    point = np.array([0.2, -0.1, 2.0])
    at = k @ point / point[2]
    # Of centres: a label pixel covers 4 x 4 pixels of the sensor.
    expected = (at[:2] - (100, 40) + 0.5) / 4 - 0.5
    got = np.reshape(scaled.k, (3, 3)) @ point / point[2]
    np.testing.assert_allclose(got[:2], expected)
    assert scaled.p[3] == pytest.approx(-10.0)
    assert (scaled.binning_x, scaled.roi.width) == (0, 0)


def test_inputs_that_do_not_fit_are_named(drive: StreetDrive) -> None:
    info = camera_info(drive)
    with pytest.raises(InputError, match="camera info is of 160 x 96 pixels, but .* 80 x 48"):
        scaled_camera_info(info, HEADER, (48, 80), SIZE)
    with pytest.raises(InputError, match="no focal length: calibrate"):
        scaled_camera_info(CameraInfo(height=96, width=160), HEADER, SIZE, SIZE)
    depth = np.ones(SIZE, np.float32)
    for encoding, size, problem in (
        ("rgb8", SIZE, "encoding 'rgb8'; allowed: 32FC1"),
        ("32FC1", (48, 80), "depth image has 160 x 96 pixels, but the camera's image 80 x 48"),
    ):
        with pytest.raises(InputError, match=problem):
            depth_pixels(depth_message(depth, encoding), size)
    cut_off = depth_message(depth, "32FC1")
    cut_off.data = cut_off.data[:-1]
    with pytest.raises(InputError, match="61439 bytes in rows of 640, but needs 96 rows"):
        depth_pixels(cut_off, SIZE)
