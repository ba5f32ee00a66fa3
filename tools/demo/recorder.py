"""Recorder of the topics of the node."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from tdnet_offline.bags import BagWriter, message_types
from tdnet_ros.msg import ClassMap, SegmentationStatus
from tools.demo.camera_bag import cdr_stamp_ns
from tools.harness.node_observer import NodeObserver

# Packages whose messages are not among the common ones.
_OWN_PACKAGES = ("tdnet_ros", "vision_msgs")


@dataclass(frozen=True)
class Topic:
    """A recorded topic; `latched`: late subscribers receive the last message."""

    name: str
    message_type: type[Any]
    latched: bool = False

    @property
    def kind(self) -> str:
        """Name of the message type, as in ``sensor_msgs/msg/Image``."""
        package = self.message_type.__module__.split(".")[0]
        return f"{package}/msg/{self.message_type.__name__}"


LABELS, CONFIDENCE, OVERLAY = "/tdnet/labels", "/tdnet/confidence", "/tdnet/overlay"
STATUS, CLASS_MAP = "/tdnet/status", "/tdnet/class_map"
TOPICS = (
    Topic(LABELS, Image),
    Topic(CONFIDENCE, Image),
    Topic(OVERLAY, Image),
    Topic(STATUS, SegmentationStatus),
    Topic(CLASS_MAP, ClassMap, latched=True),
    Topic("/tdnet/label_info", LabelInfo, latched=True),
    Topic("/diagnostics", DiagnosticArray),
)


class Recorder(NodeObserver):
    """Record in a thread until `close`.

    Args:
        path: folder of the bag; must not exist.

    Attributes:
        arrivals: steady clock, in nanoseconds, when the overlay of a stamp arrived.
        counts: recorded messages by topic.

    Raises:
        PackageNotFoundError: the messages are not built, or their environment is not sourced.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("demo_recorder")
        self.arrivals: dict[int, int] = {}
        self.counts: Counter[str] = Counter()
        shares = {name: Path(get_package_share_directory(name)) for name in _OWN_PACKAGES}
        self._types = message_types({name: share / "msg" for name, share in shares.items()})
        self._path = path
        self.start()

    def is_connected(self) -> bool:
        """Return whether the latched messages of the node have arrived."""
        return all(self.counts[topic.name] for topic in TOPICS if topic.latched)

    def spin(self) -> None:
        """Record until the end."""
        # Only the thread that opened the storage may use it.
        with BagWriter(self._path, self._types) as writer:
            for topic in TOPICS:
                self._record(writer, topic)
            super().spin()

    def _record(self, writer: BagWriter, topic: Topic) -> None:
        def record(data: bytes) -> None:
            now = time.monotonic_ns()
            message = self._types.deserialize_cdr(data, topic.kind)
            writer.write(topic.name, message, time.time_ns(), latched=topic.latched)
            if topic.name == OVERLAY:
                self.arrivals[cdr_stamp_ns(data)] = now
            self.counts[topic.name] += 1

        self.subscribe(
            topic.message_type, topic.name, record, depth=20, latched=topic.latched, raw=True
        )
