"""Camera messages whose fields do not fit each other, as broken drivers and hostile ones send."""

from __future__ import annotations

import array
import random
from collections.abc import Iterator

from sensor_msgs.msg import Image
from std_msgs.msg import Header

_ENCODINGS = (
    *("rgb8", "bgr8", "rgba8", "mono8", "mono16", "rgb16", "16UC1", "32FC1", "bayer_rggb8"),
    *("uyvy", "RGB8", "", " ", "rgb8; jpeg", "\u00fcml\u00e4ut", "x" * 300, "%s%n{}"),
)
_MAX_SIDE = 64
_NUMBERS = (0, 1, 2, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1)


def broken_images(seed: int) -> Iterator[Image]:
    """Yields messages without end; in most of them one or several fields lie.

    Args:
        seed: the same one gives the same messages.
    """
    rng = random.Random(seed)
    while True:
        height, width = rng.randint(1, _MAX_SIDE), rng.randint(1, _MAX_SIDE)
        message = Image(
            header=Header(frame_id="camera"),
            height=height,
            width=width,
            encoding="rgb8",
            step=3 * width,
            data=array.array("B", rng.randbytes(3 * width * height)),
        )
        for lie in rng.sample(_LIES, rng.randint(0, 3)):
            lie(message, rng)
        yield message


def _size(message: Image, rng: random.Random) -> None:
    message.height, message.width = rng.choice(_NUMBERS), rng.choice(_NUMBERS)


def _height(message: Image, rng: random.Random) -> None:
    message.height = rng.choice(_NUMBERS)


def _step(message: Image, rng: random.Random) -> None:
    message.step = rng.choice((*_NUMBERS, max(message.step - 1, 0), message.step + 1))


def _data(message: Image, rng: random.Random) -> None:
    message.data = message.data[: rng.randint(0, len(message.data))]


def _more_data(message: Image, rng: random.Random) -> None:
    message.data.frombytes(rng.randbytes(rng.randint(1, 100)))


def _encoding(message: Image, rng: random.Random) -> None:
    message.encoding = rng.choice(_ENCODINGS)


def _order(message: Image, rng: random.Random) -> None:
    message.is_bigendian = rng.randint(0, 255)


def _frame_id(message: Image, rng: random.Random) -> None:
    message.header.frame_id = rng.choice(("", "rear", "\u4e2d", "f" * 1000))


_LIES = (_size, _height, _step, _data, _more_data, _encoding, _order, _frame_id)
