"""`/diagnostics`: whether the node works, how fast, and why nothing comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from tdnet.segmenter import StreamingSegmenter
from tdnet.settings import PACKAGED_PURPOSE
from tdnet_ros.camera.camera import Camera
from tdnet_ros.diagnostics.camera_diagnosis import CameraDiagnosis
from tdnet_ros.diagnostics.issue_log import IssueLog
from tdnet_ros.diagnostics.issues import Issue, Severity
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.process import Start
from tdnet_ros.rclpy_tools.log_throttle import LogThrottle
from tdnet_ros.rclpy_tools.process_memory import MEBIBYTE, device_memory, host_mebibytes

NEXT_STEP = {"unconfigured": "configure", "inactive": "activate"}


@dataclass(frozen=True)
class NodeSnapshot:
    """What the diagnostics look at; the node gives it for every message.

    Attributes:
        state: of the lifecycle: unconfigured, inactive, active or finalized.
        failure: why the last transition failed; empty: it did not.
        model: the loaded model, where there is one.
        cameras: by name; frames come in only while the node is active.
        problems: what makes the model's status an error, a sentence each.
        loading: whether the first model is being loaded.
        namesakes: other nodes of the same full name in the graph.
        start: of the node; its renewals are counted.
    """

    state: str
    failure: str
    model: ActiveModel | None
    cameras: Mapping[str, Camera]
    problems: tuple[str, ...] = ()
    loading: bool = False
    namesakes: int = 0
    start: Start = field(default_factory=Start)


class Diagnostics:
    """Publishes one diagnostic message in a period: a status for the model, one for each camera.

    Args:
        node: publishes and logs.
        view: gives the state of the node.
        period: seconds between two messages.
    """

    def __init__(
        self, node: LifecycleNode, view: Callable[[], NodeSnapshot], period: float
    ) -> None:
        self._node = node
        self._view = view
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # A paused simulation must not silence what would explain its silence.
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(period, self.publish, clock=self._clock)
        self._activated = time.perf_counter()
        self._log = IssueLog(node.get_logger(), LogThrottle(), self._activated)
        self._diagnoses: dict[str, CameraDiagnosis] = {}

    def set_period(self, period: float) -> None:
        """Change the time between two messages: seconds."""
        if self._timer.timer_period_ns != round(period * 1e9):
            self._timer.timer_period_ns = round(period * 1e9)
            self._timer.reset()

    def restart(self) -> None:
        """Begin a new activation: what was seen of the cameras before does not count."""
        self._diagnoses.clear()
        self._activated = time.perf_counter()

    def publish(self) -> None:
        """Look at the node and publish what is seen."""
        view = self._view()
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._model_status(view)]
        if view.state == "active" and view.model is not None:
            message.status += self._camera_statuses(view.cameras, view.model)
        self._publisher.publish(message)

    def _model_status(self, view: NodeSnapshot) -> DiagnosticStatus:
        issues = explain_node(view, self._node.get_fully_qualified_name())
        severity = max((issue.severity for issue in issues), default=Severity.OK)
        text = "; ".join(issue.text for issue in issues) or "active"
        # Failures and problems were logged when they came up.
        new = [issue for issue in issues if issue.severity is not Severity.ERROR]
        self._log.note(new, time.perf_counter())
        values: dict[str, object] = {"state": view.state}
        if view.state in NEXT_STEP and not view.loading:
            values["next step"] = NEXT_STEP[view.state]
        if view.start.renewals:
            values["renewals"] = view.start.renewals
            values["renewal reason"] = view.start.reason
        host = host_mebibytes()
        if host is not None:
            values["host memory MiB"] = f"{host:.0f}"
        if view.model is not None:
            values.update(_model_values(view.model.segmenter))
            weights = view.model.built_from.weights
            values["weights"] = weights or f"packaged: {PACKAGED_PURPOSE}"
        return self._status("model", severity, text, values)

    def _camera_statuses(
        self, cameras: Mapping[str, Camera], model: ActiveModel
    ) -> Iterator[DiagnosticStatus]:
        for camera in cameras.values():
            if camera.name not in self._diagnoses:
                diagnosis = CameraDiagnosis(self._node, camera, self._activated)
                self._diagnoses[camera.name] = diagnosis
        busy = {name: diagnosis.look() for name, diagnosis in self._diagnoses.items()}
        total = sum(busy.values())
        for name, diagnosis in self._diagnoses.items():
            found = diagnosis.status(model, busy[name] / total if total else None)
            shown = f"camera {name}" if name else "camera"
            yield self._status(shown, found.severity, found.text, found.values)

    def _status(
        self, name: str, severity: Severity, text: str, values: Mapping[str, object]
    ) -> DiagnosticStatus:
        node = self._node.get_fully_qualified_name()
        return DiagnosticStatus(
            level=bytes([severity]),
            # With the namespace: one diagnostics topic serves every robot of a fleet.
            name=f"{node.lstrip('/')}: {name}",
            message=text,
            hardware_id=node,
            values=_key_values(values.items()),
        )


def explain_node(view: NodeSnapshot, node: str) -> list[Issue]:
    """Report what is wrong with the node as a whole; empty where it works.

    Args:
        view: what is seen of the node.
        node: its fully qualified name.
    """
    state = explain_state(view, node)
    issues = [state] if state else []
    if view.namesakes:
        issues.append(
            Issue(
                "namesake",
                f"{view.namesakes} more of the name {node} in the graph: end the other node, or "
                "start this one with another name or namespace; a node that was killed leaves "
                "the graph after some 20 s",
            )
        )
    return issues


def explain_state(view: NodeSnapshot, node: str) -> Issue | None:
    """Say what is wrong with the node as a whole, or None where it works.

    Args:
        view: what is seen of the node.
        node: its fully qualified name.
    """
    if view.loading:
        return Issue("loading", "not active: the model is being loaded", Severity.OK)
    if view.failure:
        return Issue("failure", view.failure, Severity.ERROR)
    if view.problems:
        return Issue("problem", "; ".join(view.problems), Severity.ERROR)
    if view.state == "active":
        return None
    step = NEXT_STEP.get(view.state)
    remedy = f"run `ros2 lifecycle set {node} {step}`" if step else "start it anew"
    return Issue("not active", f"not active: the node is {view.state}; {remedy}")


def _key_values(values: Iterable[tuple[str, object]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values]


def _model_values(segmenter: StreamingSegmenter) -> dict[str, object]:
    values: dict[str, object] = {
        "variant": segmenter.variant.name,
        "class map": segmenter.class_map.name,
        "device": segmenter.device,
        "precision": segmenter.precision,
        "runtime": segmenter.runtime,
        "input size": "{} x {}".format(*segmenter.input_size),
        "memory of a camera MiB": f"{segmenter.memory_bytes / MEBIBYTE:.2f}",
    }
    device = device_memory(segmenter.device)
    if device is not None:
        values["device memory allocated MiB"] = f"{device.allocated:.0f}"
        values["device memory reserved MiB"] = f"{device.reserved:.0f}"
        values["device memory total MiB"] = f"{device.total:.0f}"
    return values
