"""The bag that is played: its camera messages as they are, and its ground truth if present."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError
from tdnet_offline.bags import REPAIR, BagRecord, image_topics, message_types, open_bag
from tdnet_offline.frames import Frame
from tdnet_offline.frames.bag_images import COMPRESSED, BagImages
from tdnet_offline.street_bag import LABEL_TOPIC

_COMPRESSED_SUFFIX = "/compressed"


class CameraBag:
    """One image topic of a bag.

    Args:
        path: a ROS 2 bag, or a ROS 1 .bag file.
        topic: its image topic; None where it has only one, the labels aside.

    Attributes:
        path: of the bag.
        topic: of the images.
        num_messages: camera messages in the bag, at least one.
        rate: frames a second, as far as the bag says.
        compressed: whether they are JPEG or PNG.
        base_topic: the topic that image_transport would be told: without ``/compressed``.
        published_topic: the topic on which the node expects the messages.

    Raises:
        InputError: the bag cannot be read, or has no such topic; the message lists its topics.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        with open_bag(path) as bag:
            images = image_topics(bag)
        self._has_labels = LABEL_TOPIC in images and topic != LABEL_TOPIC
        if topic is None and self._has_labels and len(images) == 2:
            (topic,) = (name for name in images if name != LABEL_TOPIC)
        source = BagImages(path, topic)
        self.path = path
        self.topic = source.topic
        self.num_messages = source.num_frames or 0
        self.rate = source.frame_rate
        self.compressed = images[self.topic] == COMPRESSED
        suffix = _COMPRESSED_SUFFIX if self.compressed else ""
        self.base_topic = self.topic.removesuffix(suffix)
        self.published_topic = self.base_topic + suffix
        if self.num_messages == 0:
            raise InputError(f"{path}: topic {self.topic!r} has no message in it")

    def records(self) -> Iterator[tuple[int, BagRecord]]:
        """Yields stamp in nanoseconds and ROS 2 message, in the order of the recording.

        Raises:
            InputError: the bag is damaged; all messages before the damage are yielded first.
        """
        types = message_types() if self.path.suffix == ".bag" else None
        count = 0
        with open_bag(self.path) as bag:
            try:
                for record in bag.records([self.topic]):
                    data = record.data
                    if types is not None:
                        data = bytes(types.ros1_to_cdr(data, record.type))
                    yield cdr_stamp_ns(data), replace(record, data=data)
                    count += 1
            # From the stamp of damaged bytes; rosbags passes on the exceptions of its storages.
            except Exception as error:
                raise InputError(
                    f"{self.path}: damaged after {count} frames ({error}); {REPAIR}"
                ) from error

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yields stamp in nanoseconds and image of the messages that can be decoded."""
        for frame in BagImages(self.path, self.topic):
            if isinstance(frame, Frame) and frame.stamp_ns is not None:
                yield frame.stamp_ns, frame

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yields stamp in nanoseconds and (H, W) uint8 true class ids; nothing without labels."""
        if not self._has_labels:
            return
        for frame in BagImages(self.path, LABEL_TOPIC):
            if isinstance(frame, Frame) and frame.stamp_ns is not None:
                yield frame.stamp_ns, np.ascontiguousarray(frame.image[..., 0])


def cdr_stamp_ns(data: bytes) -> int:
    """Reads the stamp of a serialized message that begins with a header, in nanoseconds."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
