"""Diagnostics of a running node, and the one log line that explains its silence."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from support.ros_graph import RosGraph, diagnostic_values, image_message, wait_for

from tdnet_ros.msg import SegmentationStatus


class Diagnosis:
    def __init__(self, graph: RosGraph) -> None:
        self._listener = graph.listen(DiagnosticArray, "/diagnostics")

    def wait(self, name: str, part: str) -> DiagnosticStatus:
        def find() -> DiagnosticStatus | None:
            latest = self._listener.messages[-1:]
            found = [s for m in latest for s in m.status if s.name == name and part in s.message]
            return found[0] if found else None

        return wait_for(find, f"{name} to say {part!r}")


def test_a_working_camera(active: RosGraph, images: list[np.ndarray]) -> None:
    diagnosis = Diagnosis(active)
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    for index in range(10):
        camera.publish(image_message(images[index], index / 10))
        status.wait(index + 1)
    camera_status = diagnosis.wait("tdnet: camera", "frames a second")
    assert camera_status.level == DiagnosticStatus.OK
    wait_for(
        lambda: diagnostic_values(diagnosis.wait("tdnet: camera", ""))["segmented"] == "10",
        "all frames to be counted",
    )
    values = diagnostic_values(diagnosis.wait("tdnet: camera", ""))
    assert (values["received"], values["dropped"], values["refused"]) == ("10", "0", "0")
    totals = [message.total_ms for message in status.messages]
    assert float(values["latency ms p50"]) == pytest.approx(np.percentile(totals, 50), abs=0.06)
    assert float(values["latency ms p95"]) == pytest.approx(np.percentile(totals, 95), abs=0.06)
    model = diagnosis.wait("tdnet: model", "active")
    assert model.level == DiagnosticStatus.OK
    values = diagnostic_values(model)
    assert values["variant"] == "td4-psp18-nano"
    assert values["input size"] == "65 x 129"
    assert float(values["host memory MiB"]) > 50


def test_no_publisher(active: RosGraph) -> None:
    log = active.listen_to_log()
    status = Diagnosis(active).wait("tdnet: camera", "no publisher of /image")
    assert status.level == DiagnosticStatus.WARN
    log.wait_for_text("no publisher of /image")


def test_no_subscriber(active: RosGraph, images: list[np.ndarray]) -> None:
    camera = active.camera()
    diagnosis = Diagnosis(active)
    camera.publish(image_message(images[0]))
    status = diagnosis.wait("tdnet: camera", "nobody subscribes")
    assert status.level == DiagnosticStatus.OK


def test_a_refused_encoding(active: RosGraph, images: list[np.ndarray]) -> None:
    active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    diagnosis = Diagnosis(active)

    def refused() -> bool:
        camera.publish(image_message(images[0], encoding="rgb9"))
        found = diagnosis.wait("tdnet: camera", "")
        return "unknown encoding 'rgb9'" in found.message

    wait_for(refused, "the encoding to be named")
    assert "rgb9" in diagnostic_values(diagnosis.wait("tdnet: camera", ""))["last error"]


def test_a_publisher_whose_qos_does_not_fit(active: RosGraph) -> None:
    """The node asks for reliable in these tests; this driver offers best effort."""
    log = active.listen_to_log()
    driver = active.user.create_publisher(
        Image, "/image", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    diagnosis = Diagnosis(active)
    status = diagnosis.wait("tdnet: camera", "incompatible QoS (RELIABILITY)")
    assert status.level == DiagnosticStatus.WARN
    assert "qos_overrides./image.subscription" in status.message
    log.wait_for_text("incompatible QoS (RELIABILITY)")
    active.user.destroy_publisher(driver)
    diagnosis.wait("tdnet: camera", "no publisher of /image")


def test_a_subscriber_whose_qos_does_not_fit(active: RosGraph, images: list[np.ndarray]) -> None:
    active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    active.user.create_subscription(Image, "/tdnet/labels", print, latched)
    camera.publish(image_message(images[0]))
    Diagnosis(active).wait("tdnet: camera", "a subscriber of /tdnet/labels asks")


def test_not_active(graph: RosGraph, weights: str) -> None:
    graph.start(weights=weights, device="cpu", autostart=False)
    diagnosis = Diagnosis(graph)
    for transition, state in ((None, "unconfigured"), ("configure", "inactive")):
        if transition:
            assert graph.transition(transition)
        status = diagnosis.wait("tdnet: model", f"not active: the node is {state}")
        assert status.level == DiagnosticStatus.WARN


def test_the_period_changes_live(active: RosGraph) -> None:
    assert all(r.successful for r in active.set_parameters(diagnostics_period=60.0))
    listener = active.listen(DiagnosticArray, "/diagnostics")
    assert all(r.successful for r in active.set_parameters(diagnostics_period=0.2))
    listener.wait(2, timeout=10)
