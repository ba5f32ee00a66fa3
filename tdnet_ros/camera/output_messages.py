"""Arrays to messages, each byte moved as rarely as the message type allows."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

JPEG_QUALITY = 90
# Label images are flat areas: a higher level takes several times as long for little.
PNG_LEVEL = 1


class ImageMessage:
    """The message of one image topic, filled anew for each frame.

    Publishing has copied a message when it returns, so one serves all frames: no memory is taken
    for a frame, and its bytes are copied once. A message that is made with its data copies them
    up to three times, depending on the distribution.
    """

    def __init__(self) -> None:
        self._message = Image()
        self._pixels: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def fill(self, header: Header, image: np.ndarray) -> Image:
        """Give an array as a message without padding, valid until the next call.

        Args:
            header: of the camera's message.
            image: (H, W) uint8, published as mono8, or (H, W, 3) uint8 RGB, published as rgb8.
        """
        if image.shape != self._pixels.shape:
            self._begin(image.shape)
        np.copyto(self._pixels, image)
        self._message.header = header
        return self._message

    def _begin(self, shape: tuple[int, ...]) -> None:
        message = Image(
            height=shape[0],
            width=shape[1],
            encoding="mono8" if len(shape) == 2 else "rgb8",
            is_bigendian=0,
            step=math.prod(shape[1:]),
        )
        message.data.frombytes(bytes(math.prod(shape)))
        # As long as this view lives, Python keeps the memory of the data where it is.
        self._pixels = np.frombuffer(message.data, np.uint8).reshape(shape)
        self._message = message


def png_message(header: Header, image: np.ndarray) -> CompressedImage:
    """Give a (H, W) uint8 image as a message with a PNG, which keeps every value."""
    _, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    return _compressed(header, "mono8; png compressed ", encoded)


def jpeg_message(header: Header, image: np.ndarray) -> CompressedImage:
    """Give a (H, W, 3) uint8 RGB image as a message with a JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return _compressed(header, "rgb8; jpeg compressed bgr8", encoded)


def _compressed(header: Header, format: str, encoded: np.ndarray) -> CompressedImage:
    message = CompressedImage(header=header, format=format)
    message.data.frombytes(encoded.data)
    return message
