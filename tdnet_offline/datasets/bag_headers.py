"""What the headers of a bag's images say: when each was taken, and which labels are whose."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tdnet.errors import one_line
from tdnet_offline.bags import Bag
from tdnet_offline.datasets.breaks import CaptureTime
from tdnet_offline.frames.bag_images import header_stamp_ns


@dataclass
class TopicHeaders:
    """The messages of a topic, in the order in which the bag gives them.

    Attributes:
        headers: None where the message is damaged.
        times_ns: when each was recorded.
    """

    headers: list[CaptureTime | None] = field(default_factory=list)
    times_ns: list[int] = field(default_factory=list)


def read_headers(bag: Bag, topics: Collection[str]) -> tuple[dict[str, TopicHeaders], str]:
    """Read the headers of some topics, and what ended the reading: empty if nothing did."""
    found = {topic: TopicHeaders() for topic in topics}
    damage = bag.damage
    try:
        for record in bag.records(topics):
            header: CaptureTime | None
            try:
                message = bag.decode(record)
                header = CaptureTime(header_stamp_ns(message), message.header.frame_id)
            except Exception:  # whatever the readers meet in damaged bytes
                header = None
            found[record.topic].headers.append(header)
            found[record.topic].times_ns.append(record.stamp_ns)
    except Exception as error:
        damage = one_line(str(error) or type(error).__name__)
    return found, damage


def pair_labels(
    images: Sequence[CaptureTime | None], labels: Sequence[CaptureTime | None]
) -> tuple[dict[int, int], int]:
    """Find the labels of each image by their stamp.

    A recording may go round, or nobody set its stamps: then a stamp comes several times, and its
    first image belongs to its first labels and so on, provided that there are equally many.

    Returns:
        Number of the labels by number of the image, and how many labels have a stamp that repeats
        and not equally often, so that nobody knows whose they are.
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


def frame_rate(headers: Iterable[CaptureTime | None]) -> float | None:
    """Return frames a second by the stamps; None if they do not say."""
    stamps = [header.stamp_ns for header in headers if header is not None]
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    gap = statistics.median(gaps) if gaps else 0
    return 1e9 / gap if gap > 0 else None
