"""Random access to the messages of a bag topic, and the headers of its topics."""

from __future__ import annotations

import os
import weakref
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tdnet.continuity import stamp_ns
from tdnet.errors import InputError
from tdnet_offline.bags import Bag, BagRecord, open_bag
from tdnet_offline.datasets.video import CaptureTime
from tdnet_offline.frames.bag_images import bag_damage

_READ_OVER = 4
"""Messages to skip by reading on instead of a search by time."""


class BagTopic:
    """A topic of a bag; each process that uses it opens the bag itself.

    Args:
        path: of the bag.
        topic: its name.
        times_ns: time of recording of each message, in the order of the bag.
    """

    def __init__(self, path: Path, topic: str, times_ns: list[int]) -> None:
        self._path, self._topic, self._times = path, topic, times_ns
        self._forget()

    def _forget(self) -> None:
        self._process = 0
        self._bag: Bag | None = None
        self._records: Iterator[tuple[int, BagRecord]] = iter(())
        self._next = 0

    def message(self, number: int) -> Any:  # noqa: ANN401
        """Return a message and its type.

        Raises:
            InputError: it cannot be read or decoded.
        """
        try:
            record = self._record(number)
            return self._opened().decode(record), record.type
        except InputError:
            raise
        except Exception as error:  # rosbags passes on the exceptions of its parser
            raise InputError(
                f"{self._path}: {self._topic} message {number} is damaged ({error})"
            ) from error

    def _record(self, number: int) -> BagRecord:
        bag = self._opened()
        if not self._next <= number <= self._next + _READ_OVER:
            start = self._times[number]
            numbers = (n for n, time in enumerate(self._times) if time >= start)
            self._records = zip(numbers, bag.records([self._topic], start), strict=False)
        for found, record in self._records:
            self._next = found + 1
            if found == number:
                return record
        raise InputError(f"{self._path}: {self._topic} has no message {number} any more")

    def _opened(self) -> Bag:
        """Open the bag once per process: a child must not use the file handle of its parent."""
        if self._bag is None or self._process != os.getpid():
            self._forget()
            self._process = os.getpid()
            resources = ExitStack()
            self._bag = resources.enter_context(open_bag(self._path))
            # At interpreter exit, closing must run before modules are torn down.
            weakref.finalize(self, resources.close)
            self._records = enumerate(self._bag.records([self._topic]))
        return self._bag

    def __getstate__(self) -> tuple[Path, str, list[int]]:
        return self._path, self._topic, self._times

    def __setstate__(self, state: tuple[Path, str, list[int]]) -> None:
        self._path, self._topic, self._times = state
        self._forget()


@dataclass
class TopicHeaders:
    """Headers of a topic's messages, in the order of the bag.

    Attributes:
        headers: None for a damaged message.
        times_ns: times of recording, nanoseconds since the epoch.
    """

    headers: list[CaptureTime | None] = field(default_factory=list)
    times_ns: list[int] = field(default_factory=list)


def read_headers(bag: Bag, topics: Collection[str]) -> tuple[dict[str, TopicHeaders], str | None]:
    """Read the headers of some topics; also return the damage that ended the reading, or None."""
    found = {topic: TopicHeaders() for topic in topics}
    damage = None
    try:
        for record in bag.records(topics):
            header: CaptureTime | None
            try:
                message = bag.decode(record)
                header = CaptureTime(stamp_ns(message.header), message.header.frame_id)
            except Exception:  # rosbags passes on the exceptions of its parser
                header = None
            found[record.topic].headers.append(header)
            found[record.topic].times_ns.append(record.stamp_ns)
    except Exception as error:
        damage = bag_damage(error)
    return found, damage


def pair_labels(
    images: Sequence[CaptureTime | None], labels: Sequence[CaptureTime | None]
) -> tuple[dict[int, int], int]:
    """Match labels to images by their timestamps.

    If a timestamp repeats (a recording that loops, or stamps that are not set), its first image
    belongs to its first labels and so on, provided that there are equally many.

    Returns:
        Number of the labels by number of the image, and the number of labels that cannot be
        assigned: there are not as many images of the same timestamp.
    """
    numbers_of, others_of = _numbers_by_stamp(images), _numbers_by_stamp(labels)
    pairs: dict[int, int] = {}
    unclear = 0
    for stamp, others in others_of.items():
        numbers = numbers_of.get(stamp, [])
        if len(numbers) == len(others):
            pairs.update(zip(numbers, others, strict=True))
        elif numbers:
            unclear += len(others)
    return pairs, unclear


def _numbers_by_stamp(headers: Iterable[CaptureTime | None]) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for number, header in enumerate(headers):
        if header is not None:
            numbers[header.stamp_ns].append(number)
    return numbers
