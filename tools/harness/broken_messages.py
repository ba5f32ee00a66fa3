"""Camera messages with invalid fields, the same for the same seed.

Stamps, frame ids, sizes, encodings and data are wrong, alone or together; some messages stay
usable. The claimed sizes may be absurd; the data are small.
"""

from __future__ import annotations

import array
import functools
import random
from collections.abc import Callable, Iterator
from typing import TypeVar

from sensor_msgs.msg import CompressedImage, Image

Message = TypeVar("Message", Image, CompressedImage)

MAX_SIDE = 24
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_WIDE = {"mono16": 2, "rgb16": 6, "bayer_rggb8": 1, "yuv422_yuy2": 2, "16UC1": 2, "32FC1": 4}
_TEXTS = (
    *("", " ", "rgb", "RGB8", "rgb8 ", "mono", "8UC3", "64FC4", "nv21", "jpeg", "png", "bgr24"),
    *("\x1b[31mred\x1b[0m", "two\nlines", "\u202egnp", "\N{SNOWMAN}" * 9, "%s%n%x", "../../etc"),
)
_NUMBERS = (0, 1, 2, 255, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
_SECONDS = (-(2**31), -1, 0, 1, 2**31 - 1)
_NANOSECONDS = (0, 1, 999_999_999, 10**9, 2**31, 2**32 - 1)


def broken_images(seed: int, good_share: float = 0.0) -> Iterator[Image]:
    """Yield images without end; a share of them, 0 to 1, is valid."""
    return break_messages(seed, good_share, _good_image, (break_header, *_BREAKS_OF_IMAGES))


def break_messages(
    seed: int,
    good_share: float,
    good: Callable[[random.Random], Message],
    breaks: tuple[Callable[[Message, random.Random], None], ...],
) -> Iterator[Message]:
    """Yield messages without end, each with some of the breaks or, by its share, valid."""
    choice = random.Random(seed)
    while True:
        message = good(choice)
        if choice.random() >= good_share:
            for break_something in choice.sample(breaks, choice.randint(1, 3)):
                break_something(message, choice)
        yield message


def _good_image(choice: random.Random) -> Image:
    encoding = choice.choice(tuple(_CHANNELS))
    height, width = choice.randint(1, MAX_SIDE), choice.randint(1, MAX_SIDE)
    step = width * _CHANNELS[encoding] + choice.choice((0, 0, 3))
    message = Image(height=height, width=width, encoding=encoding, step=step)
    message.header.frame_id = "camera"
    message.data = array.array("B", choice.randbytes(height * step))
    return message


def break_header(message: Image | CompressedImage, choice: random.Random) -> None:
    """Set a stamp and frame id that no camera has."""
    message.header.stamp.sec = choice.choice(_SECONDS)
    message.header.stamp.nanosec = choice.choice(_NANOSECONDS)
    message.header.frame_id = odd_text(choice)


def _break_number(field: str, message: Image, choice: random.Random) -> None:
    """Set the height, width or step to a near, a special or any number."""
    number = choice.choice(_NUMBERS) if choice.random() < 0.7 else choice.getrandbits(32)
    if choice.random() < 0.3:
        number = max(0, getattr(message, field) + choice.randint(-2, 2))
    setattr(message, field, number)


def _break_sizes_together(message: Image, choice: random.Random) -> None:
    """Set absurd sizes that are consistent with each other and with the data."""
    message.height = choice.choice((1, max(1, len(message.data))))
    message.step = len(message.data) // message.height
    message.width = message.step // choice.randint(1, 4)


def _break_encoding(message: Image, choice: random.Random) -> None:
    names = (*_CHANNELS, *_WIDE)
    message.encoding = choice.choice(names) if choice.random() < 0.5 else odd_text(choice)


def _break_byte_order(message: Image, choice: random.Random) -> None:
    message.is_bigendian = choice.randint(0, 255)


def break_data(message: Image | CompressedImage, choice: random.Random) -> None:
    """Cut, extend, replace or damage the data."""
    data = message.data
    place = choice.randrange(len(data)) if data else 0
    kind = choice.randrange(5)
    if kind == 0:
        message.data = data[:place]
    elif kind == 1:
        message.data = data + array.array("B", choice.randbytes(choice.randint(1, 9)))
    elif kind == 2:
        message.data = array.array("B", choice.randbytes(choice.randint(0, 99)))
    elif kind == 3 and data:
        for _ in range(choice.randint(1, 9)):
            data[choice.randrange(len(data))] = choice.randrange(256)
    else:
        # A JPEG marker at any place, for a length, a size or another marker.
        message.data = data[:place] + array.array("B", b"\xff\xc0\xff\xff") + data[place + 4 :]


_BREAKS_OF_IMAGES: tuple[Callable[[Image, random.Random], None], ...] = (
    *(functools.partial(_break_number, field) for field in ("height", "width", "step")),
    *(_break_sizes_together, _break_encoding, _break_byte_order, break_data),
)


def odd_text(choice: random.Random) -> str:
    """Return a text that no encoding, format or frame id has."""
    text = choice.choice(_TEXTS)
    return text * choice.choice((1, 1, 1, 50, 500))
