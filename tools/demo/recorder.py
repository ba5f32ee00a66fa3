"""Recorder of the topics of the node."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rosbags.typesys.store import Typestore
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from tdnet_offline.bags import BagWriter, message_types
from tdnet_ros.msg import ClassMap, SegmentationStatus
from tools.demo.camera_bag import cdr_stamp_ns
from tools.harness.node_view import NodeView, node_view

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
STATUS, CLASS_MAP, DIAGNOSTICS = "/tdnet/status", "/tdnet/class_map", "/diagnostics"
TOPICS = (
    Topic(LABELS, Image),
    Topic(CONFIDENCE, Image),
    Topic(OVERLAY, Image),
    Topic(STATUS, SegmentationStatus),
    Topic(CLASS_MAP, ClassMap, latched=True),
    Topic("/tdnet/label_info", LabelInfo, latched=True),
    Topic(DIAGNOSTICS, DiagnosticArray),
)


def recorded_types() -> Typestore:
    """Return the message types of all recorded topics.

    Raises:
        PackageNotFoundError: the messages are not built, or their environment is not sourced.
    """
    shares = {name: Path(get_package_share_directory(name)) for name in _OWN_PACKAGES}
    return message_types({name: share / "msg" for name, share in shares.items()})


class Recorder:
    """Record in a thread until `stop`.

    Args:
        path: folder of the bag; must not exist.

    Attributes:
        arrivals: steady clock, in nanoseconds, when the overlay of a stamp arrived.
        counts: recorded messages by topic.
    """

    def __init__(self, path: Path) -> None:
        self.arrivals: dict[int, int] = {}
        self.counts: Counter[str] = Counter()
        self._path = path
        self._view: NodeView | None = None
        self._failure: BaseException | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def view(self) -> NodeView | None:
        """The last diagnostics of the node; None: none yet.

        Raises:
            OSError: the recording cannot be written.
        """
        if self._failure is not None:
            raise self._failure
        return self._view

    @property
    def connected(self) -> bool:
        """Whether the latched messages of the node have arrived."""
        return all(self.counts[topic.name] for topic in TOPICS if topic.latched)

    def stop(self) -> None:
        """End the recording and finish the bag."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._record()
        except BaseException as error:
            self._failure = error

    def _record(self) -> None:
        # On Ctrl-C the run ends in order and finishes the bag.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("demo_recorder")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        types = recorded_types()
        # Only the thread that opened the storage may use it.
        try:
            with BagWriter(self._path, types) as writer:
                for topic in TOPICS:
                    self._subscribe(node, writer, types, topic)
                while not self._ending.is_set():
                    executor.spin_once(timeout_sec=0.1)
        finally:
            executor.shutdown(timeout_sec=0)
            node.destroy_node()
            rclpy.try_shutdown()

    def _subscribe(self, node: Node, writer: BagWriter, types: Typestore, topic: Topic) -> None:
        def record(data: bytes) -> None:
            now = time.monotonic_ns()
            message = types.deserialize_cdr(data, topic.kind)
            writer.write(topic.name, message, time.time_ns(), latched=topic.latched)
            if topic.name == OVERLAY:
                self.arrivals[cdr_stamp_ns(data)] = now
            if topic.name == DIAGNOSTICS:
                seen = node_view(deserialize_message(data, DiagnosticArray))
                self._view = seen or self._view
            self.counts[topic.name] += 1

        durability = DurabilityPolicy.TRANSIENT_LOCAL
        node.create_subscription(
            topic.message_type,
            topic.name,
            record,
            QoSProfile(
                depth=20,
                reliability=ReliabilityPolicy.RELIABLE,
                durability=durability if topic.latched else DurabilityPolicy.VOLATILE,
            ),
            raw=True,
        )
