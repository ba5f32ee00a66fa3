"""Camera messages to RGB arrays; the one check of a frame's size, encoding and data."""

from __future__ import annotations

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from tdnet.errors import InputError, UnsupportedEncodingError
from tdnet.frames.image_encodings import (
    decode_compressed,
    decode_image_message,
    sample_type,
    to_8_bit,
)
from tdnet_ros.camera.serialized_images import CameraMessage, PixelMessage, ReceivedFile

# Characters of a frame id, which is copied into every output; no tf tree has longer names.
MAX_FRAME_ID = 256

# Bayer and YUV 4:2:2 encodings: bytes of a pixel, OpenCV's conversion to RGB. OpenCV names a
# Bayer pattern by its second row.
_CONVERSIONS = {
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": (2, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": (2, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": (2, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": (2, cv2.COLOR_BayerGB2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
}


def image_from_message(message: CameraMessage) -> np.ndarray:
    """Return the pixels of a camera message as RGB.

    Args:
        message: any encoding of `decode_raw` and `decode_compressed`, Bayer or YUV 4:2:2.

    Returns:
        (H, W, 3) uint8 RGB. For rgb8 a view of the message's data, rows `step` bytes apart.

    Raises:
        InputError: the encoding is not a colour image; sizes and data do not fit each other; a
            value is above its limit.
    """
    if len(message.header.frame_id) > MAX_FRAME_ID:
        raise InputError(
            f"a frame id of {len(message.header.frame_id)} characters; allowed are "
            f"{MAX_FRAME_ID}: set a shorter one in the driver"
        )
    if isinstance(message, (CompressedImage, ReceivedFile)):
        return decode_compressed(message.format, message.data)
    try:
        return decode_image_message(message)
    except UnsupportedEncodingError as error:
        if message.encoding in _CONVERSIONS:
            return _converted(message)
        raise InputError(f"{error}; the node also decodes {', '.join(_CONVERSIONS)}") from None


def _converted(message: PixelMessage) -> np.ndarray:
    pixel_bytes, conversion = _CONVERSIONS[message.encoding]
    height, width, row = message.height, message.width, message.width * pixel_bytes
    if message.step < row:
        raise InputError(
            f"a row of {width} pixels in {message.encoding} takes {row} bytes, but step is "
            f"{message.step}; the driver's message is wrong"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, message.step)[:, :row]
    if message.encoding.endswith("16"):
        pixels = to_8_bit(rows.view(sample_type(bool(message.is_bigendian))))
    else:
        pixels = rows.reshape(height, width, pixel_bytes)
    try:
        return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)
    except cv2.error as error:  # YUV 4:2:2 of an odd width
        raise InputError(
            f"{width} x {height} pixels of {message.encoding} cannot be converted: {error.err}"
        ) from error
