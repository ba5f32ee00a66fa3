"""Frames from the image messages of a bag, decoded to the same pixels as by the node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from tdnet.continuity import stamp_ns
from tdnet.errors import InputError, one_line
from tdnet.frames.image_encodings import decode_compressed, decode_image_message
from tdnet_offline.bags import REPAIR, Bag, bag_reason, image_topics, open_bag
from tdnet_offline.frames.source import Frame, FrameSource, RefusedFrame, median_rate

COMPRESSED = "sensor_msgs/msg/CompressedImage"
MAX_DESCRIPTION = 120
_TIMED_FRAMES = 31


class BagImages(FrameSource):
    """The images of one topic, in the order in which they were recorded.

    A frame is named by its number in the topic and its stamp in nanoseconds,
    ``000000_1700000000123456789``; stamp and frame id are the header's. Where a bag is damaged,
    the last frame is a refused one with the reason.

    Args:
        path: folder of a ROS 2 bag, or its .mcap or .db3 file, or a ROS 1 .bag file.
        topic: of type Image or CompressedImage; None if the bag has only one such topic.

    Raises:
        InputError: the bag cannot be opened, or the topic is not in it, holds no images, or is
            None though there are several.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        self._path = path
        with open_bag(path) as bag:
            self.topic = choose_image_topic(path, topic, bag)
            self.num_frames = bag.topics[self.topic].count
            self.frame_rate = _frame_rate(bag, self.topic)
        self.description = one_line(f"{path.name} {self.topic}", MAX_DESCRIPTION)

    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        """Yield the images; damaged messages and the end of a damaged bag as refused frames."""
        with open_bag(self._path) as bag:
            records = bag.records([self.topic])
            index = 0
            while True:
                name = f"{index:06d}"
                try:
                    record = next(records)
                except StopIteration:
                    return
                except Exception as error:  # rosbags passes on the exceptions of its storages
                    yield RefusedFrame(name, bag_damage(error))
                    return
                try:
                    frame = frame_of_message(name, bag.decode(record), record.type)
                except Exception as error:  # a bag may define image types with other fields
                    frame = RefusedFrame(name, one_line(f"the message is damaged ({error})"))
                yield frame
                index += 1


def bag_damage(error: Exception) -> str:
    """Return one line about the error that ended the reading of a bag."""
    return f"the bag is damaged, nothing is read after this point ({bag_reason(error)}); {REPAIR}"


def frame_of_message(name: str, message: Any, kind: str) -> Frame | RefusedFrame:  # noqa: ANN401
    """Decode a message of one of the image types.

    Args:
        name: the message's number in its topic.
        message: of a type named ``kind``, which the bag may define otherwise than ROS.
        kind: type of the message.
    """
    stamp = stamp_ns(message.header)
    name = f"{name}_{stamp}"
    try:
        if kind == COMPRESSED:
            image = decode_compressed(message.format, message.data)
        else:
            image = decode_image_message(message)
    except InputError as error:
        return RefusedFrame(name, str(error))
    return Frame(name, stamp, message.header.frame_id, image)


def choose_image_topic(path: Path, topic: str | None, bag: Bag) -> str:
    """Return the topic if it holds images; for None the bag's only image topic.

    Raises:
        InputError: it holds none, or the bag has several image topics; lists them.
    """
    images = sorted(image_topics(bag))
    listed = ", ".join(images) or "none"
    if topic is None:
        if len(images) == 1:
            return images[0]
        raise InputError(f"{path}: choose a topic; image topics in this bag: {listed}")
    if topic not in bag.topics:
        raise InputError(f"{path}: no topic {topic!r}; image topics in this bag: {listed}")
    if topic not in images:
        raise InputError(
            f"{path}: topic {topic!r} holds {bag.topics[topic].type}, not images; "
            f"image topics in this bag: {listed}"
        )
    return topic


def _frame_rate(bag: Bag, topic: str) -> float | None:
    """Return frames a second at the start of the recording; None if unknown."""
    times: list[int] = []
    with suppress(Exception):  # damage is reported when the frames are read
        times.extend(record.stamp_ns for record in islice(bag.records([topic]), _TIMED_FRAMES))
    return median_rate(times)
