"""What the checks of the diagnostics look at: the node now, a camera over the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from operator import sub

from rclpy.lifecycle import LifecycleNode

from tdnet._util.percentiles import Percentiles
from tdnet.continuity import ResetReason
from tdnet_ros.camera.camera import Camera, UnfilledMemory
from tdnet_ros.camera.frame_trace import FrameCounts
from tdnet_ros.diagnostics.input_topic import publisher_types
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.parameters import NodeSettings
from tdnet_ros.process import Start

# Seconds that rates and shares are measured over.
SECONDS = 5.0


@dataclass(frozen=True)
class NodeSnapshot:
    """The node at one moment.

    Attributes:
        state: State of the lifecycle: unconfigured, inactive, active or finalized.
        failure: Why the last transition failed; empty: it succeeded.
        problems: Problems of the model, one sentence each.
        loading: Whether the first model is being loaded.
        namesakes: Other nodes of the same full name in the graph.
    """

    name: str
    state: str
    failure: str = ""
    model: ActiveModel | None = None
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    loading: bool = False
    namesakes: int = 0
    start: Start = field(default_factory=Start)


@dataclass(frozen=True)
class CameraSnapshot:
    """A camera of an active node at one moment, and over the last seconds.

    Attributes:
        publisher_types: Message types published on its topic and on those that users confuse
            with it, by topic.
        now_ns: Time of the node's clock; 0 with `use_sim_time` before the first `/clock`.
        sums: Frames since the activation.
        counts: Frames of the last seconds.
        seconds: Their number.
        silent_for: Seconds since the newest frame, or since the activation.
        missing: Frames missing among the latest, estimated from their stamps.
        latest: Number of the latest frames.
        geometry_problem: Why camera info or points are not published; empty: they are.
        incidents: Peers with an incompatible QoS, a sentence each.
        latency: Percentiles by stage of the newest published frames.
        age: Percentiles of their age; None if no frame has one.
        recent_age: The same, of the frames of the last seconds only.

    The other fields are those of `Camera` and of its statistics.
    """

    input_topic: str
    publisher_types: Mapping[str, Collection[str]]
    settings: NodeSettings
    now_ns: int
    sums: FrameCounts
    counts: FrameCounts
    seconds: float
    silent_for: float
    missing: int = 0
    latest: int = 0
    has_subscriber: bool = False
    geometry_problem: str = ""
    incidents: tuple[str, ...] = ()
    last_error: str = ""
    deaf: bool = False
    unfilled: UnfilledMemory | None = None
    resets: int = 0
    last_reset: ResetReason | None = None
    memory_use: tuple[int, int] | None = None
    latency: Mapping[str, Percentiles] = field(default_factory=dict)
    age: Percentiles | None = None
    recent_age: Percentiles | None = None

    @property
    def due(self) -> int:
        """Frames to be segmented: without those dropped by `max_rate` or while idle."""
        return self.counts.received - (self.counts.dropped - self.counts.overtaken)

    @property
    def rate(self) -> float:
        """Segmented frames a second."""
        return self.counts.segmented / self.seconds

    @property
    def received_rate(self) -> float:
        """Frames a second that arrived."""
        return self.counts.received / self.seconds


class CameraHistory:
    """Counts of one camera since its activation, as far back as the last `SECONDS` reach."""

    def __init__(self, node: LifecycleNode, camera: Camera, activated: float) -> None:
        self._node = node
        self._camera = camera
        self._activated = activated
        self._counts = deque([(activated, FrameCounts())])

    def snapshot(self, settings: NodeSettings, now: float) -> CameraSnapshot:
        """Return the camera's state at a time of `time.perf_counter`."""
        camera, counts, sums = self._camera, self._counts, self._camera.counter.counts
        camera.incidents.recheck(self._node)
        while len(counts) > 1 and counts[1][0] < now - SECONDS:
            counts.popleft()
        since, before = counts[0]
        counts.append((now, sums))
        arrived = self._activated if camera.last_arrival is None else camera.last_arrival
        missing, latest = camera.loss.estimate(now)
        topic = camera.input_topic
        return CameraSnapshot(
            input_topic=topic,
            publisher_types=publisher_types(self._node, topic, settings.image_transport),
            settings=settings,
            now_ns=self._node.get_clock().now().nanoseconds,
            sums=sums,
            counts=FrameCounts(*map(sub, sums, before)),
            seconds=max(now - since, 1e-9),
            silent_for=now - arrived,
            missing=missing,
            latest=latest,
            has_subscriber=bool(camera.outputs.requested()),
            geometry_problem=camera.geometry.problem,
            incidents=camera.incidents.texts,
            last_error=camera.last_error,
            deaf=camera.deaf,
            unfilled=camera.unfilled,
            resets=camera.resets,
            last_reset=camera.last_reset,
            memory_use=camera.statistics.memory_use,
            latency=camera.statistics.latency(),
            age=camera.statistics.age(),
            recent_age=camera.statistics.age(since),
        )
