"""A ROS node in a thread that observes the node under test: its diagnostics, and more topics."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, fields
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions

from tdnet_ros.rclpy_tools.raw_subscriptions import delivers_bytes
from tools.harness import ToolError
from tools.harness.node_process import NodeProcess

MODEL, CAMERA = "tdnet: model", "tdnet: camera"
# A large network on a slow CPU takes minutes to load and warm up.
ACTIVE_SECONDS = 300.0


@dataclass(frozen=True)
class FrameCounts:
    """Frames that the node counted since it was activated."""

    received: int = 0
    segmented: int = 0
    dropped: int = 0
    refused: int = 0

    @property
    def answered(self) -> int:
        """Frames that were segmented, dropped or refused."""
        return self.segmented + self.dropped + self.refused

    @property
    def at_work(self) -> int:
        """Frames that wait or are being segmented."""
        return self.received - self.answered

    def __add__(self, other: FrameCounts) -> FrameCounts:
        return FrameCounts(*map(operator.add, astuple(self), astuple(other)))

    def __sub__(self, other: FrameCounts) -> FrameCounts:
        return FrameCounts(*map(operator.sub, astuple(self), astuple(other)))


@dataclass(frozen=True)
class NodeView:
    """The node's state in one diagnostic message.

    Attributes:
        active: whether the node accepts frames.
        failure: why it cannot be configured or activated; empty: no failure.
        counts: of its frames.
        last_error: reason for the last refused frame; empty: none was refused.
        model: device, precision, input size, memory and so on, as text.
    """

    active: bool
    failure: str
    counts: FrameCounts
    last_error: str = ""
    model: Mapping[str, str] = field(default_factory=dict)


class NodeObserver:
    """Subscribes to the node's diagnostics, in a thread from `start` to `close`.

    Args:
        name: of the ROS node.

    Attributes:
        failure: what ended the thread; None: nothing.
    """

    def __init__(self, name: str) -> None:
        self.failure: BaseException | None = None
        self._view: NodeView | None = None
        self._context = Context()
        options = SignalHandlerOptions.NO
        rclpy.init(args=[], context=self._context, signal_handler_options=options)
        self._node = rclpy.create_node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.subscribe(DiagnosticArray, "/diagnostics", self._take_diagnostics)

    @property
    def view(self) -> NodeView | None:
        """The node's last diagnostics; None: none yet.

        Raises:
            BaseException: what ended the thread, such as a full disk.
        """
        if self.failure is not None:
            raise self.failure
        return self._view

    def start(self) -> None:
        """Start to receive."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and the ROS node."""
        self._ending.set()
        self._thread.join()
        self._executor.shutdown(timeout_sec=0)
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def subscribe(
        self,
        message_type: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        *,
        depth: int = 200,
        latched: bool = False,
        raw: bool = False,
    ) -> None:
        """Subscribe reliably; `latched`: also to the last message, `raw`: to messages as bytes."""
        qos = QoSProfile(
            depth=depth,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy["TRANSIENT_LOCAL" if latched else "VOLATILE"],
        )
        direct = not raw or delivers_bytes()

        def receive(message: object) -> None:
            callback(message if direct else serialize_message(message))

        self._node.create_subscription(message_type, topic, receive, qos, raw=raw and direct)

    def wait_until_active(self, node: NodeProcess) -> float:
        """Wait until the node accepts frames; return the seconds this took.

        Raises:
            ToolError: it ends, cannot be configured, or takes too long; with its own reason.
        """
        return node.wait_until(self._is_active, "the active node", ACTIVE_SECONDS)

    def on_view(self, view: NodeView) -> None:
        """Use new diagnostics of the node; called in the thread."""
        self._view = view

    def spin(self) -> None:
        """Receive until the end; called in the thread."""
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _is_active(self) -> bool:
        view = self.view
        if view is not None and view.failure:
            raise ToolError(f"the node reports: {view.failure}")
        return view is not None and view.active

    def _run(self) -> None:
        try:
            self.spin()
        except BaseException as error:
            self.failure = error

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        statuses = {status.name: status for status in message.status}
        if MODEL not in statuses:
            return
        model = _values(statuses[MODEL])
        camera = _values(statuses[CAMERA]) if CAMERA in statuses else {}
        failed = statuses[MODEL].level == DiagnosticStatus.ERROR
        self.on_view(
            NodeView(
                active=model.get("state") == "active",
                failure=statuses[MODEL].message if failed else "",
                counts=FrameCounts(*(int(camera.get(f.name, 0)) for f in fields(FrameCounts))),
                last_error=camera.get("last error", ""),
                model=model,
            )
        )


def _values(status: DiagnosticStatus) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}
