"""Camera messages to RGB arrays: what a frame meets first."""

from __future__ import annotations

import array
import re
import sys

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from tdnet.errors import InputError, UnsupportedEncodingError
from tdnet.image_encodings import decode_compressed, decode_raw

# Bytes of a sample and samples of a pixel, for the encodings that cv_bridge turns into colours.
_BRIDGED = (
    (re.compile(r"bayer_(rggb|bggr|gbrg|grbg)8"), 1, 1),
    (re.compile(r"bayer_(rggb|bggr|gbrg|grbg)16|mono16"), 2, 1),
    (re.compile(r"(rgb|bgr)16"), 2, 3),
    (re.compile(r"(rgb|bgr)a16"), 2, 4),
    (re.compile(r"yuv422(_yuy2)?|uyvy|yuyv"), 1, 2),
)
# Names of newer distributions for what every cv_bridge knows under the older name.
_OLDER_NAMES = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}


def image_from_message(message: Image | CompressedImage) -> np.ndarray:
    """Gives the pixels of a camera message as RGB.

    Args:
        message: any encoding of `decode_raw` and `decode_compressed`; the other colour encodings
            (Bayer, YUV 4:2:2, 16 bit) are handed to cv_bridge.

    Returns:
        (H, W, 3) uint8 RGB. For rgb8 a view of the message's data, rows `step` bytes apart.

    Raises:
        InputError: the encoding is not a colour image, needs a cv_bridge that is not there, or
            the sizes and the data do not fit each other.
    """
    if isinstance(message, CompressedImage):
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
        for names, sample_bytes, samples in _BRIDGED:
            if names.fullmatch(message.encoding):
                return _bridged(message, sample_bytes, samples)
        raise InputError(str(error)) from None


def byte_array(image: np.ndarray) -> array.array[int]:
    """Copy a uint8 array into the type that a message holds its data in.

    It is the one type that the setter of a message takes as it is; others it checks byte by byte.
    """
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(image).data)
    return data


def _bridged(message: Image, sample_bytes: int, samples: int) -> np.ndarray:
    # Imported only where it is needed: on Humble and Jazzy it is compiled against NumPy 1 and
    # cannot be imported beside the NumPy 2 that pip brings.
    try:
        from cv_bridge import CvBridge
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"encoding {message.encoding!r} needs cv_bridge, which cannot be imported ({error}); "
            "install it, or let image_proc convert the images to rgb8"
        ) from error
    try:
        image = CvBridge().imgmsg_to_cv2(
            _repacked(message, sample_bytes, samples), desired_encoding="rgb8"
        )
    # cv_bridge has no common base for what it raises: its own error, OpenCV's, KeyError.
    except Exception as error:
        raise InputError(
            f"cv_bridge cannot convert encoding {message.encoding!r}: {error}".replace("\n", " ")
        ) from error
    return np.ascontiguousarray(image)


def _repacked(message: Image, sample_bytes: int, samples: int) -> Image:
    # Some versions of cv_bridge misread padded rows, and swap bytes in a way that NumPy 2 lacks.
    row = message.width * sample_bytes * samples
    if message.step < row:
        raise InputError(
            f"a row of {message.width} pixels in {message.encoding} takes {row} bytes, but step "
            f"is {message.step}; the driver's message is wrong"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    pixels = np.ascontiguousarray(rows)
    if sample_bytes == 2 and bool(message.is_bigendian) != (sys.byteorder == "big"):
        pixels = pixels.view(np.uint16).byteswap().view(np.uint8)
    return Image(
        height=message.height,
        width=message.width,
        encoding=_OLDER_NAMES.get(message.encoding, message.encoding),
        is_bigendian=int(sys.byteorder == "big"),
        step=row,
        data=byte_array(pixels),
    )
