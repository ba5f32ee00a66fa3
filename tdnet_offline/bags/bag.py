"""Read bags: topics, records in order of time, and one clear error for what cannot be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.reader import DirectoryReader, Reader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader
from rosbags.typesys.store import Typestore

from tdnet._util.regular_files import EMPTY, file_problem
from tdnet.errors import InputError, one_line
from tdnet_offline.bags.messages import message_types

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
REPAIR = "`ros2 bag reindex` rebuilds a bag's metadata, `mcap recover` a damaged .mcap file"
MAX_METADATA_BYTES = 4 << 20
_STORAGE_SUFFIXES = (".db3", ".mcap")
_SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class TopicInfo:
    """A topic's message type, such as ``sensor_msgs/msg/Image``, and its number of messages."""

    type: str
    count: int


@dataclass(frozen=True)
class BagRecord:
    """One message as it is stored.

    Attributes:
        topic: its name.
        type: of the message.
        stamp_ns: time of recording, nanoseconds since the epoch.
        data: serialized, as the bag holds it.
    """

    topic: str
    type: str
    stamp_ns: int
    data: bytes


class Bag:
    """An open bag; see `open_bag`.

    Attributes:
        topics: recorded topics by name.
    """

    def __init__(self, reader: AnyReader) -> None:
        self._reader = reader
        self.topics = {
            name: TopicInfo(info.msgtype or "", info.msgcount)
            for name, info in reader.topics.items()
        }

    def records(self, topics: Collection[str], start_ns: int = 0) -> Iterator[BagRecord]:
        """Yield the records of some topics in order of time, from a time on.

        Raises:
            Exception: of any kind, where the bag is damaged.
        """
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        messages = self._reader.messages(connections=connections, start=start_ns or None)
        for connection, stamp, data in messages:
            yield BagRecord(connection.topic, connection.msgtype, stamp, bytes(data))

    def decode(self, record: BagRecord) -> Any:  # noqa: ANN401
        """Return a record's message: an object with the message's fields.

        Raises:
            Exception: of any kind, if its bytes are damaged.
        """
        return self._reader.deserialize(record.data, record.type)


@contextmanager
def open_bag(path: Path, types: Typestore | None = None) -> Iterator[Bag]:
    """Open a bag: ROS 2 (sqlite3 or mcap), or ROS 1.

    Args:
        path: the bag's folder, or its .db3, .mcap or .bag file. A folder without metadata, as a
            killed recorder leaves it, may hold one such file.
        types: for bags that do not define their messages; None: the standard ones.

    Raises:
        InputError: there is no bag, or it cannot be opened.
    """
    if not path.exists():
        raise InputError(
            f"{path}: no such bag; give a bag's folder, or its .mcap, .db3 or .bag file"
        )
    reader = _open(path, types or message_types())
    try:
        yield Bag(reader)
    finally:
        reader.close()


def _open(path: Path, types: Typestore) -> AnyReader:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        # A pipe or a device would block.
        limit = MAX_METADATA_BYTES if file.name == "metadata.yaml" else sys.maxsize
        problem = None if file.is_dir() else file_problem(file, limit)
        if problem and problem != EMPTY:
            raise InputError(f"{file}: {problem}; give a bag as it was recorded")
    storage = [file for file in files if file.suffix in _STORAGE_SUFFIXES]
    has_metadata = any(file.name == "metadata.yaml" for file in files)
    source = path if has_metadata or len(storage) != 1 else storage[0]
    try:
        reader = AnyReader([source], default_typestore=types)
        if reader.is2:
            reader.readers = [_Reader(source)]
        reader.open()
    except Exception as error:  # rosbags passes on the exceptions of its storages
        raise InputError(
            f"{path}: not a bag that can be read ({bag_reason(error)}); give a bag's folder or "
            f"its .mcap, .db3 or .bag file; {REPAIR}"
        ) from error
    return reader


class _Sqlite3Reader(Sqlite3Reader):
    """Refuses a file that is cut off, and quotes the path, which rosbags writes into a URI."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            head = file.read(18)
        if head.startswith(_SQLITE_MAGIC):
            # SQLite reads the missing bytes of a last page as zeros.
            page_size = int.from_bytes(head[16:], "big")
            page_size = 65536 if page_size == 1 else page_size
            if page_size == 0 or path.stat().st_size % page_size:
                raise ReaderError("the file is cut off")
        super().__init__(Path(quote(os.fsencode(path))))


class _DirectoryReader(DirectoryReader):
    """A folder whose sqlite3 files `_Sqlite3Reader` reads."""

    STORAGE_PLUGINS = {  # noqa: RUF012
        **DirectoryReader.STORAGE_PLUGINS,
        "sqlite3": _Sqlite3Reader,
    }


class _Reader(Reader):
    """A ROS 2 bag whose sqlite3 files `_Sqlite3Reader` reads."""

    STORAGE_PLUGINS = {  # noqa: RUF012
        **Reader.STORAGE_PLUGINS,
        "dir": _DirectoryReader,
        ".db3": _Sqlite3Reader,
    }


def image_topics(bag: Bag) -> dict[str, str]:
    """Return the topics of a bag that hold images, with their message types."""
    return {name: info.type for name, info in bag.topics.items() if info.type in IMAGE_TYPES}


def bag_reason(error: Exception) -> str:
    """Return one line about an exception of rosbags."""
    return one_line(str(error) or type(error).__name__)
