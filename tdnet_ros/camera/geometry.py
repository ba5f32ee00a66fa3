"""Intrinsics of the published images, and their points in space."""

from __future__ import annotations

import sys

import numpy as np
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField, RegionOfInterest
from std_msgs.msg import Header

from tdnet.errors import InputError, quoted
from tdnet_ros.camera.serialized_images import PixelMessage

Size = tuple[int, int]
"""Height and width, pixels."""

# Bytes of a value, and metres of its unit; a depth of 0 is none (REP 118).
_DEPTHS = {"32FC1": ("f4", 1.0), "16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3)}
# The values of a point: name, type, offset.
_FIELDS = (
    ("x", "f4", 0),
    ("y", "f4", 4),
    ("z", "f4", 8),
    ("label", "u1", 12),
    ("confidence", "u1", 13),
)
_POINT = np.dtype(
    {
        "names": [name for name, _, _ in _FIELDS],
        "formats": [kind for _, kind, _ in _FIELDS],
        "offsets": [offset for _, _, offset in _FIELDS],
        "itemsize": 16,
    }
)
_KINDS = {"f4": PointField.FLOAT32, "u1": PointField.UINT8}


def scaled_camera_info(info: CameraInfo, header: Header, image: Size, output: Size) -> CameraInfo:
    """Return the camera info of an image resized to another size, as a full frame.

    Pixel centres lie on whole numbers. Region of interest and binning become a part of the
    matrices; distortion and rectification do not change.

    Args:
        info: the camera's.
        header: of the result.
        image: size of the camera's image.
        output: size that the image is resized to.

    Raises:
        InputError: the camera info is of another size, or of a camera without calibration.
    """
    roi = info.roi
    height, width = roi.height or info.height, roi.width or info.width
    binned = (height // max(info.binning_y, 1), width // max(info.binning_x, 1))
    if binned != image:
        raise InputError(
            f"the camera info is of {binned[1]} x {binned[0]} pixels, but the image has "
            f"{image[1]} x {image[0]}: publish that of this image"
        )
    k, p = np.reshape(info.k, (3, 3)), np.reshape(info.p, (3, 4))
    if not (np.isfinite(k).all() and np.isfinite(p).all() and k[0, 0] > 0 and k[1, 1] > 0):
        raise InputError("the camera info has no focal length: calibrate the camera")
    x, y = output[1] / width, output[0] / height
    resize = np.array(
        [
            [x, 0.0, (0.5 - roi.x_offset) * x - 0.5],
            [0.0, y, (0.5 - roi.y_offset) * y - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )
    return CameraInfo(
        header=header,
        height=output[0],
        width=output[1],
        distortion_model=info.distortion_model,
        d=info.d,
        k=(resize @ k).ravel(),
        r=info.r,
        p=(resize @ p).ravel(),
        roi=RegionOfInterest(do_rectify=roi.do_rectify),
    )


def depth_pixels(message: PixelMessage, image: Size) -> tuple[np.ndarray, float]:
    """Return a depth image, (H, W) as a view of the message, and metres of its unit.

    Args:
        message: 32FC1 in metres, or 16UC1 in millimetres.
        image: size of the camera's image.

    Raises:
        InputError: another encoding or size; sizes and data do not fit each other.
    """
    if message.encoding not in _DEPTHS:
        raise InputError(
            f"the depth image has encoding {quoted(message.encoding)}; allowed: 32FC1 (metres), "
            "16UC1 (millimetres)"
        )
    kind, unit = _DEPTHS[message.encoding]
    value = np.dtype((">" if message.is_bigendian else "<") + kind)
    height, width, step = message.height, message.width, message.step
    if (height, width) != image:
        raise InputError(
            f"the depth image has {width} x {height} pixels, but the camera's image "
            f"{image[1]} x {image[0]}: use the depth image that the driver aligns with it"
        )
    if step < width * value.itemsize or len(message.data) < step * height:
        raise InputError(
            f"the depth image has {len(message.data)} bytes in rows of {step}, but needs "
            f"{height} rows of {width * value.itemsize}; the driver's message is wrong"
        )
    rows = np.frombuffer(message.data, np.uint8, step * height)
    return np.ndarray(image, value, rows, strides=(step, value.itemsize)), unit


class PointCloud:
    """The point cloud of one camera, refilled for each frame: a frame takes no message."""

    def __init__(self) -> None:
        self._message = PointCloud2()
        self._points: np.ndarray = np.empty((0, 0), _POINT)

    def fill(
        self,
        info: CameraInfo,
        depth: np.ndarray,
        unit: float,
        labels: np.ndarray,
        confidence: np.ndarray,
        kept: np.ndarray,
    ) -> PointCloud2:
        """Return one point for each pixel of the labels, valid until the next call.

        A point is exact for the centre of the depth pixel that is nearest to that of the label.
        Without depth, or if its class is not kept, its coordinates are NaN.

        Args:
            info: of the depth image, which is aligned with the camera's.
            depth: (H, W) of any real type.
            unit: its metres.
            labels: (h, w) uint8.
            confidence: (h, w) uint8.
            kept: (256,) bool, by label.
        """
        if labels.shape != self._points.shape:
            self._allocate(labels.shape)
        points = self._points
        height, width = labels.shape
        # Centres of label pixels, in depth pixels.
        rows = (np.arange(height) * 2 + 1) * depth.shape[0] // (2 * height)
        columns = (np.arange(width) * 2 + 1) * depth.shape[1] // (2 * width)
        if depth.shape != labels.shape:
            depth = depth[rows][:, columns]
        z = depth.astype(np.float32)
        z *= np.float32(unit)
        z[~(kept.take(labels) & (z > 0) & (z < np.inf))] = np.nan
        # Drivers fill in the matrix of the rectified image; a plain camera may have only k.
        matrix = np.reshape(info.p, (3, 4)) if info.p[0] > 0 else np.reshape(info.k, (3, 3))
        x = ((columns - matrix[0, 2]) / matrix[0, 0]).astype(np.float32)
        y = ((rows - matrix[1, 2]) / matrix[1, 1]).astype(np.float32)
        np.multiply(z, x, out=points["x"])
        np.multiply(z, y[:, None], out=points["y"])
        points["z"] = z
        points["label"] = labels
        points["confidence"] = confidence
        self._message.header = info.header
        return self._message

    def _allocate(self, shape: tuple[int, ...]) -> None:
        height, width = shape
        message = PointCloud2(
            height=height,
            width=width,
            fields=[
                PointField(name=name, offset=offset, datatype=_KINDS[kind], count=1)
                for name, kind, offset in _FIELDS
            ],
            is_bigendian=sys.byteorder == "big",
            point_step=_POINT.itemsize,
            row_step=_POINT.itemsize * width,
            is_dense=False,
        )
        message.data.frombytes(bytes(message.row_step * height))
        # As long as this view lives, Python keeps the memory of the data where it is.
        self._points = np.frombuffer(message.data, _POINT).reshape(shape)
        self._message = message
