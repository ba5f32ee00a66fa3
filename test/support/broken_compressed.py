"""Compressed images with invalid fields, the same for the same seed."""

from __future__ import annotations

import array
import functools
import random
from collections.abc import Iterator

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from tools.harness.broken_messages import (
    MAX_SIDE,
    break_data,
    break_header,
    break_messages,
    odd_text,
)

_FORMATS = ("jpeg", "jpg", "png", "rgb8; jpeg compressed bgr8", "mono8; png compressed ")


def broken_compressed_images(seed: int, good_share: float = 0.0) -> Iterator[CompressedImage]:
    """Yield compressed images without end; a share of them, 0 to 1, is valid."""
    breaks = (break_header, break_data, _break_format)
    return break_messages(seed, good_share, _good_compressed_image, breaks)


def _good_compressed_image(choice: random.Random) -> CompressedImage:
    format_ = choice.choice(_FORMATS)
    message = CompressedImage(format=format_)
    message.header.frame_id = "camera"
    message.data = array.array("B", choice.choice(_files(".png" if "png" in format_ else ".jpg")))
    return message


@functools.cache
def _files(extension: str) -> tuple[bytes, ...]:
    generator = np.random.default_rng(0)
    images = [
        generator.integers(0, 256, (height, width, *channels), np.uint8)
        for height, width in ((1, 1), (7, 5), (MAX_SIDE, MAX_SIDE))
        for channels in ((), (3,))
    ]
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if extension == ".jpg" else []
    return tuple(
        cv2.imencode(extension, image, options)[1].tobytes()
        for image in images
        for options in ([], progressive)
    )


def _break_format(message: CompressedImage, choice: random.Random) -> None:
    message.format = choice.choice(_FORMATS) if choice.random() < 0.5 else odd_text(choice)
