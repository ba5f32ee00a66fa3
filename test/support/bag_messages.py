"""Decoded messages of a bag."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tdnet_offline.bags import open_bag


class BagMessage(NamedTuple):
    """A message with its topic's type and its time of recording in nanoseconds."""

    topic: str
    type: str
    stamp_ns: int
    message: Any


def read_messages(path: Path, topics: Collection[str]) -> Iterator[BagMessage]:
    """Yield the messages of some topics in the order of time."""
    with open_bag(path) as bag:
        for record in bag.records(topics):
            yield BagMessage(record.topic, record.type, record.stamp_ns, bag.decode(record))
