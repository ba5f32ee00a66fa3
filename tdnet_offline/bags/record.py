"""What every kind of bag gives: its topics, and its records in the order of their time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class BagRecord:
    """One message as it is stored.

    Attributes:
        topic: its name.
        type: of the message, such as ``sensor_msgs/msg/Image``.
        stamp_ns: when it was recorded, nanoseconds since the epoch.
        data: serialized, as the bag holds it.
    """

    topic: str
    type: str
    stamp_ns: int
    data: bytes


@dataclass(frozen=True)
class TopicInfo:
    """A topic's message type, and how many messages of it can be read."""

    type: str
    count: int


class Bag(Protocol):
    """An open bag."""

    @property
    def topics(self) -> Mapping[str, TopicInfo]:
        """What is recorded, by name."""
        ...

    @property
    def damage(self) -> str:
        """One line on what is wrong with the bag; empty if nothing is known to be."""
        ...

    def records(self, topics: Collection[str], start_ns: int = 0) -> Iterator[BagRecord]:
        """Yields the records of some topics from a time on; raises where the bag is damaged."""
        ...

    def decode(self, record: BagRecord) -> Any:  # noqa: ANN401
        """Returns a record's message: an object with the message's fields."""
        ...

    def close(self) -> None:
        """Closes the files."""
        ...
