"""A node whose shared-memory port has lost its name receives no camera that starts later."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image
from support.diagnosis import Diagnosis
from support.ros_graph import Listener, RosGraph, diagnostic_values, image_message, wait_for

from tdnet.continuity import stamp_ns
from tdnet_ros.camera import deafness
from tdnet_ros.msg import SegmentationStatus
from tdnet_ros.rclpy_tools.abandoned_ports import SHARED_MEMORY
from tools.harness.camera import CameraProcess
from tools.harness.node_process import NodeProcess

pytestmark = pytest.mark.distribution

CAMERA, MODEL = "tdnet: camera", "tdnet: model"
CHECK = "tdnet_deafness_check"
IMPATIENT = {"diagnostics__silence_warn": 0.2, "diagnostics__silence_error": 0.2}
DEEP = QoSProfile(depth=1000)
LOCK = re.compile(r"(fast(?:dds|rtps)_port\d+)_el")

on_shared_memory = pytest.mark.skipif(
    "fastrtps" not in get_rmw_implementation_identifier() or not SHARED_MEMORY.is_dir(),
    reason="the fault is one of Fast DDS on Linux: set RMW_IMPLEMENTATION=rmw_fastrtps_cpp",
)


def ports_of(pid: int) -> list[Path]:
    """The shared-memory ports that a process receives from; it holds their locks."""
    files = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    found = (LOCK.fullmatch(Path(file).name) for file in files)
    return [SHARED_MEMORY / match[1] for match in found if match]


@pytest.fixture
def node(ros: None, tmp_path: Path, weights: str) -> Iterator[NodeProcess]:
    """The node as a process that loses patience after a second."""
    parameters = {"weights": weights, "device": "cpu", "overlay.hidden_classes": "[road]"}
    parameters["runtime"] = "torch"  # the default exports the weights first
    parameters |= {f"diagnostics.silence_{name}": "1.0" for name in ("warn", "error")}
    process = NodeProcess("/image", parameters, tmp_path / "node.log", dict(os.environ))
    yield process
    process.kill()


@pytest.fixture
def camera(ros: None, tmp_path: Path, images: list[np.ndarray]) -> Iterator[Callable[[], object]]:
    """Starts a camera: a process that sends the images."""
    frames = tmp_path / "frames.npy"
    np.save(frames, np.stack(images))
    started: list[CameraProcess] = []

    def start() -> CameraProcess:
        started.append(
            CameraProcess(frames, 20.0, tmp_path / "camera.log", "reliable", topic="/image")
        )
        started[0].command("resume")
        return started[0]

    yield start
    for process in started:
        process.kill()


@on_shared_memory
def test_a_deaf_node_is_renewed(
    camera: Callable[[], CameraProcess], node: NodeProcess, graph: RosGraph, tmp_path: Path
) -> None:
    labels = Listener(graph.user, Image, "/tdnet/labels", DEEP)
    statuses = Listener(graph.user, SegmentationStatus, "/tdnet/status", DEEP)
    diagnostics = Listener(graph.user, DiagnosticArray, "/diagnostics", DEEP)
    log = tmp_path / "node.log"

    def active() -> bool:
        assert node.running, node.last_words()
        return "active: waiting" in log.read_text()

    wait_for(active, "the node to be active", 120.0)
    changed = {"memory__max_gap": 7.0, "overlay__hidden_classes": []}
    assert all(result.successful for result in graph.set_parameters(**changed))
    before = ports_of(node.pid)
    # What peers of a killed process do to the port of the next one, sometimes.
    for port in before:
        port.unlink()
    process = camera()
    labels.wait(5, 120.0)
    process.command("pause")
    assert {stamp_ns(message.header) for message in labels.messages} <= set(process.take_sent())
    # The new node's first status may be sent before this subscriber is found.
    reasons = [(s.segmented == 1, s.reset_reason) for s in statuses.wait(1)]
    assert set(reasons) <= {(True, "activated"), (False, "")}
    assert all(
        0 <= s.received - s.segmented - s.dropped - s.refused <= 2 for s in statuses.messages
    )
    assert graph.get_parameter("memory.max_gap") == 7.0
    assert graph.get_parameter("overlay.hidden_classes") == []
    wait_for(lambda: len(ports_of(node.pid)) == len(before), "the end of the old participant")

    def values() -> dict[str, str]:
        newest = [s for m in diagnostics.messages[-1:] for s in m.status if s.name == MODEL]
        return diagnostic_values(newest[0]) if newest else {}

    wait_for(lambda: values().get("renewals") == "1", "the diagnostics of the new node")
    assert values()["renewal reason"] == "another participant receives /image, this node does not"
    assert "a node with the same parameters replaces it" in log.read_text()
    assert node.stop() == 0


def test_an_idle_camera_does_not_make_the_node_deaf(
    graph: RosGraph,
    weights: str,
    images: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deafness, "LISTEN_SECONDS", 5.0)
    graph.start(weights=weights, device="cpu", **IMPATIENT)
    publisher = graph.camera()
    statuses = graph.listen(SegmentationStatus, "/tdnet/status")
    diagnosis = Diagnosis(graph)
    wait_for(lambda: CHECK in graph.user.get_node_names(), "a check", 60.0)
    wait_for(lambda: CHECK not in graph.user.get_node_names(), "the end of the check", 60.0)
    assert "has a publisher, but no frame arrived" in diagnosis.wait(CAMERA, "").message
    publisher.publish(image_message(images[0]))
    statuses.wait()
    diagnosis.wait(CAMERA, "frames a second")
    assert "renewals" not in diagnosis.values(MODEL)


def test_a_check_ends_with_the_activation(graph: RosGraph, weights: str) -> None:
    graph.start(weights=weights, device="cpu", **IMPATIENT)
    graph.camera()
    wait_for(lambda: CHECK in graph.user.get_node_names(), "a check", 60.0)
    assert graph.transition("deactivate")
    wait_for(lambda: CHECK not in graph.user.get_node_names(), "the end of the check")
