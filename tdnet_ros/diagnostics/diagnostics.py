"""The publisher of `/diagnostics`: one status for the model, one for each camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from tdnet._util.percentiles import Percentiles
from tdnet._util.process_usage import usage_of
from tdnet.settings import PACKAGED_PURPOSE
from tdnet_ros.camera.camera import Camera
from tdnet_ros.diagnostics.checks import (
    CAMERA_CHECKS,
    NEXT_STEP,
    NODE_CHECKS,
    run_checks,
    stamps_of_another_clock,
)
from tdnet_ros.diagnostics.issues import Issue, IssueLog, Severity, summarize
from tdnet_ros.diagnostics.snapshot import CameraHistory, CameraSnapshot, NodeSnapshot
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.rclpy_tools.node_log import LogThrottle

MEBIBYTE = 1024 * 1024
Values = Iterator[tuple[str, object]]


class Diagnostics:
    """Runs the checks and publishes one diagnostic message a period, in seconds."""

    def __init__(
        self, node: LifecycleNode, snapshot: Callable[[], NodeSnapshot], period: float
    ) -> None:
        self._node = node
        self._snapshot = snapshot
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Steady: a paused simulation must not stop the diagnostics.
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(period, self.publish, clock=self._clock)
        self._activated = time.perf_counter()
        self._log = IssueLog(node.get_logger(), LogThrottle(), self._activated)
        self._cameras: dict[str, tuple[CameraHistory, IssueLog]] = {}

    def set_period(self, period: float) -> None:
        """Change the time between two messages: seconds."""
        if self._timer.timer_period_ns != round(period * 1e9):
            self._timer.timer_period_ns = round(period * 1e9)
            self._timer.reset()

    def restart(self) -> None:
        """Begin a new activation: discard the histories of the cameras."""
        self._cameras.clear()
        self._activated = time.perf_counter()

    def publish(self) -> None:
        """Run the checks and publish the result."""
        snapshot = self._snapshot()
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._model_status(snapshot)]
        if snapshot.state == "active" and snapshot.model is not None:
            message.status += self._camera_statuses(snapshot.cameras, snapshot.model)
        self._publisher.publish(message)

    def _model_status(self, node: NodeSnapshot) -> DiagnosticStatus:
        issues = run_checks(NODE_CHECKS, node)
        # Errors were logged when they occurred.
        new = [issue for issue in issues if issue.severity is not Severity.ERROR]
        self._log.update(new, time.perf_counter())
        return self._status("model", issues, "active", model_values(node))

    def _camera_statuses(
        self, cameras: Mapping[str, Camera], model: ActiveModel
    ) -> Iterator[DiagnosticStatus]:
        now = time.perf_counter()
        for name, camera in cameras.items():
            if name not in self._cameras:
                history = CameraHistory(self._node, camera, self._activated)
                log = IssueLog(self._node.get_logger(), camera.throttle, self._activated)
                self._cameras[name] = history, log
        snapshots = {
            name: history.snapshot(model.settings.of_camera(name), now)
            for name, (history, _) in self._cameras.items()
        }
        busy_ms = sum(camera.counts.busy_ms for camera in snapshots.values())
        for name, snapshot in snapshots.items():
            issues = run_checks(CAMERA_CHECKS, snapshot)
            self._cameras[name][1].update(issues, now)
            yield self._status(
                f"camera {name}" if name else "camera",
                issues,
                f"{snapshot.rate:.1f} frames a second",
                camera_values(snapshot, model, busy_ms),
            )

    def _status(
        self, name: str, issues: list[Issue], working: str, values: Values
    ) -> DiagnosticStatus:
        node = self._node.get_fully_qualified_name()
        severity, message = summarize(issues, working)
        return DiagnosticStatus(
            level=bytes([severity]),
            # With the namespace: the robots of a fleet share a diagnostics topic.
            name=f"{node.lstrip('/')}: {name}",
            message=message,
            hardware_id=node,
            values=[KeyValue(key=key, value=str(value)) for key, value in values],
        )


def model_values(node: NodeSnapshot) -> Values:
    """Return the values of the model's status."""
    yield "state", node.state
    if node.state in NEXT_STEP and not node.loading:
        yield "next step", NEXT_STEP[node.state]
    if node.start.renewals:
        yield "renewals", node.start.renewals
        yield "renewal reason", node.start.reason
    process = usage_of()
    if process is not None:
        yield "host memory MiB", f"{process.resident_mib:.0f}"
    if node.model is None:
        return
    segmenter = node.model.segmenter
    yield "variant", segmenter.variant.name
    yield "class map", segmenter.class_map.name
    yield "device", segmenter.device
    yield "precision", segmenter.precision
    yield "runtime", segmenter.runtime
    yield "input size", "{} x {}".format(*segmenter.input_size)
    yield "memory of a camera MiB", f"{segmenter.memory_bytes / MEBIBYTE:.2f}"
    device = segmenter.device
    if device.type == "cuda":
        for kind, count in (
            ("allocated", torch.cuda.memory_allocated(device)),
            ("reserved", torch.cuda.memory_reserved(device)),
            ("total", torch.cuda.get_device_properties(device).total_memory),
        ):
            yield f"device memory {kind} MiB", f"{count / MEBIBYTE:.0f}"
    yield "weights", node.model.built_from.weights or f"packaged: {PACKAGED_PURPOSE}"


def camera_values(camera: CameraSnapshot, model: ActiveModel, busy_ms: float) -> Values:
    """Return the values of a camera's status; `busy_ms` is the sum of all cameras."""
    sums = camera.sums
    yield "frames a second", f"{camera.rate:.2f}"
    yield "frames a second received", f"{camera.received_rate:.2f}"
    yield "received", sums.received
    yield "segmented", sums.segmented
    yield "dropped", sums.dropped
    yield "dropped for newer ones", sums.overtaken
    yield "dropped while paused", sums.paused
    yield "refused", sums.refused
    yield "lost in transport", sums.lost
    yield "missing by stamps", f"{camera.missing} of the latest {camera.missing + camera.latest}"
    if busy_ms:
        yield "share of device time", f"{camera.counts.busy_ms / busy_ms:.2f}"
    if camera.memory_use is not None:
        path, memory_frames = camera.memory_use
        yield "memory frames", f"{memory_frames} of {model.segmenter.memory_capacity}"
        yield "path", path
    yield "last reset", camera.last_reset.value if camera.last_reset else ""
    yield "resets", camera.resets
    yield "last error", camera.last_error
    for stage, milliseconds in camera.latency.items():
        yield from _percentiles(f"latency {stage} ms", milliseconds)
    unknown = stamps_of_another_clock(camera)
    if unknown:
        yield "age", unknown.text
    elif camera.age is not None:
        yield from _percentiles("age ms", camera.age)


def _percentiles(name: str, found: Percentiles) -> Values:
    return ((f"{name} {key}", f"{getattr(found, key):.1f}") for key in ("p50", "p95", "p99"))
