"""A ROS node that records everything the node under test publishes, and calls its services."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from tdnet.continuity import ResetReason, stamp_ns
from tdnet_ros.msg import SegmentationStatus
from tools.harness import ToolError
from tools.harness.node_observer import FrameCounts, NodeObserver, NodeView
from tools.harness.numbered_frames import FRAME_SIZE, OTHER_FRAME, LabelTable, frame_number
from tools.soak.phase import CountTotal, ObservedOutputs
from tools.soak.replay import LabelSample, Replay

# One frame waits in the mailbox, one is being segmented.
MAX_AT_WORK = 2
SERVICE_SECONDS = 120.0
# Number of outputs over which a sample of the run computes percentiles.
WINDOW = 100


class Auditor(NodeObserver):
    """Records in a thread until it is closed.

    Args:
        replay: compares labels with the library's.

    Attributes:
        observed: outputs of the node in this phase.
        views: number of diagnostic messages.
        ages_ms: of the last outputs, each with its arrival in seconds of the steady clock.
    """

    def __init__(self, replay: Replay) -> None:
        super().__init__("soak_auditor")
        self.observed = ObservedOutputs()
        self.views = 0
        self.ages_ms: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._replay = replay
        self._table = LabelTable(replay.references())
        self._lock = threading.Lock()
        self._counted = CountTotal()
        self._begun = FrameCounts()
        self._labels: tuple[int, np.ndarray] | None = None
        self._past: deque[SegmentationStatus] = deque(maxlen=64)
        self.subscribe(Image, "/tdnet/labels", self._take_labels)
        self.subscribe(SegmentationStatus, "/tdnet/status", self._take_status)
        self._parameters = self._node.create_client(SetParameters, "/tdnet/set_parameters")
        self._transitions = self._node.create_client(ChangeState, "/tdnet/change_state")
        self._captures = self._node.create_client(Trigger, "/tdnet/capture")
        self.start()

    @property
    def total(self) -> FrameCounts:
        """Everything that the node has counted so far."""
        with self._lock:
            return self._counted.total

    @property
    def counts(self) -> FrameCounts:
        """Counts of the node in this phase."""
        with self._lock:
            return self._counted.total - self._begun

    @property
    def outputs(self) -> int:
        """Number of label images in this phase."""
        return len(self.observed.arrivals)

    def resets(self, reason: ResetReason) -> int:
        """Return the number of memory resets in this phase for a reason."""
        return self.observed.resets[reason.value]

    def restart_counts(self) -> None:
        """Start from zero with the node: it was activated, or is another process."""
        with self._lock:
            self._counted.restart()
            self._past.clear()
            self._view = None

    def take_phase(self) -> tuple[ObservedOutputs, FrameCounts]:
        """End a phase: return its outputs and the node's counts."""
        replayed = self._replay.take_results()
        with self._lock:
            observed, self.observed = self.observed, ObservedOutputs()
            counts = self._counted.total - self._begun
            self._begun = self._counted.total
            self.ages_ms.clear()
        observed.replayed = len(replayed)
        observed.problems += filter(None, replayed)
        return observed, counts

    def set_parameters(self, values: dict[str, Any]) -> str:
        """Set parameters together; return the reason if refused, else an empty text.

        Raises:
            ToolError: no answer.
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
        """Request a lifecycle transition; return whether it succeeded.

        Raises:
            ToolError: no answer.
        """
        request = ChangeState.Request(transition=Transition(label=label))
        return bool(self._call(self._transitions, request).success)

    def capture(self) -> bool:
        """Request a capture of the last seconds; return whether one was written.

        Raises:
            ToolError: no answer.
        """
        return bool(self._call(self._captures, Trigger.Request()).success)

    def on_view(self, view: NodeView) -> None:
        """Count the frames of new diagnostics."""
        with self._lock:
            super().on_view(view)
            self.views += 1
            self._count(view.counts)

    def _call(self, client: Client, request: object) -> Any:  # noqa: ANN401 (many types)
        if not client.wait_for_service(SERVICE_SECONDS):
            raise ToolError(f"the node has no service {client.srv_name}")
        future = client.call_async(request)
        end = time.monotonic() + SERVICE_SECONDS
        while not future.done():
            if time.monotonic() > end:
                raise ToolError(f"no answer from {client.srv_name} in {SERVICE_SECONDS:.0f} s")
            time.sleep(0.01)
        return future.result()

    def _take_labels(self, message: Image) -> None:
        now, stamp = time.monotonic(), stamp_ns(message.header)
        labels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
        number = frame_number(stamp)
        found = self._table.nearest(labels) if number != OTHER_FRAME else number
        with self._lock:
            self.observed.stamps[stamp] += 1
            self.observed.arrivals.append(now)
            self._labels = (stamp, labels)
            if number == OTHER_FRAME:
                return
            self.observed.checked += 1
            if found != number:
                self.observed.problems.append(
                    f"frame {number} was answered with labels of {found}"
                )

    def _take_status(self, message: SegmentationStatus) -> None:
        with self._lock:
            self._count(
                FrameCounts(message.received, message.segmented, message.dropped, message.refused)
            )
            self.observed.ages_ms.append(message.age_ms)
            self.observed.work_ms.append(message.total_ms - message.wait_ms)
            self.observed.publish_ms.append(message.publish_ms)
            self.ages_ms.append((time.monotonic(), message.age_ms))
            if message.reset_reason:
                self.observed.resets[message.reset_reason] += 1
                self._past.clear()
            self._past.append(message)
            sample = self._sample()
        if sample is not None and self._replay.due():
            self._replay.offer(sample)

    def _sample(self) -> LabelSample | None:
        """Return the last output if all frames in its memory are known."""
        last = self._past[-1]
        stamp = stamp_ns(last.header)
        if self._labels is None or self._labels[0] != stamp:
            return None
        # The library starts with the first path, so the compared frames must too.
        frames = list(self._past)[-1 - last.path :]
        known = (
            last.path == last.memory_frames
            and len(frames) == last.path + 1
            and last.segmented - frames[0].segmented == last.path
            and last.path == last.memory_capacity
        )
        numbers = tuple(frame_number(stamp_ns(frame.header)) for frame in frames)
        if not known or OTHER_FRAME in numbers or self._labels[1].shape != FRAME_SIZE:
            return None
        shown = self._view.model if self._view else {}
        model = ", ".join(shown.get(key, "unknown") for key in ("precision", "runtime"))
        return LabelSample(numbers, self._labels[1], model)

    def _count(self, counts: FrameCounts) -> None:
        if not 0 <= counts.at_work <= MAX_AT_WORK:
            self.observed.problems.append(f"the sums do not agree: {counts}")
        self._counted.update(counts)
