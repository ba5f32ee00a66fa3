"""A bag that is whole: its index tells what is where."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys.store import Typestore

from tdnet_offline.bags.plain_sqlite import check_databases
from tdnet_offline.bags.record import BagRecord, TopicInfo
from tdnet_offline.bags.unpacking import limit_rosbags


class IndexedBag:
    """A bag that `rosbags` can open: ROS 2 (sqlite3, mcap) or ROS 1; see ``Bag``.

    Args:
        path: the bag's folder, or its file.
        types: for bags that do not define their messages.
    """

    damage = ""

    def __init__(self, path: Path, types: Typestore) -> None:
        limit_rosbags()
        check_databases()
        self._reader = AnyReader([path], default_typestore=types)
        self._reader.open()
        self.topics = {
            name: TopicInfo(info.msgtype or "", info.msgcount)
            for name, info in self._reader.topics.items()
        }

    def records(self, topics: Collection[str], start_ns: int = 0) -> Iterator[BagRecord]:
        """Yields the records of some topics in the order of their time, from one on."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        messages = self._reader.messages(connections=connections, start=start_ns or None)
        for connection, stamp, data in messages:
            yield BagRecord(connection.topic, connection.msgtype, stamp, bytes(data))

    def decode(self, record: BagRecord) -> Any:  # noqa: ANN401
        """Returns a record's message."""
        return self._reader.deserialize(record.data, record.type)

    def close(self) -> None:
        """Closes the files."""
        self._reader.close()
