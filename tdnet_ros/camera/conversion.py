"""Camera messages to RGB arrays; the one check of a frame's size, encoding and data."""

from __future__ import annotations

import sys

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from tdnet.errors import InputError, UnsupportedEncodingError
from tdnet.frames.image_encodings import decode_compressed, decode_raw, sample_type, to_8_bit
from tdnet_ros.camera.serialized_images import CameraMessage, PixelMessage, ReceivedFile

# Characters of a frame id, which is copied into every output; no tf tree has longer names.
MAX_FRAME_ID = 256

# Encodings that cv_bridge converts to RGB, with the bytes of a pixel.
_BRIDGED = {
    "bayer_rggb8": 1,
    "bayer_bggr8": 1,
    "bayer_gbrg8": 1,
    "bayer_grbg8": 1,
    "bayer_rggb16": 2,
    "bayer_bggr16": 2,
    "bayer_gbrg16": 2,
    "bayer_grbg16": 2,
    "yuv422": 2,
    "uyvy": 2,
    "yuv422_yuy2": 2,
    "yuyv": 2,
}
# Newer names of encodings that every cv_bridge knows under the older name.
_OLDER_NAMES = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}


def image_from_message(message: CameraMessage) -> np.ndarray:
    """Return the pixels of a camera message as RGB.

    Args:
        message: any encoding of `decode_raw` and `decode_compressed`; cv_bridge converts Bayer and
            YUV 4:2:2.

    Returns:
        (H, W, 3) uint8 RGB. For rgb8 a view of the message's data, rows `step` bytes apart.

    Raises:
        InputError: the encoding is not a colour image, or cv_bridge is missing for it; sizes and
            data do not fit each other; a value is above its limit.
    """
    if len(message.header.frame_id) > MAX_FRAME_ID:
        raise InputError(
            f"a frame id of {len(message.header.frame_id)} characters; allowed are "
            f"{MAX_FRAME_ID}: set a shorter one in the driver"
        )
    if isinstance(message, (CompressedImage, ReceivedFile)):
        return decode_compressed(message.format, message.data)
    try:
        return decode_raw(
            message.encoding,
            message.height,
            message.width,
            message.step,
            bool(message.is_bigendian),
            message.data,
        )
    except UnsupportedEncodingError as error:
        if message.encoding in _BRIDGED:
            return _bridged(message)
        raise InputError(f"{error}; with cv_bridge also {', '.join(_BRIDGED)}") from None


def _bridged(message: PixelMessage) -> np.ndarray:
    # Some versions of cv_bridge misread padded rows.
    rows = _rows(message, _BRIDGED[message.encoding])
    encoding = _OLDER_NAMES.get(message.encoding, message.encoding)
    if encoding.endswith("16"):
        rows = to_8_bit(rows.view(sample_type(bool(message.is_bigendian))))
        encoding = encoding.replace("16", "8")
    packed = _packed(message, encoding, rows)
    # Imported only when needed: on Humble and Jazzy it is compiled against NumPy 1, and cannot be
    # imported beside the NumPy 2 that pip installs.
    try:
        from cv_bridge import CvBridge
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"encoding {message.encoding!r} needs cv_bridge, which cannot be imported ({error}); "
            "install it, or let image_proc convert the images to rgb8"
        ) from error
    try:
        return np.ascontiguousarray(CvBridge().imgmsg_to_cv2(packed, desired_encoding="rgb8"))
    # Its exceptions have no common base: its own error, OpenCV's, KeyError.
    except Exception as error:
        raise InputError(
            f"cv_bridge cannot convert {message.width} x {message.height} pixels of encoding "
            f"{message.encoding!r}: {error}"
        ) from error


def _rows(message: PixelMessage, pixel_bytes: int) -> np.ndarray:
    """Return (H, W * pixel_bytes) uint8 without the padding."""
    row = message.width * pixel_bytes
    if message.step < row:
        raise InputError(
            f"a row of {message.width} pixels in {message.encoding} takes {row} bytes, but step "
            f"is {message.step}; the driver's message is wrong"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return np.ascontiguousarray(rows[:, :row])


def _packed(message: PixelMessage, encoding: str, rows: np.ndarray) -> Image:
    packed = Image(
        height=message.height,
        width=message.width,
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=rows.shape[1],
    )
    # The constructor copies data, and on some distributions checks them byte by byte.
    packed.data.frombytes(np.ascontiguousarray(rows).data)
    return packed
