"""What the checks of the diagnostics look at: the node now, a camera over the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, field

from rclpy.lifecycle import LifecycleNode

from tdnet_ros.camera.camera import Camera, CameraSnapshot
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
        name: Fully qualified name.
        state: State of the lifecycle: unconfigured, inactive, active or finalized.
        failure: Why the last transition failed; empty: it succeeded.
        model: Loaded model, if there is one.
        cameras: Cameras by name; they receive frames only while the node is active.
        problems: Problems of the model, one sentence each.
        loading: Whether the first model is being loaded.
        namesakes: Other nodes of the same full name in the graph.
        start: Start of the node, with its renewals.
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
class CameraWindow:
    """A camera of an active node over the last seconds.

    Attributes:
        input_topic: Topic of its images.
        publisher_types: Message types published on that topic and on those that users confuse
            with it, by topic.
        settings: Parameters in force.
        now_ns: Time of the node's clock; 0 with `use_sim_time` before the first `/clock`.
        seconds: Length of the window.
        counts: Frames of the window.
        lost: Frames of the window that the middleware lost.
        busy_ms: Milliseconds of the window that the device worked for the camera.
        silent_for: Seconds since the newest frame, or since the activation.
        last: Snapshot at the end of the window.
    """

    input_topic: str
    publisher_types: Mapping[str, Collection[str]]
    settings: NodeSettings
    now_ns: int
    seconds: float
    counts: FrameCounts
    lost: int
    busy_ms: float
    silent_for: float
    last: CameraSnapshot

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
    """Snapshots of one camera, as far back as a window reaches.

    Args:
        node: Node of the camera, for graph and clock.
        camera: A camera.
        activated: Time of its activation, seconds of `time.perf_counter`.
    """

    def __init__(self, node: LifecycleNode, camera: Camera, activated: float) -> None:
        self._node = node
        self._camera = camera
        self._activated = activated
        self._snapshots = deque([CameraSnapshot(at=activated)])

    def window(self, settings: NodeSettings, now: float) -> CameraWindow:
        """Take a snapshot and return the last `SECONDS`.

        Args:
            settings: Parameters in force.
            now: Seconds of `time.perf_counter`.
        """
        camera, snapshots = self._camera, self._snapshots
        camera.incidents.recheck(self._node)
        while len(snapshots) > 1 and snapshots[1].at < now - SECONDS:
            snapshots.popleft()
        first, last = snapshots[0], camera.snapshot(now, snapshots[0].at)
        snapshots.append(last)
        sums = zip(astuple(last.counts), astuple(first.counts), strict=True)
        arrived = self._activated if last.last_arrival is None else last.last_arrival
        return CameraWindow(
            input_topic=camera.input_topic,
            publisher_types=publisher_types(
                self._node, camera.input_topic, settings.image_transport
            ),
            settings=settings,
            now_ns=self._node.get_clock().now().nanoseconds,
            seconds=max(now - first.at, 1e-9),
            counts=FrameCounts(*(after - before for after, before in sums)),
            lost=last.lost - first.lost,
            busy_ms=last.busy_ms - first.busy_ms,
            silent_for=now - arrived,
            last=last,
        )
