"""Images of another type, or on the topic of the other transport, and the remedy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from support.diagnosis import Diagnosis
from support.ros_graph import RosGraph

from tdnet_ros.diagnostics.input_topic import COMPRESSED, RAW, explain_misplaced

pytestmark = pytest.mark.distribution


@pytest.mark.parametrize(
    ("topic", "transport", "published", "parts"),
    [
        pytest.param(
            "/cam/compressed",
            "raw",
            {"/cam/compressed": COMPRESSED},
            ("image_transport:=compressed", "without /compressed (/cam)"),
            id="compressed topic, raw transport",
        ),
        pytest.param(
            "/jpeg",
            "raw",
            {"/jpeg": COMPRESSED},
            ("image_transport:=compressed", "remap /jpeg/compressed to /jpeg"),
            id="compressed on a name of its own",
        ),
        pytest.param(
            "/cam",
            "raw",
            {"/cam/compressed": COMPRESSED},
            ("no publisher of /cam", "image_transport:=compressed"),
            id="only the compressed topic",
        ),
        pytest.param(
            "/cam/compressed",
            "compressed",
            {"/cam/compressed": RAW},
            (f"carries {RAW}, not {COMPRESSED}", "image_transport:=raw"),
            id="raw on the compressed topic",
        ),
        pytest.param(
            "/cam/compressed",
            "compressed",
            {"/cam": RAW},
            ("no publisher of /cam/compressed", "image_transport:=raw"),
            id="only the raw topic",
        ),
        pytest.param(
            "/cam/compressed/compressed",
            "compressed",
            {"/cam/compressed": COMPRESSED},
            ("appends /compressed itself", "(/cam)"),
            id="suffix twice",
        ),
        pytest.param("/cam/compressed/compressed", "compressed", {}, ("(/cam)",), id="no camera"),
        pytest.param(
            "/cam",
            "raw",
            {"/cam": "std_msgs/msg/String"},
            ("carries std_msgs/msg/String", "a topic of images"),
            id="no images",
        ),
        pytest.param("/cam", "raw", {}, (), id="raw, nothing there"),
        pytest.param("/cam/compressed", "compressed", {}, (), id="compressed, nothing there"),
    ],
)
def test_each_mistake_has_its_remedy(
    topic: str, transport: str, published: dict[str, str], parts: tuple[str, ...]
) -> None:
    types = {name: [kind] for name, kind in published.items()}
    text = explain_misplaced(topic, transport, types)
    assert bool(text) == bool(parts)
    assert all(part in text for part in parts), text


@pytest.fixture
def driver(ros: None) -> Iterator[Node]:
    """A participant of its own: Fast DDS refuses two types on a topic within one."""
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("driver", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


@pytest.mark.parametrize(
    ("transport", "topic", "message_type", "part"),
    [
        ("raw", "/image", CompressedImage, "start with image_transport:=compressed"),
        ("raw", "/image/compressed", CompressedImage, "but /image/compressed carries"),
        ("compressed", "/image/compressed", Image, "start with image_transport:=raw"),
        ("compressed", "/image", Image, "but /image carries sensor_msgs/msg/Image"),
        ("raw", "/image", String, "/image carries std_msgs/msg/String"),
    ],
)
def test_the_diagnostics_name_it(
    graph: RosGraph,
    driver: Node,
    weights: str,
    transport: str,
    topic: str,
    message_type: type[CompressedImage] | type[Image] | type[String],
    part: str,
) -> None:
    """A publisher of another type is not connected: no frame of it is lost in transport."""
    graph.start(
        weights=weights, device="cpu", image_transport=transport, diagnostics__silence_warn=0.3
    )
    log = graph.listen_to_log()
    publisher = driver.create_publisher(message_type, topic, 10)
    status = Diagnosis(graph).wait("tdnet: camera", part)
    assert status.level == DiagnosticStatus.WARN
    assert "lost in transport" not in status.message
    log.wait_for_text(part)
    # With one of the right type beside it the camera is as it should be.
    right = {"raw": Image, "compressed": CompressedImage}[transport]
    wanted = "/image" if transport == "raw" else "/image/compressed"
    driver.destroy_publisher(publisher)
    driver.create_publisher(right, wanted, 10)
    Diagnosis(graph).wait("tdnet: camera", f"{wanted} has a publisher")
