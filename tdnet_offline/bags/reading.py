"""Reads bags: the messages of some topics in order, and one clear line where that fails."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.typesys.store import Typestore

from tdnet._util.regular_files import EMPTY, file_problem
from tdnet.errors import InputError
from tdnet_offline.bags.indexed_bag import IndexedBag
from tdnet_offline.bags.message_types import message_types
from tdnet_offline.bags.record import Bag
from tdnet_offline.bags.salvage_sqlite import is_cut_off
from tdnet_offline.bags.salvaged_bag import SalvagedBag

# What rosbag2 writes about a bag of ten thousand files.
MAX_METADATA_BYTES = 4 << 20
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: its name.
        type: of the message, such as ``sensor_msgs/msg/Image``.
        stamp_ns: when it was recorded, nanoseconds since the epoch.
        message: an object with the message's fields.
    """

    topic: str
    type: str
    stamp_ns: int
    message: Any


@contextmanager
def open_bag(path: Path, types: Typestore | None = None) -> Iterator[Bag]:
    """Open a bag: ROS 2 (sqlite3 or mcap), ROS 1, or what is left of a damaged ROS 2 one.

    Args:
        path: the bag's folder, or its .db3, .mcap or .bag file.
        types: for bags that do not define their messages; None: the standard ones.

    Raises:
        InputError: there is no bag, or nothing of it can be read.
    """
    bag = _open(path, types or message_types())
    try:
        yield bag
    finally:
        bag.close()


def _open(path: Path, types: Typestore) -> Bag:
    if not path.exists():
        raise InputError(
            f"{path}: no such bag; give a bag's folder, or its .mcap, .db3 or .bag file"
        )
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        _check_file(file)
    try:
        if any(file.suffix == ".db3" and is_cut_off(file) for file in files):
            raise ValueError("the file is cut off")
        return IndexedBag(path, types)
    except Exception as error:
        # rosbags passes on whatever its storage meets in damaged bytes.
        reason = _one_line(error)
    try:
        return SalvagedBag(path, types, reason)
    except Exception as error:
        raise InputError(
            f"{path}: not a bag that can be read ({reason}); give a bag's folder, or its .mcap, "
            ".db3 or .bag file"
        ) from error


def _check_file(file: Path) -> None:
    """Refuse what could stop or fill the machine before a reader opens it.

    Raises:
        InputError: a pipe, a device, or metadata of an absurd size.
    """
    largest = MAX_METADATA_BYTES if file.name == "metadata.yaml" else sys.maxsize
    problem = None if file.is_dir() else file_problem(file, largest)
    if problem and problem != EMPTY:
        raise InputError(f"{file}: {problem}; give a bag as it was recorded")


def image_topics(path: Path) -> dict[str, str]:
    """Return the topics of a bag that hold images, with their message types.

    Raises:
        InputError: the bag cannot be read.
    """
    with open_bag(path) as bag:
        return _image_topics(bag)


def _image_topics(bag: Bag) -> dict[str, str]:
    return {name: info.type for name, info in bag.topics.items() if info.type in IMAGE_TYPES}


def read_messages(
    path: Path, topics: Collection[str], types: Typestore | None = None
) -> Iterator[BagMessage]:
    """Yield the messages of some topics in the order in which they were recorded.

    All that can be read of a damaged bag comes before the exception that tells of the damage.

    Args:
        path: the bag's folder, or its .db3, .mcap or .bag file.
        topics: their names.
        types: for bags that do not define their messages; None: the standard ones.

    Raises:
        InputError: the bag is missing or damaged, or a topic is not in it.
    """
    with open_bag(path, types) as bag:
        for topic in topics:
            if topic not in bag.topics:
                images = ", ".join(sorted(_image_topics(bag))) or "none"
                raise InputError(f"{path}: no topic {topic!r}; image topics in this bag: {images}")
        count = 0
        damage = bag.damage
        try:
            for record in bag.records(topics):
                message = bag.decode(record)
                yield BagMessage(record.topic, record.type, record.stamp_ns, message)
                count += 1
        except GeneratorExit:
            raise
        except Exception as error:
            damage = _one_line(error)
        if damage:
            raise InputError(
                f"{path}: damaged after {count} messages ({damage}); what comes after is lost, "
                "unless `ros2 bag reindex` mends it"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
