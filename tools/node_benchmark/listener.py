"""The subscriber of a measured node: labels, and optionally confidence and overlay."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from tdnet_ros.msg import SegmentationStatus
from tools.harness.node_view import NodeView, node_view
from tools.node_benchmark.frame_record import FrameRecord


class Listener:
    """Subscribe to labels, status and diagnostics, in a thread until `close`.

    Images are received serialized and discarded: their use is not part of the measurement.

    Args:
        overlay: whether to subscribe to confidence and overlay too, as RViz does.

    Attributes:
        view: last diagnostics of the node; None: none yet.
    """

    def __init__(self, *, overlay: bool) -> None:
        self.view: NodeView | None = None
        self._overlay = overlay
        self._lock = threading.Lock()
        self._records: list[FrameRecord] = []
        self._context = Context()
        options = SignalHandlerOptions.NO
        rclpy.init(args=[], context=self._context, signal_handler_options=options)
        self._node = rclpy.create_node("node_benchmark", context=self._context)
        self._subscribe(SegmentationStatus, "/tdnet/status", self._take_status, depth=1000)
        self._subscribe(DiagnosticArray, "/diagnostics", self._take_diagnostics, depth=10)
        for topic in ("labels", "confidence", "overlay") if overlay else ("labels",):
            self._subscribe(Image, f"/tdnet/{topic}", lambda _: None, depth=1, raw=True)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="listener", daemon=True)
        self._thread.start()

    def take(self) -> list[FrameRecord]:
        """Return the frames since the last call whose subscribed outputs were all published."""
        with self._lock:
            records, self._records = self._records, []
        return records

    @property
    def heard(self) -> int:
        """Number of frames that the next `take` returns."""
        with self._lock:
            return len(self._records)

    def close(self) -> None:
        """Stop the thread and destroy the node."""
        self._executor.shutdown(timeout_sec=0)
        self._thread.join()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def _take_status(self, message: SegmentationStatus) -> None:
        record = FrameRecord.of(message, time.monotonic())
        if record.labels_published and record.overlay_drawn == self._overlay:
            with self._lock:
                self._records.append(record)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        self.view = node_view(message) or self.view

    def _subscribe(
        self,
        message_type: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        *,
        depth: int,
        raw: bool = False,
    ) -> None:
        qos = QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)
        self._node.create_subscription(message_type, topic, callback, qos, raw=raw)
