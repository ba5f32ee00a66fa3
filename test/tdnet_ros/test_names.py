"""Names and QoS are the user's: namespaces, remaps, overrides, and several nodes side by side."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from support.camera_run import CameraRun
from support.node_process import NodeProcess, lines_until, parameters
from support.ros_graph import (
    RELIABLE_INPUT,
    Listener,
    RosGraph,
    image_message,
    wait_for,
)

from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus

pytestmark = pytest.mark.distribution

Start = Callable[..., NodeProcess]
NETWORK = {"device": "cpu", "runtime": "torch"}
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def message(image: np.ndarray, topic: str) -> Image | CompressedImage:
    """A frame for a topic, which it names as its frame id."""
    raw = image_message(image, 5.0, topic)
    if topic != "/driver/jpeg":
        return raw
    _, data = cv2.imencode(".jpg", image[:, :, ::-1])
    return CompressedImage(header=raw.header, format="jpeg", data=data.tobytes())


def test_processes_with_names_and_qos_of_their_own(
    start_process: Start,
    graph: RosGraph,
    weights: str,
    images: list[np.ndarray],
    tmp_path: Path,
) -> None:
    """One is renamed and configured by a file, the other keeps its name; both are remapped."""
    overrides = {
        "/driver/front": {"subscription": {"reliability": "reliable", "depth": 7}},
        "/planner/front": {"publisher": {"reliability": "best_effort", "depth": 3}},
    }
    values = {**NETWORK, "weights": weights, "cameras": ["front", "rear"]}
    file = tmp_path / "robot.yaml"
    file.write_text(
        yaml.safe_dump({"/**": {"ros__parameters": {**values, "qos_overrides": overrides}}})
    )
    renamed = start_process(
        *("--params-file", str(file), "-r", "__ns:=/robot", "-r", "__node:=eyes"),
        *("-r", "front/image:=/driver/front", "-r", "~/front/labels:=/planner/front"),
    )
    plain = start_process(
        *parameters(**NETWORK, weights=weights, image_transport="compressed"),
        *("-r", "image/compressed:=/driver/jpeg"),
    )
    lines_until(renamed, "active: waiting for images on /driver/front, /robot/rear/image")
    lines_until(plain, "active: waiting for images on /driver/jpeg")

    topics = {
        "/driver/front": "/planner/front",
        "/robot/rear/image": "/robot/eyes/rear/labels",
        "/driver/jpeg": "/tdnet/labels",
    }
    labels = {given: Listener(graph.user, Image, topics[given], BEST_EFFORT) for given in topics}
    statuses = {
        "/driver/front": "/robot/eyes/front/status",
        "/robot/rear/image": "/robot/eyes/rear/status",
        "/driver/jpeg": "/tdnet/status",
    }
    heard = {
        given: Listener(graph.user, SegmentationStatus, topic, QoSProfile(depth=100))
        for given, topic in statuses.items()
    }
    cameras = {
        topic: graph.camera(CompressedImage if topic == "/driver/jpeg" else Image, topic)
        for topic in topics
    }
    for index, (topic, camera) in enumerate(cameras.items()):

        def answered(topic: str = topic, camera: object = camera, index: int = index) -> bool:
            camera.publish(message(images[index], topic))
            return bool(labels[topic].messages and heard[topic].messages)

        wait_for(answered, f"labels of {topic}")
    for (topic, listener), name in zip(heard.items(), ("front", "rear", ""), strict=True):
        assert {m.camera for m in listener.messages} == {name}
        answers = [*listener.messages, *labels[topic].messages]
        assert {m.header.frame_id for m in answers} == {topic}

    user = graph.user
    (front,) = user.get_subscriptions_info_by_topic("/driver/front")
    (rear,) = user.get_subscriptions_info_by_topic("/robot/rear/image")
    assert (front.node_name, front.node_namespace) == ("eyes", "/robot")
    assert front.qos_profile.reliability is ReliabilityPolicy.RELIABLE
    assert rear.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
    (overridden,) = user.get_publishers_info_by_topic("/planner/front")
    (default,) = user.get_publishers_info_by_topic("/robot/eyes/rear/labels")
    assert overridden.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
    assert default.qos_profile.reliability is ReliabilityPolicy.RELIABLE
    names = [
        "qos_overrides./driver/front.subscription.depth",
        "qos_overrides./planner/front.publisher.depth",
        "qos_overrides./robot/rear/image.subscription.depth",
    ]
    answer = graph.call(
        GetParameters, "/robot/eyes/get_parameters", GetParameters.Request(names=names)
    )
    assert [value.integer_value for value in answer.values] == [7, 3, 1]

    # What is asked of one, and what happens to it, leaves the other alone.
    assert graph.call(Trigger, "/robot/eyes/reset_memory", Trigger.Request()).success
    renamed.send_signal(signal.SIGTERM)
    assert renamed.wait(20) == 0
    count = len(heard["/driver/jpeg"].messages)

    def goes_on() -> bool:
        cameras["/driver/jpeg"].publish(message(images[2], "/driver/jpeg"))
        return len(heard["/driver/jpeg"].messages) > count

    wait_for(goes_on, "the other node to go on")
    assert {m.reset_reason for m in heard["/driver/jpeg"].messages[count:]} == {""}


def test_two_nodes_in_one_process(
    graph: RosGraph, weights: str, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    for name, camera in (("left", "front"), ("right", "rear")):
        values = {**NETWORK, "weights": weights, "cameras": [camera]}
        graph.start_with({**RELIABLE_INPUT, **values}, name=name)
    diagnostics = Listener(graph.user, DiagnosticArray, "/diagnostics", QoSProfile(depth=100))
    left = CameraRun(graph, "front", "/left")
    right = CameraRun(graph, "rear", "/right")
    for index, image in enumerate(images[:6]):
        if index == 3:
            assert graph.call(Trigger, "/left/reset_memory", Trigger.Request()).success
            left.happened("requested")
        left.send(image, index / 10)
        right.send(image[::-1].copy(), 100 - index * 2)
        left.wait()
        right.wait()
    assert left.check(segmenter) == ["activated", "", "", "requested", "", ""]
    assert right.check(segmenter) == ["activated", *["stamp went back"] * 5]

    def told() -> set[str]:
        return {status.name for m in list(diagnostics.messages) for status in m.status}

    expected = {"left: model", "left: camera front", "right: model", "right: camera rear"}
    wait_for(lambda: told() >= expected, "both to tell of themselves")


def test_diagnostics_of_two_namespaces_have_two_names(
    start_process: Start, graph: RosGraph
) -> None:
    heard = Listener(graph.user, DiagnosticArray, "/diagnostics", QoSProfile(depth=100))
    for namespace in ("/robot_a", "/fleet/robot_b"):
        start_process("-r", f"__ns:={namespace}", *parameters(autostart=False))

    def told() -> set[tuple[str, str]]:
        statuses = [status for message in list(heard.messages) for status in message.status]
        return {(status.name, status.hardware_id) for status in statuses}

    expected = {
        ("robot_a/tdnet: model", "/robot_a/tdnet"),
        ("fleet/robot_b/tdnet: model", "/fleet/robot_b/tdnet"),
    }
    wait_for(lambda: len(told()) == 2, "both nodes to tell of themselves", 60.0)
    assert told() == expected
