"""Decode the images of `sensor_msgs/Image` and `CompressedImage` to RGB arrays.

Independent of ROS, so that the node and the offline tools decode a frame to the same pixels.
"""

from __future__ import annotations

import array
import re
from typing import Any, Union

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError, UnsupportedEncodingError, quoted
from tdnet.frames.image_files import check_image_size, read_picture

ByteBuffer = Union[bytes, bytearray, memoryview, "array.array[int]", npt.NDArray[np.uint8]]

# Encoding: channels, and OpenCV's conversion to RGB (None: already RGB).
_DECODED: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "rgb16": (3, None),
    "bgr16": (3, cv2.COLOR_BGR2RGB),
    "rgba16": (4, cv2.COLOR_RGBA2RGB),
    "bgra16": (4, cv2.COLOR_BGRA2RGB),
    "mono16": (1, cv2.COLOR_GRAY2RGB),
}
# The other encodings of sensor_msgs/image_encodings.hpp, and nv12, which some drivers send.
_KNOWN = re.compile(
    r"bayer_(rggb|bggr|gbrg|grbg)(8|16)"
    r"|yuv422(_yuy2)?|uyvy|yuyv|nv12|nv21|nv24|(8U|8S|16U|16S|32S|32F|64F)C\d*"
)
_REMEDY = (
    "let the driver publish rgb8 or bgr8, or convert the images before (videoconvert, image_proc)"
)
_FORMATS = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png"}
_MAX_FORMAT = 256


def decode_raw(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: ByteBuffer
) -> npt.NDArray[np.uint8]:
    """Decode an uncompressed image to RGB.

    Args:
        encoding: name of the pixel format: rgb8, bgr8, rgba8, bgra8 or mono8, or those with 16
            bit samples.
        height: rows.
        width: columns.
        step: bytes from the start of a row to the start of the next; bytes after the pixels are
            padding.
        is_bigendian: byte order of 16 bit samples.
        data: height * step bytes.

    Returns:
        (height, width, 3) uint8 RGB. For rgb8 a view of `data` (read-only if `data` is), rows
        `step` bytes apart; for other encodings a new array.

    Raises:
        UnsupportedEncodingError: ROS defines the encoding, but it is not in the list above.
        InputError: the encoding is unknown, or the sizes do not fit each other or the data.
    """
    check_image_size(height, width)
    flat = np.frombuffer(data, dtype=np.uint8)
    if flat.size != height * step:
        raise InputError(
            f"the image has {flat.size} bytes of data, but {height} rows of {step} bytes (step) "
            f"are {height * step}; the driver's message is wrong"
        )
    if encoding not in _DECODED:
        raise _encoding_error(encoding)
    channels, conversion = _DECODED[encoding]
    sample = sample_type(is_bigendian) if encoding.endswith("16") else np.dtype(np.uint8)
    pixel = channels * sample.itemsize
    if step < width * pixel:
        raise InputError(
            f"a row of {width} pixels in {encoding} takes {width * pixel} bytes, but step is "
            f"{step}; the driver's message is wrong"
        )
    samples: npt.NDArray[Any] = np.ndarray(
        (height, width, channels), sample, flat, strides=(step, pixel, sample.itemsize)
    )
    pixels = to_8_bit(samples) if sample.itemsize > 1 else samples
    return pixels if conversion is None else np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)


def decode_image_message(message: Any) -> npt.NDArray[np.uint8]:  # noqa: ANN401
    """Decode an object with the fields of `sensor_msgs/Image`; see `decode_raw`."""
    return decode_raw(
        message.encoding,
        message.height,
        message.width,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )


def sample_type(is_bigendian: bool) -> np.dtype[np.uint16]:
    """Return the type of 16-bit samples in a byte order."""
    return np.dtype(np.uint16).newbyteorder(">" if is_bigendian else "<")


def to_8_bit(samples: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Scale 16-bit samples of either byte order to 8 bits; keep the shape."""
    native = np.ascontiguousarray(samples, np.uint16)
    scaled = cv2.convertScaleAbs(native, alpha=255 / 65535)
    return np.asarray(scaled, np.uint8).reshape(samples.shape)


def decode_compressed(format: str, data: ByteBuffer) -> npt.NDArray[np.uint8]:
    """Decode a JPEG or PNG to RGB.

    Grey becomes RGB, 16 bits become 8, transparency is dropped. The EXIF orientation is ignored:
    pixels keep the position of the camera image.

    Args:
        format: the message's format: ``jpeg``, ``jpg`` or ``png``, alone or as image_transport
            writes it, such as ``"rgb8; jpeg compressed bgr8"``.
        data: bytes of the file.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        UnsupportedEncodingError: the format is neither JPEG nor PNG.
        InputError: the data are of another format, damaged, cut off, or above a limit of
            `tdnet.frames.image_files`.
    """
    declared = _file_format(format)
    content = np.frombuffer(data, dtype=np.uint8).data
    picture = read_picture(content)
    if picture.kind != declared:
        raise InputError(
            f"the format is {quoted(format)}, but the data are a {picture.kind.upper()}"
        )
    # OpenCV before 4.10 decodes to BGR only.
    in_rgb = getattr(cv2, "IMREAD_COLOR_RGB", None)
    flags = (cv2.IMREAD_COLOR if in_rgb is None else in_rgb) | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(picture.data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise InputError(f"the {declared.upper()} cannot be decoded: {error.err}") from error
    if image is None or image.shape[:2] != (picture.height, picture.width):
        raise InputError(f"the {declared.upper()} of {len(content)} bytes cannot be decoded")
    return np.asarray(
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if in_rgb is None else image, np.uint8
    )


def _encoding_error(encoding: str) -> InputError:
    allowed = ", ".join(_DECODED)
    if _KNOWN.fullmatch(encoding):
        return UnsupportedEncodingError(
            f"encoding {quoted(encoding)} is not decoded; decoded are {allowed}; {_REMEDY}"
        )
    return InputError(f"unknown encoding {quoted(encoding)}; decoded are {allowed}; {_REMEDY}")


def _file_format(format: str) -> str:
    # image_transport: "<encoding>; <codec> compressed <encoding>"; other drivers: the codec alone.
    # Names are short: the rest of a long text is ignored.
    codec = format[:_MAX_FORMAT].rpartition(";")[2].split()
    name = codec[0].lower() if codec else ""
    if name not in _FORMATS:
        raise UnsupportedEncodingError(
            f"compressed format {quoted(format)} is not decoded here, only jpeg and png; "
            "set the driver's image transport to one of them"
        )
    return _FORMATS[name]
