"""`/diagnostics`: whether the node works, how fast, and why nothing comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from tdnet.streaming import StreamingSegmenter
from tdnet_ros.camera import Camera
from tdnet_ros.frame_pipeline import Recipe
from tdnet_ros.log_throttle import LogThrottle
from tdnet_ros.process_memory import MEBIBYTE, device_mebibytes, host_mebibytes
from tdnet_ros.silence import CameraView, Finding, explain_silence
from tdnet_ros.status import FrameCounts

# Seconds that a cause must last before it is logged: who just started has not found its peers.
SETTLED_AFTER = 1.5


@dataclass(frozen=True)
class NodeView:
    """What the diagnostics look at; the node gives it for every message.

    Attributes:
        state: of the lifecycle: unconfigured, inactive or active.
        failure: why the last transition failed; empty: it did not.
        recipe: the loaded model, where there is one.
        cameras: by name; frames come in only while the node is active.
        problems: what makes the model's status an error, a sentence each.
    """

    state: str
    failure: str
    recipe: Recipe | None
    cameras: Mapping[str, Camera]
    problems: tuple[str, ...] = ()


@dataclass
class _LastLook:
    counts: FrameCounts
    received_at: float
    finding: Finding | None = None
    found_at: float = 0.0
    logged: Finding | None = None


class Diagnostics:
    """Publishes one diagnostic message in a period: a status for the model, one for each camera.

    Args:
        node: publishes and logs.
        view: gives the state of the node.
        period: seconds between two messages.
    """

    def __init__(self, node: LifecycleNode, view: Callable[[], NodeView], period: float) -> None:
        self._node = node
        self._view = view
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # A paused simulation must not silence what would explain its silence.
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(period, self.publish, clock=self._clock)
        self._throttle = LogThrottle()
        self._looks: dict[str, _LastLook] = {}
        self._looked_at = time.monotonic()

    def set_period(self, period: float) -> None:
        """Change the time between two messages: seconds."""
        if self._timer.timer_period_ns != round(period * 1e9):
            self._timer.timer_period_ns = round(period * 1e9)
            self._timer.reset()

    def restart(self) -> None:
        """Begin a new activation: what was seen of the cameras before does not count."""
        self._looks.clear()
        self._looked_at = time.monotonic()

    def publish(self) -> None:
        """Look at the node and publish what is seen."""
        view = self._view()
        now = time.monotonic()
        elapsed = max(now - self._looked_at, 1e-9)
        self._looked_at = now
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._model_status(view)]
        if view.state == "active" and view.recipe is not None:
            message.status += [
                self._camera_status(camera, view.recipe, now, elapsed)
                for camera in view.cameras.values()
            ]
        self._publisher.publish(message)

    def _model_status(self, view: NodeView) -> DiagnosticStatus:
        values: dict[str, object] = {"state": view.state}
        host = host_mebibytes()
        if host is not None:
            values["host memory MiB"] = f"{host:.0f}"
        if view.recipe is not None:
            values.update(_model_values(view.recipe.segmenter))
        if view.failure:
            level, text = DiagnosticStatus.ERROR, view.failure
        elif view.problems:
            level, text = DiagnosticStatus.ERROR, "; ".join(view.problems)
        elif view.state != "active":
            level, text = DiagnosticStatus.WARN, f"not active: the node is {view.state}"
        else:
            level, text = DiagnosticStatus.OK, "active"
        return self._status("model", level, text, values)

    def _camera_status(
        self, camera: Camera, recipe: Recipe, now: float, elapsed: float
    ) -> DiagnosticStatus:
        counts = camera.counter.counts
        last = self._looks.setdefault(camera.name, _LastLook(FrameCounts(), now))
        seen = CameraView(
            input_topic=camera.input_topic,
            publishers=self._node.count_publishers(camera.input_topic),
            has_subscriber=camera.publishers.wanted().any,
            idles=recipe.settings.idle_without_subscribers,
            incidents=tuple(camera.incidents.texts),
            received=counts.received - last.counts.received,
            segmented=counts.segmented - last.counts.segmented,
            refused=counts.refused - last.counts.refused,
            last_error=camera.last_error,
            silent_for=now - last.received_at,
        )
        if seen.received:
            last.received_at = now
            camera.incidents.forget(camera.input_topic)
        last.counts = counts
        finding = explain_silence(seen)
        self._log(last, finding)
        level = DiagnosticStatus.OK
        if finding and not finding.harmless:
            level = DiagnosticStatus.WARN
        rate = seen.segmented / elapsed
        text = finding.text if finding else f"{rate:.1f} frames a second"
        values: dict[str, object] = {
            "frames a second": f"{rate:.2f}",
            "frames a second received": f"{seen.received / elapsed:.2f}",
            "received": counts.received,
            "segmented": counts.segmented,
            "dropped": counts.dropped,
            "refused": counts.refused,
            "last error": camera.last_error,
        }
        latencies = list(camera.latencies)
        if latencies:
            p50, p95 = np.percentile(latencies, (50, 95))
            values.update({"latency ms p50": f"{p50:.1f}", "latency ms p95": f"{p95:.1f}"})
        name = f"camera {camera.name}" if camera.name else "camera"
        return self._status(name, level, text, values)

    def _log(self, last: _LastLook, finding: Finding | None) -> None:
        now = time.monotonic()
        if finding != last.finding:
            last.finding, last.found_at = finding, now
        if finding == last.logged or now - last.found_at < SETTLED_AFTER:
            return
        last.logged = finding
        if finding is None or not self._throttle.allows(finding.text):
            return
        if finding.harmless:
            self._node.get_logger().info(finding.text)
        else:
            self._node.get_logger().warning(finding.text)

    def _status(
        self, name: str, level: bytes, text: str, values: Mapping[str, object]
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=level,
            name=f"{self._node.get_name()}: {name}",
            message=text,
            hardware_id=self._node.get_fully_qualified_name(),
            values=_key_values(values.items()),
        )


def _key_values(values: Iterable[tuple[str, object]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values]


def _model_values(segmenter: StreamingSegmenter) -> dict[str, object]:
    values: dict[str, object] = {
        "variant": segmenter.variant.name,
        "class map": segmenter.class_map.name,
        "device": segmenter.device,
        "precision": segmenter.precision,
        "input size": "{} x {}".format(*segmenter.input_size),
        "memory of a camera MiB": f"{segmenter.memory_bytes / MEBIBYTE:.1f}",
    }
    used = device_mebibytes(segmenter.device)
    if used is not None:
        values["device memory MiB"] = f"{used:.0f}"
    return values
