"""One camera of the node: its memory, its counts and its topics."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecycleNode

from tdnet.continuity import ContinuityPolicy, FrameInfo, ResetReason
from tdnet.segmenter import Stream, StreamingSegmenter
from tdnet_ros.camera.frame_statistics import FrameStatistics, OutputGaps, Percentiles
from tdnet_ros.camera.frame_trace import FrameCounter, FrameCounts, FrameTrace
from tdnet_ros.camera.outputs import CameraOutputs
from tdnet_ros.camera.transport_loss import TransportLoss
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.rclpy_tools.node_log import LogThrottle, one_line
from tdnet_ros.rclpy_tools.qos_events import QosIncidents


@dataclass(frozen=True)
class UnfilledMemory:
    """Gaps in a row that reset a camera's memory before it was full.

    Attributes:
        resets: their number.
        gap: the newest of them, seconds between two segmented frames.
        limit: seconds that were allowed then.
    """

    resets: int
    gap: float
    limit: float


@dataclass(frozen=True)
class CameraSnapshot:
    """A camera at one moment, as the diagnostics read it; the defaults are those at activation.

    Attributes:
        at: time of the snapshot, seconds of `time.perf_counter`.
        counts: frames received, segmented, dropped, refused.
        lost: frames that the middleware lost.
        missing: frames missing among the latest, estimated from their stamps.
        latest: number of the latest frames.
        last_arrival: when the newest frame arrived; None: none did.
        busy_ms: time that the device spent on its frames.
        has_subscriber: an output has a subscriber.
        incidents: peers with an incompatible QoS, a sentence each.
        last_error: why the newest refused frame was refused.
        deaf: another participant receives its images, and this node does not.
        unfilled: gaps that reset the memory since it was full; None: there was none.
        resets: times that the memory was emptied.
        last_reset: why it was emptied the last time.
        path: sub-network, 0 to N - 1, of the newest published frame; None: there is none.
        memory_frames: past frames that the memory held for it.
        latency: percentiles by stage of the newest published frames.
        age: percentiles of their age; None if no frame has one.
        recent_age: of those published since the moment that the snapshot was taken for.
    """

    at: float
    counts: FrameCounts = field(default_factory=FrameCounts)
    lost: int = 0
    missing: int = 0
    latest: int = 0
    last_arrival: float | None = None
    busy_ms: float = 0.0
    has_subscriber: bool = False
    incidents: tuple[str, ...] = ()
    last_error: str = ""
    deaf: bool = False
    unfilled: UnfilledMemory | None = None
    resets: int = 0
    last_reset: ResetReason | None = None
    path: int | None = None
    memory_frames: int = 0
    latency: Mapping[str, Percentiles] = field(default_factory=dict)
    age: Percentiles | None = None
    recent_age: Percentiles | None = None


class Camera:
    """One camera of the node.

    Args:
        name: of the camera; empty for the only one.
        input_topic: fully qualified topic of its images.
        outputs: its output topics.
        incidents: peers with an incompatible QoS.
        logger: of the node.

    Attributes:
        throttle: limits all log lines of this camera.
        loss: counts frames that did not arrive.
        counter: counts frames that arrived, by their outcome.
        statistics: of the published frames.
        gaps: intervals without a published frame.
        deaf: another participant receives its images, and this node does not.
    """

    def __init__(
        self,
        name: str,
        input_topic: str,
        outputs: CameraOutputs,
        incidents: QosIncidents,
        logger: RcutilsLogger,
    ) -> None:
        self.name = name
        self.input_topic = input_topic
        self.outputs = outputs
        self.incidents = incidents
        self.throttle = LogThrottle()
        self._logger = logger
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
        self.loss = TransportLoss()
        self.counter = FrameCounter()
        self.statistics = FrameStatistics()
        self.gaps = OutputGaps()
        self.deaf = False
        self._busy_ms = 0.0
        self._resets = 0
        self._unfilled: UnfilledMemory | None = None
        self._last_reset: ResetReason | None = None
        self._last_error = ""

    def release(self) -> None:
        """Release the model and the memory."""
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
        """Return the stream of a frame, emptied if the frame may not use its memory.

        Args:
            frame: stamp, size and frame id, which the memory contract compares.
            model: of this frame; another one than before opens another stream.

        Returns:
            The stream, and why its memory was emptied.
        """
        segmenter = model.segmenter
        self.use(segmenter)
        with self._lock:
            if self._stream is None:
                self._stream = segmenter.open_stream()
            self._policy.max_gap = model.settings.max_gap
            reason = self._policy.check(frame)
            stream = self._stream
            if stream.memory_frames == segmenter.memory_capacity:
                self._unfilled = None
            if reason is ResetReason.GAP:
                before = self._unfilled.resets if self._unfilled else 0
                self._unfilled = UnfilledMemory(before + 1, self._policy.gap, self._policy.limit)
            if reason is not None:
                self._resets += 1
                self._last_reset = reason
        if reason is not None:
            stream.reset()
        return stream, reason

    def published(self, frame: FrameTrace) -> None:
        """Count a frame whose outputs are published, and note the sums in it."""
        self.statistics.add(frame)
        self.gaps.published(frame.published)
        frame.counts = frame.counter.add(segmented=1)

    def count_busy(self, milliseconds: float) -> None:
        """Count time that the network took; from any thread."""
        with self._lock:
            self._busy_ms += milliseconds

    def refuse(self, counter: FrameCounter, problem: str) -> None:
        """Count a frame that cannot be used, and log why.

        Args:
            counter: of the frame's activation.
            problem: of the frame.
        """
        text = one_line(f"frame of {self.input_topic} refused: {problem}")
        counter.add(refused=1)
        self._last_error = text
        self.warn(text)

    def warn(self, text: str) -> None:
        """Log a warning, unless the same was logged just before."""
        if self.throttle.allows(text):
            self._logger.warning(text)

    def snapshot(self, now: float, since: float) -> CameraSnapshot:
        """Return the camera's state; from the executor's thread.

        Args:
            now: seconds of `time.perf_counter`.
            since: from which on a frame counts for `recent_age`.
        """
        missing, latest = self.loss.estimate(now)
        path, memory_frames = self.statistics.memory_use()
        return CameraSnapshot(
            at=now,
            counts=self.counter.counts,
            lost=self.loss.lost,
            missing=missing,
            latest=latest,
            last_arrival=self.loss.last_arrival,
            busy_ms=self._busy_ms,
            has_subscriber=bool(self.outputs.requested()),
            incidents=self.incidents.texts,
            last_error=self._last_error,
            deaf=self.deaf,
            unfilled=self._unfilled,
            resets=self._resets,
            last_reset=self._last_reset,
            path=path,
            memory_frames=memory_frames,
            latency=self.statistics.latency(),
            age=self.statistics.age(),
            recent_age=self.statistics.age(since),
        )


def create_camera(node: LifecycleNode, name: str, image_transport: str) -> Camera:
    """Create a camera and its output topics.

    Args:
        node: owner of the publishers.
        name: empty for the only camera.
        image_transport: ``raw`` or ``compressed``.
    """
    # As image_transport does it: the remapped image topic with the transport's name appended.
    topic = node.resolve_topic_name(f"{name}/image" if name else "image")
    if image_transport == "compressed":
        # Resolved once more, since that name may be remapped itself.
        topic = node.resolve_topic_name(f"{topic}/compressed")
    incidents = QosIncidents()
    outputs = CameraOutputs(node, f"~/{name}" if name else "~", incidents)
    return Camera(name, topic, outputs, incidents, node.get_logger())
