"""What the node keeps for each camera: its memory, its rate, its counts and its topics."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from rclpy.lifecycle import LifecycleNode

from tdnet.continuity import ContinuityPolicy, FrameInfo, ResetReason
from tdnet.segmenter import SegmentationResult, Stream, StreamingSegmenter
from tdnet_ros.camera.image_messages import CameraMessage
from tdnet_ros.camera.output_gaps import OutputGaps
from tdnet_ros.camera.publishers import CameraPublishers
from tdnet_ros.camera.stage_statistics import Percentiles, StageStatistics
from tdnet_ros.camera.status import FrameCounter, FrameCounts, FrameTimes
from tdnet_ros.camera.transport_loss import TransportLoss
from tdnet_ros.rclpy_tools.log_throttle import LogThrottle
from tdnet_ros.rclpy_tools.qos_events import QosIncidents


@dataclass(frozen=True)
class ArrivedFrame:
    """A camera message and when it arrived: seconds of `time.perf_counter`."""

    message: CameraMessage
    arrived: float


class RateLimit:
    """Lets at most so many frames a second pass, on average and at even distances."""

    def __init__(self) -> None:
        self._due = -math.inf
        self._period = 0.0

    def passes(self, now: float, max_rate: float) -> bool:
        """Say whether a frame that arrives now passes.

        Args:
            now: seconds of any steady clock.
            max_rate: frames a second; 0: no limit.
        """
        if max_rate <= 0:
            return True
        period = 1 / max_rate
        # Another rate counts from the last frame that passed.
        self._due += period - self._period
        self._period = period
        if now < self._due:
            return False
        # Counting from when it was due keeps the average where frames arrive at other times;
        # after a pause it starts anew, so that no burst makes up for it.
        self._due = self._due + period if now - self._due < period else now + period
        return True


@dataclass(frozen=True)
class MemoryUse:
    """How the newest published frame of a camera used the memory.

    Attributes:
        path: the sub-network, 0 to N - 1, that processed it.
        frames: past frames that the memory held for it.
    """

    path: int
    frames: int


@dataclass(frozen=True)
class UnfilledMemory:
    """Gaps that reset a camera's memory, in a row: it was never full in between.

    Attributes:
        resets: how many.
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
        name: of the camera; empty where there is only one.
        input_topic: fully qualified topic of its images.
        publishers: its output topics.
        incidents: peers whose QoS does not fit.

    Attributes:
        throttle: everything that is logged of this camera passes it.
        loss: frames that did not arrive.
        counter: what became of those that did.
        statistics: how long the published ones took.
        gaps: how long nothing was published.
        busy_ms: time that the stages of the network took, in all.
        memory_use: of the newest published frame.
        resets: times that the memory was emptied.
        unfilled: gaps that reset the memory since it was full; None: there is none.
        last_reset: why it was emptied the last time.
        last_error: why the newest of the refused frames was refused.
        deaf: another participant receives its images, and this node does not.
    """

    def __init__(
        self,
        name: str,
        input_topic: str,
        publishers: CameraPublishers,
        incidents: QosIncidents,
    ) -> None:
        self.name = name
        self.input_topic = input_topic
        self.publishers = publishers
        self.incidents = incidents
        self.throttle = LogThrottle()
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
            # What was to happen to the memory of the activation before is of no interest now.
            self._policy = ContinuityPolicy()
            self._policy.reset(ResetReason.ACTIVATED)

    def _begin(self) -> None:
        self.rate_limit = RateLimit()
        self.loss = TransportLoss()
        self.counter = FrameCounter()
        self.statistics = StageStatistics()
        self.gaps = OutputGaps()
        self.busy_ms = 0.0
        self.memory_use: MemoryUse | None = None
        self.resets = 0
        self.unfilled: UnfilledMemory | None = None
        self.last_reset: ResetReason | None = None
        self.last_error = ""
        self.deaf = False

    def release(self) -> None:
        """Let go of the model and the memory."""
        with self._lock:
            self._segmenter = self._stream = None

    def reset(self, reason: ResetReason) -> None:
        """Have the memory emptied before the next frame; from any thread.

        The first reason since the last frame counts: it is what happened to the memory.
        """
        with self._lock:
            self._policy.reset(reason)

    def use(self, segmenter: StreamingSegmenter) -> None:
        """Have the next frame segmented by a model; another one than before starts anew."""
        with self._lock:
            if segmenter is not self._segmenter:
                if self._stream is not None:
                    self._policy.reset(ResetReason.MODEL)
                # What the model before keeps on the device is free from here on.
                self._segmenter, self._stream = segmenter, None

    def stream_for(
        self, frame: FrameInfo, segmenter: StreamingSegmenter, max_gap: float
    ) -> tuple[Stream, ResetReason | None]:
        """Give the stream that a frame belongs to, emptied where the frame may not use its memory.

        Args:
            frame: what the memory contract looks at.
            segmenter: the model of this frame; another one than before opens another stream.
            max_gap: longest time between two frames of one view, seconds; 0: automatic.

        Returns:
            The stream, and why its memory was emptied.
        """
        self.use(segmenter)
        with self._lock:
            if self._stream is None:
                self._stream = segmenter.open_stream()
            self._policy.max_gap = max_gap
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

    def published(
        self, result: SegmentationResult, times: FrameTimes, age_ms: float
    ) -> FrameCounts:
        """Count a frame whose outputs are published, and give the sums.

        Args:
            result: what it became.
            times: when it reached each stage.
            age_ms: stamp to publication; NaN without a stamp or a started clock.
        """
        self.statistics.add(times, result.times, age_ms)
        self.gaps.published(times.published)
        self.memory_use = MemoryUse(result.path, result.memory_frames)
        return self.counter.add(segmented=1)

    def worked(self, milliseconds: float) -> None:
        """Count time that the network took; from any thread."""
        with self._lock:
            self.busy_ms += milliseconds

    def refuse(self, text: str) -> None:
        """Count a frame that could not be used and remember why."""
        self.counter.add(refused=1)
        self.last_error = text

    def snapshot(self, now: float, since: float) -> CameraSnapshot:
        """Return the camera's state; from the executor's thread.

        Args:
            now: seconds of `time.perf_counter`.
            since: from which on a frame counts for `recent_age`.
        """
        use = self.memory_use
        missing, latest = self.loss.estimate(now)
        return CameraSnapshot(
            at=now,
            counts=self.counter.counts,
            lost=self.loss.lost,
            missing=missing,
            latest=latest,
            last_arrival=self.loss.last_arrival,
            busy_ms=self.busy_ms,
            has_subscriber=self.publishers.wanted().any,
            incidents=self.incidents.texts,
            last_error=self.last_error,
            deaf=self.deaf,
            unfilled=self.unfilled,
            resets=self.resets,
            last_reset=self.last_reset,
            path=use.path if use else None,
            memory_frames=use.frames if use else 0,
            latency=self.statistics.latency(),
            age=self.statistics.age(),
            recent_age=self.statistics.age(since),
        )


def create_camera(node: LifecycleNode, name: str, image_transport: str) -> Camera:
    """Create a camera and its output topics.

    Args:
        node: that publishes.
        name: empty for the only camera.
        image_transport: ``raw`` or ``compressed``.
    """
    # As image_transport does it: the remapped image topic with the transport's name appended.
    topic = node.resolve_topic_name(f"{name}/image" if name else "image")
    if image_transport == "compressed":
        # Resolved once more, since that name may be remapped itself.
        topic = node.resolve_topic_name(f"{topic}/compressed")
    incidents = QosIncidents()
    publishers = CameraPublishers(node, f"~/{name}" if name else "~", incidents)
    return Camera(name, topic, publishers, incidents)
