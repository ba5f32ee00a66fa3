"""A bag that is damaged, or was never finished: what can still be read, from its start on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.typesys.store import Typestore

from tdnet_offline.bags import salvage_mcap, salvage_sqlite
from tdnet_offline.bags.message_types import add_definitions
from tdnet_offline.bags.record import BagRecord, TopicInfo

_READERS = {".db3": salvage_sqlite, ".mcap": salvage_mcap}


class SalvagedBag:
    """The readable beginning of a ROS 2 bag's storage files; see ``Bag``.

    Args:
        path: the bag's folder, or one of its files.
        types: for messages that the bag does not define; the bag's own are added.
        damage: why the bag could not be opened as a whole.

    Raises:
        Exception: of many kinds, if not even the topics can be read.
    """

    def __init__(self, path: Path, types: Typestore, damage: str) -> None:
        self.damage = damage
        self._types = types
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        self._files = [file for file in files if file.suffix in _READERS]
        kinds: dict[str, str] = {}
        definitions: dict[str, str] = {}
        for file in self._files:
            found = _READERS[file.suffix].contents(file)
            kinds.update(found.topics)
            definitions.update(found.definitions)
        if not kinds:
            raise ValueError("no topics found")
        add_definitions(types, definitions.items())
        counts: Counter[str] = Counter()
        try:
            counts.update(record.topic for record in self.records(kinds))
        except Exception as error:
            self.damage = str(error) or damage
        self.topics = {name: TopicInfo(kind, counts[name]) for name, kind in kinds.items()}

    def records(self, topics: Collection[str], start_ns: int = 0) -> Iterator[BagRecord]:
        """Yields records from a time on, in the order in which they were written."""
        for file in self._files:
            for record in _READERS[file.suffix].records(file):
                if record.topic in topics and record.stamp_ns >= start_ns:
                    yield record

    def decode(self, record: BagRecord) -> Any:  # noqa: ANN401
        """Returns a record's message."""
        return self._types.deserialize_cdr(record.data, record.type)

    def close(self) -> None:
        """Does nothing: the files are open only while they are read."""
