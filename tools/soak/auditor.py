"""A ROS node that listens to everything the node under test says, and asks it for things."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from tdnet_ros.msg import SegmentationStatus
from tools.harness.node_view import FrameCounts, NodeView, node_view
from tools.soak.account import Heard, Tally, minus
from tools.soak.contents import OTHER_CONTENT, LabelTable, content_of, stamp_ns
from tools.soak.errors import SoakError
from tools.soak.replay import Replay, Sample, is_comparable

# One frame waits in the mailbox, one is at work.
MAX_AT_WORK = 2
SERVICE_SECONDS = 120.0
# Outputs over which a sample of the run takes its percentiles.
WINDOW = 100


class Auditor:
    """Listens in a thread until it is closed.

    Args:
        replay: compares labels with the library's.

    Attributes:
        view: the node's last diagnostic message; None: none yet.
        views: how many diagnostic messages came.
        ages_ms: of the last outputs, with the steady clock's seconds at which they came.
    """

    def __init__(self, replay: Replay) -> None:
        self.view: NodeView | None = None
        self.views = 0
        self.ages_ms: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._replay = replay
        self._table = LabelTable(replay.references())
        self._lock = threading.Lock()
        self._heard = Heard()
        self._tally = Tally()
        self._begun = FrameCounts()
        self._labels: tuple[int, np.ndarray] | None = None
        self._past: deque[SegmentationStatus] = deque(maxlen=64)
        self._context = Context()
        options = SignalHandlerOptions.NO
        rclpy.init(args=[], context=self._context, signal_handler_options=options)
        self._node = rclpy.create_node("soak_auditor", context=self._context)
        qos = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
        subscribe = self._node.create_subscription
        subscribe(Image, "/tdnet/labels", self._take_labels, qos)
        subscribe(SegmentationStatus, "/tdnet/status", self._take_status, qos)
        subscribe(DiagnosticArray, "/diagnostics", self._take_diagnostics, qos)
        self._parameters = self._node.create_client(SetParameters, "/tdnet/set_parameters")
        self._transitions = self._node.create_client(ChangeState, "/tdnet/change_state")
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="auditor", daemon=True)
        self._thread.start()

    @property
    def total(self) -> FrameCounts:
        """Everything that the node has counted so far."""
        with self._lock:
            return self._tally.total

    @property
    def counts(self) -> FrameCounts:
        """What the node counted in this phase."""
        with self._lock:
            return minus(self._tally.total, self._begun)

    @property
    def outputs(self) -> int:
        """Label images that came in this phase."""
        with self._lock:
            return len(self._heard.arrivals)

    @property
    def resets(self) -> dict[str, int]:
        """How often the memory was emptied in this phase, by reason."""
        with self._lock:
            return dict(self._heard.resets)

    @property
    def publish_p95(self) -> float:
        """95th percentile of the time that publishing took in this phase: milliseconds."""
        with self._lock:
            times = self._heard.publish_ms
            return float(np.percentile(times, 95)) if times else 0.0

    @property
    def longest_gap(self) -> float:
        """The longest time between two outputs of this phase: seconds."""
        with self._lock:
            return self._heard.longest_gap or 0.0

    def restart_counts(self) -> None:
        """The node counts from zero from now on: it was activated, or is another process."""
        with self._lock:
            self._tally.restart()
            self._past.clear()
            self.view = None

    def take_phase(self) -> tuple[Heard, FrameCounts]:
        """Give what came since the last call, and the node's counts for it; a phase ends."""
        with self._lock:
            heard, self._heard = self._heard, Heard()
            counts = minus(self._tally.total, self._begun)
            self._begun = self._tally.total
            self.ages_ms.clear()
            return heard, counts

    def gap_since(self, moment: float) -> float:
        """Give the longest time without an output since a moment of the steady clock: seconds."""
        with self._lock:
            before = [t for t in self._heard.arrivals if t <= moment]
            times = [*before[-1:], *(t for t in self._heard.arrivals if t > moment)]
        return float(np.diff([*times, time.monotonic()]).max()) if times else 0.0

    def report_replay(self, problem: str | None) -> None:
        """Take the result of a comparison with the library."""
        with self._lock:
            self._heard.replayed += 1
            if problem:
                self._heard.wrong.append(problem)

    def set_parameters(self, values: dict[str, Any]) -> str:
        """Set parameters together, as `ros2 param` does; the reason if refused, else empty.

        Raises:
            SoakError: no answer.
        """
        request = SetParameters.Request(
            parameters=[
                Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
            ]
        )
        results = self._call(self._parameters, request).results
        refusals = [result.reason for result in results if not result.successful]
        return "; ".join(refusals)

    def transition(self, label: str) -> bool:
        """Ask for a transition of the lifecycle; whether it succeeded.

        Raises:
            SoakError: no answer.
        """
        request = ChangeState.Request(transition=Transition(label=label))
        return bool(self._call(self._transitions, request).success)

    def close(self) -> None:
        """End listening."""
        self._ending.set()
        self._thread.join()
        self._executor.shutdown(timeout_sec=0)
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _call(self, client: Client, request: object) -> Any:  # noqa: ANN401 (many types)
        if not client.wait_for_service(SERVICE_SECONDS):
            raise SoakError(f"the node has no service {client.srv_name}")
        future = client.call_async(request)
        end = time.monotonic() + SERVICE_SECONDS
        while not future.done():
            if time.monotonic() > end:
                raise SoakError(f"no answer of {client.srv_name} in {SERVICE_SECONDS:.0f} s")
            time.sleep(0.01)
        return future.result()

    def _take_labels(self, message: Image) -> None:
        now, stamp = time.monotonic(), stamp_ns(message.header)
        labels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
        content = content_of(stamp)
        found = self._table.nearest(labels) if content != OTHER_CONTENT else content
        with self._lock:
            self._heard.stamps[stamp] += 1
            self._heard.arrivals.append(now)
            self._labels = (stamp, labels)
            if content == OTHER_CONTENT:
                return
            self._heard.checked += 1
            if found != content:
                self._heard.wrong.append(f"frame {content} was answered with labels of {found}")

    def _take_status(self, message: SegmentationStatus) -> None:
        with self._lock:
            self._see(
                FrameCounts(message.received, message.segmented, message.dropped, message.refused)
            )
            self._heard.ages_ms.append(message.age_ms)
            self._heard.work_ms.append(message.total_ms - message.wait_ms)
            self._heard.publish_ms.append(message.publish_ms)
            self.ages_ms.append((time.monotonic(), message.age_ms))
            if message.reset_reason:
                self._heard.resets[message.reset_reason] += 1
                self._past.clear()
            self._past.append(message)
            sample = self._sample()
        if sample is not None and self._replay.due():
            self._replay.offer(sample)

    def _sample(self) -> Sample | None:
        """The last output, if everything that its memory holds is known."""
        last = self._past[-1]
        stamp = stamp_ns(last.header)
        if self._labels is None or self._labels[0] != stamp:
            return None
        # The library begins with the first path; so must what is compared with it.
        frames = list(self._past)[-1 - last.path :]
        known = (
            last.path == last.memory_frames
            and len(frames) == last.path + 1
            and last.segmented - frames[0].segmented == last.path
            and last.path == last.memory_capacity
        )
        contents = tuple(content_of(stamp_ns(frame.header)) for frame in frames)
        if not known or OTHER_CONTENT in contents or not is_comparable(self._labels[1]):
            return None
        return Sample(contents, self._labels[1])

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        view = node_view(message)
        if view is None:
            return
        with self._lock:
            self.view = view
            self.views += 1
            self._see(view.counts)

    def _see(self, counts: FrameCounts) -> None:
        if not 0 <= counts.at_work <= MAX_AT_WORK:
            self._heard.wrong.append(f"the sums do not agree: {counts}")
        self._tally.see(counts)
