"""One camera of the node: its memory, its counts and its topics."""

from __future__ import annotations

import threading
from typing import NamedTuple

from rclpy.lifecycle import LifecycleNode

from tdnet.continuity import ContinuityPolicy, FrameInfo, ResetReason, stamp_ns
from tdnet.segmenter import Stream, StreamingSegmenter
from tdnet_ros.camera.camera_geometry import CameraGeometry
from tdnet_ros.camera.frame_statistics import FrameStatistics
from tdnet_ros.camera.frame_trace import FrameCounter, FrameTrace
from tdnet_ros.camera.outputs import CameraOutputs
from tdnet_ros.camera.transport_loss import TransportLoss
from tdnet_ros.capture.captures import Captures
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.rclpy_tools.node_log import LogThrottle, describe, one_line
from tdnet_ros.rclpy_tools.qos_events import QosIncidents


class UnfilledMemory(NamedTuple):
    """Gaps in a row that reset a memory before it was full; newest gap and its limit, seconds."""

    resets: int
    gap: float
    limit: float


class Camera:
    """One camera of the node, with its output topics; the only one has no name.

    Attributes:
        last_arrival: of the newest frame, seconds of `time.perf_counter`; None: none arrived.
        deaf: another participant receives its images, and this node does not.
        resets: times that the memory was emptied.
        unfilled: gaps that reset the memory since it was full; None: there was none.
    """

    def __init__(
        self, node: LifecycleNode, name: str, image_transport: str, captures: Captures
    ) -> None:
        # As image_transport does it: the remapped image topic with the transport's name appended.
        topic = node.resolve_topic_name(f"{name}/image" if name else "image")
        self.geometry = CameraGeometry(node, name, topic)
        if image_transport == "compressed":
            # Resolved once more, since that name may be remapped itself.
            topic = node.resolve_topic_name(f"{topic}/compressed")
        self.name = name
        self.input_topic: str = topic
        self.incidents = QosIncidents()
        prefix = f"~/{name}" if name else "~"
        self.outputs = CameraOutputs(node, prefix, self.incidents, self.geometry)
        message_type = "CompressedImage" if image_transport == "compressed" else "Image"
        self.capture = captures.open(name, topic, f"sensor_msgs/msg/{message_type}")
        self.throttle = LogThrottle()
        self._logger = node.get_logger()
        self._lock = threading.Lock()
        self._policy = ContinuityPolicy()
        self._segmenter: StreamingSegmenter | None = None
        self._stream: Stream | None = None
        self._begin()

    def restart(self) -> None:
        """Begin a new activation: no memory, all counts zero."""
        self._begin()
        self.release()
        with self._lock:
            # A reset that the activation before did not carry out is void.
            self._policy = ContinuityPolicy()
            self._policy.reset(ResetReason.ACTIVATED)

    def _begin(self) -> None:
        self.counter = FrameCounter()
        self.loss = TransportLoss()
        self.last_arrival: float | None = None
        self.statistics = FrameStatistics()
        self.deaf = False
        self.last_error = ""
        self.resets = 0
        self.last_reset: ResetReason | None = None
        self.unfilled: UnfilledMemory | None = None

    def release(self) -> None:
        """Release the model, the memory and the frames for captures."""
        self.capture.clear()
        with self._lock:
            self._segmenter = self._stream = None

    def reset(self, reason: ResetReason) -> None:
        """Empty the memory before the next frame; from any thread.

        The first reason since the last frame counts.
        """
        with self._lock:
            self._policy.reset(reason)

    def use(self, segmenter: StreamingSegmenter) -> None:
        """Segment the next frame with a model; a new model starts with an empty memory."""
        with self._lock:
            if segmenter is not self._segmenter:
                if self._stream is not None:
                    self._policy.reset(ResetReason.MODEL)
                # From here on, the old model's memory on the device is free.
                self._segmenter, self._stream = segmenter, None

    def stream_for(
        self, frame: FrameInfo, model: ActiveModel
    ) -> tuple[Stream, ResetReason | None]:
        """Return the stream of a frame, and why its memory was emptied if it was."""
        segmenter = model.segmenter
        self.use(segmenter)
        with self._lock:
            if self._stream is None:
                self._stream = segmenter.open_stream()
            self._policy.max_gap = model.settings.max_gap
            reason = self._policy.check(frame)
            stream = self._stream
            if stream.memory_frames == segmenter.memory_capacity:
                self.unfilled = None
            if reason is ResetReason.GAP:
                before = self.unfilled.resets if self.unfilled else 0
                self.unfilled = UnfilledMemory(before + 1, self._policy.gap, self._policy.limit)
            if reason is not None:
                self.resets += 1
                self.last_reset = reason
        if reason is not None:
            stream.reset()
        return stream, reason

    def published(self, frame: FrameTrace) -> None:
        """Count a frame whose outputs are published, and note the sums in it."""
        self.statistics.add(frame)
        frame.counts = frame.counter.add(segmented=1)

    def capture_by_rule(self, frame: FrameTrace) -> None:
        """Capture the newest frames if a rule demands it; raises nothing."""
        try:
            self.capture.segmented(
                frame.model,
                frame.result,
                stamp_ns(frame.header),
                continued=frame.reset_reason is None,
            )
        except Exception as error:  # the frame itself is out, and counted
            self.warn(f"no capture of {self.input_topic}: {describe(error)}")

    def refuse(self, counter: FrameCounter, problem: str) -> None:
        """Count a frame of an activation that cannot be used, and log why."""
        text = one_line(f"frame of {self.input_topic} refused: {problem}")
        counter.add(refused=1)
        self.last_error = text
        self.warn(text)

    def warn(self, text: str) -> None:
        """Log a warning, unless the same was logged just before."""
        if self.throttle.allows(text):
            self._logger.warning(text)
