"""Messages arrive also where a raw subscription would receive nothing."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from support.ros_graph import RosGraph, image_message, pixels_of, wait_for

from tdnet import StreamingSegmenter
from tdnet_ros.rclpy_tools import raw_subscriptions
from tdnet_ros.rclpy_tools.raw_subscriptions import BUFFER_OPTION, delivers_bytes
from tools.harness.node_observer import NodeObserver

pytestmark = pytest.mark.distribution

FAST_DDS = "rmw_fastrtps_cpp"


@pytest.fixture
def with_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Lyrical: subscriptions have the option for buffers, here without effect."""
    create = Node.create_subscription

    def create_subscription(
        self: Node, *args: Any, acceptable_buffer_backends: str | None = "cpu", **options: Any
    ) -> object:
        return create(self, *args, **options)

    monkeypatch.setattr(Node, "create_subscription", create_subscription)


@pytest.fixture
def fast_dds_with_buffers(with_buffers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Lyrical with its default middleware, whatever the middleware is here."""
    monkeypatch.setattr(raw_subscriptions, "get_rmw_implementation_identifier", lambda: FAST_DDS)


@pytest.mark.skipif(
    BUFFER_OPTION in inspect.signature(Node.create_subscription).parameters,
    reason="this rclpy has buffers: `make test ROS=jazzy` or kilted",
)
def test_without_buffers_every_middleware_delivers_bytes() -> None:
    assert delivers_bytes()


@pytest.mark.parametrize(
    ("middleware", "expected"),
    [(FAST_DDS, False), ("rmw_cyclonedds_cpp", True), ("rmw_zenoh_cpp", True)],
)
def test_with_buffers_fast_dds_delivers_none(
    with_buffers: None, monkeypatch: pytest.MonkeyPatch, middleware: str, expected: bool
) -> None:
    monkeypatch.setattr(raw_subscriptions, "get_rmw_implementation_identifier", lambda: middleware)
    assert delivers_bytes() == expected


def test_the_node_takes_messages_instead(
    fast_dds_with_buffers: None,
    graph: RosGraph,
    weights: str,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
) -> None:
    node = graph.start(weights=weights, device="cpu")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    labels = graph.listen(Image, "/tdnet/labels")
    camera = graph.camera()
    assert [s.raw for s in node.subscriptions if s.topic_name == "/image"] == [False]
    for count, image in enumerate(images[:3], start=1):
        camera.publish(image_message(image, 100 + count / 10))
        expected = segmenter.step(image).labels
        np.testing.assert_array_equal(pixels_of(labels.wait(count)[-1]), expected)


def test_a_tool_that_wants_bytes_makes_them(fast_dds_with_buffers: None, graph: RosGraph) -> None:
    received: list[bytes] = []
    observer = NodeObserver("observer")
    observer.subscribe(Image, "/image", received.append, raw=True)
    observer.start()
    sent = image_message(np.zeros((2, 3, 3), np.uint8), 5.0)
    try:
        graph.camera().publish(sent)
        wait_for(lambda: received, "the message")
    finally:
        observer.close()
    assert [deserialize_message(message, Image) for message in received] == [sent]
