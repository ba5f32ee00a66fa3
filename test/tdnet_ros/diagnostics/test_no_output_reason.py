"""Each reason why nothing is published, on a real graph: its diagnostic, and one log line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool
from support.diagnosis import Diagnosis
from support.ros_graph import (
    LogListener,
    RosGraph,
    diagnostic_values,
    image_message,
    wait_for,
)

from tdnet_ros.diagnostics.issues import SETTLED_AFTER
from tdnet_ros.msg import SegmentationStatus
from tools.harness.child_process import end_with_parent

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
CAMERA, MODEL = "tdnet: camera", "tdnet: model"
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

Step = Callable[[], object]


def logged_once(graph: RosGraph, log: LogListener, part: str, step: Step = lambda: None) -> None:
    """The line comes, and stays the only one although the cause lasts."""
    diagnosis = Diagnosis(graph)

    def there() -> int:
        step()
        return log.count(part)

    wait_for(there, f"a log line with {part!r}")
    seen = diagnosis.latest()
    end = seen.header.stamp.sec + SETTLED_AFTER

    def later() -> bool:
        step()
        return diagnosis.latest().header.stamp.sec > end

    wait_for(later, "more looks")
    assert log.count(part) == 1


def no_publisher(graph: RosGraph, images: list[np.ndarray]) -> Step:
    graph.listen(SegmentationStatus, "/tdnet/status")
    return lambda: None


def no_frames(graph: RosGraph, images: list[np.ndarray]) -> Step:
    graph.set_parameters(diagnostics__silence_warn=0.3)
    graph.camera()
    return lambda: None


def weak_publisher(graph: RosGraph, images: list[np.ndarray]) -> Step:
    """The node asks for reliable in these tests."""
    graph.user.create_publisher(Image, "/image", BEST_EFFORT)
    return lambda: None


def demanding_subscriber(graph: RosGraph, images: list[np.ndarray]) -> Step:
    graph.user.create_subscription(Image, "/tdnet/labels", print, LATCHED)
    return no_subscriber(graph, images, listen=True)


def only_subscriber_demands(graph: RosGraph, images: list[np.ndarray]) -> Step:
    graph.user.create_subscription(Image, "/tdnet/labels", print, LATCHED)
    return no_subscriber(graph, images)


def no_subscriber(graph: RosGraph, images: list[np.ndarray], listen: bool = False) -> Step:
    if listen:
        graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()
    return lambda: camera.publish(image_message(images[0]))


def paused(graph: RosGraph, images: list[np.ndarray]) -> Step:
    assert graph.call(SetBool, "/tdnet/enable", SetBool.Request(data=False)).success
    return no_subscriber(graph, images, listen=True)


def unknown_encoding(graph: RosGraph, images: list[np.ndarray]) -> Step:
    graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()
    return lambda: camera.publish(image_message(images[0], encoding="rgb9"))


def cut_off(graph: RosGraph, images: list[np.ndarray]) -> Step:
    graph.set_parameters(diagnostics__silence_warn=0.3)
    graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()
    whole = bytes(serialize_message(image_message(images[0])))
    return lambda: camera.publish(whole[: len(whole) // 2])


def every_third_missing(graph: RosGraph, images: list[np.ndarray]) -> Step:
    graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()
    numbers = (number for number in range(10**6) if number % 3)
    return lambda: camera.publish(image_message(images[0], next(numbers) / 30))


@pytest.mark.parametrize(
    ("cause", "level", "part"),
    [
        pytest.param(no_publisher, WARN, "no publisher of /image", id="no publisher"),
        pytest.param(no_frames, WARN, "has a publisher, but no frame arrived", id="no frames"),
        pytest.param(weak_publisher, WARN, "the publisher of /image offers", id="publisher QoS"),
        pytest.param(demanding_subscriber, WARN, "asks for an incompatible", id="subscriber QoS"),
        pytest.param(
            only_subscriber_demands, WARN, "asks for an incompatible", id="only subscriber"
        ),
        pytest.param(no_subscriber, OK, "no output has a subscriber", id="no subscriber"),
        pytest.param(paused, OK, "call the service ~/enable with data: true", id="paused"),
        pytest.param(unknown_encoding, WARN, "unknown encoding 'rgb9'", id="encoding"),
        pytest.param(cut_off, WARN, "the message is cut off", id="cut off"),
        pytest.param(every_third_missing, WARN, "are missing by their stamps", id="loss"),
    ],
)
def test_a_cause(
    active: RosGraph,
    images: list[np.ndarray],
    cause: Callable[[RosGraph, list[np.ndarray]], Step],
    level: bytes,
    part: str,
) -> None:
    log = active.listen_to_log()
    step = cause(active, images)
    diagnosis = Diagnosis(active)

    def told() -> DiagnosticStatus | None:
        step()
        found = diagnosis.wait(CAMERA, "")
        return found if part in found.message else None

    assert wait_for(told, f"the diagnostics to say {part!r}").level == level
    logged_once(active, log, part, step)


@pytest.mark.parametrize(
    ("transitions", "state", "step"),
    [((), "unconfigured", "configure"), (("configure",), "inactive", "activate")],
)
def test_not_active(
    graph: RosGraph, weights: str, transitions: tuple[str, ...], state: str, step: str
) -> None:
    graph.start(weights=weights, device="cpu", autostart=False)
    log = graph.listen_to_log()
    assert all(graph.transition(transition) for transition in transitions)
    part = f"not active: the node is {state}; run `ros2 lifecycle set /tdnet {step}`"
    assert Diagnosis(graph).wait(MODEL, part).level == WARN
    logged_once(graph, log, part)


def test_no_weights(graph: RosGraph) -> None:
    graph.start(weights="/nowhere/td4.safetensors", device="cpu", autostart=False)
    log = graph.listen_to_log()
    assert not graph.transition("configure")
    diagnosis = Diagnosis(graph)
    status = diagnosis.wait(MODEL, "/nowhere/td4.safetensors")
    assert status.level == ERROR
    assert status.message.startswith("cannot configure")
    assert diagnosis.values(MODEL)["next step"] == "configure"
    logged_once(graph, log, "/nowhere/td4.safetensors")


@pytest.fixture
def driver(ros: None) -> Iterator[Callable[[], None]]:
    """A driver of full-HD images as Fast DDS sends them without the shipped profile."""
    started: list[subprocess.Popen[bytes]] = []
    unset = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")

    def start() -> None:
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        command = [sys.executable, "-c", DRIVER]
        started.append(subprocess.Popen(command, env=environment, preexec_fn=end_with_parent))

    yield start
    for process in started:
        process.kill()
        process.wait()


DRIVER = """
import array, time, rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("driver")
qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
publisher = node.create_publisher(Image, "/image", qos)
size = 1920 * 1080 * 3
image = Image(height=1080, width=1920, step=5760, encoding="rgb8")
image.data = array.array("B", bytes(size))
while True:
    image.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(image)
    time.sleep(0.1)
"""


@pytest.mark.skipif(
    "fastrtps" not in get_rmw_implementation_identifier(),
    reason="the loss is that of Fast DDS: set RMW_IMPLEMENTATION=rmw_fastrtps_cpp",
)
def test_images_that_are_too_large_for_the_transport(
    graph: RosGraph, weights: str, driver: Callable[[], None]
) -> None:
    never_silent = {"diagnostics.silence_warn": 0.0, "diagnostics.silence_error": 0.0}
    graph.start_with({"weights": weights, "device": "cpu", **never_silent})
    graph.listen(SegmentationStatus, "/tdnet/status")
    log = graph.listen_to_log()
    driver()
    part = "frames of /image lost in transport in the last"
    status = Diagnosis(graph).wait(CAMERA, part)
    assert "FASTDDS_DEFAULT_PROFILES_FILE" in status.message
    assert int(diagnostic_values(status)["lost in transport"]) > 0
    log.wait_for_text(part)


def test_a_publisher_that_does_not_fit_leaves(active: RosGraph, images: list[np.ndarray]) -> None:
    """One that fits stays: the node needs no re-activation to say so."""
    active.listen(SegmentationStatus, "/tdnet/status")
    good = active.camera()
    diagnosis = Diagnosis(active)
    bad = active.user.create_publisher(Image, "/image", BEST_EFFORT)

    def says(part: str) -> bool:
        good.publish(image_message(images[0]))
        return part in diagnosis.wait(CAMERA, "").message

    wait_for(lambda: says("incompatible QoS (RELIABILITY)"), "the incident")
    assert "qos_overrides./image.subscription" in diagnosis.wait(CAMERA, "QoS").message
    active.user.destroy_publisher(bad)
    wait_for(lambda: says("frames a second"), "the incident to end")


def test_a_subscriber_that_does_not_fit_leaves(active: RosGraph, images: list[np.ndarray]) -> None:
    active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    diagnosis = Diagnosis(active)
    bad = active.user.create_subscription(Image, "/tdnet/labels", print, LATCHED)

    def says(part: str) -> bool:
        camera.publish(image_message(images[0]))
        return part in diagnosis.wait(CAMERA, "").message

    wait_for(lambda: says("a subscriber of /tdnet/labels asks"), "the incident")
    active.user.destroy_subscription(bad)
    wait_for(lambda: says("frames a second"), "the incident to end")


def test_a_subscriber_that_was_there_before_the_activation(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    graph.start(weights=weights, device="cpu", autostart=False)
    assert graph.transition("configure")
    graph.user.create_subscription(Image, "/tdnet/labels", print, LATCHED)
    user = graph.user
    wait_for(lambda: user.count_publishers("/tdnet/labels"), "the node's publisher")
    diagnosis = Diagnosis(graph)
    diagnosis.latest()
    assert graph.transition("activate")
    graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()

    def says() -> bool:
        camera.publish(image_message(images[0]))
        return "a subscriber of /tdnet/labels asks" in diagnosis.wait(CAMERA, "").message

    wait_for(says, "the incident")


def test_no_camera_hides_the_cause_of_another(graph: RosGraph, weights: str) -> None:
    """Their names differ by a number only."""
    graph.start(weights=weights, device="cpu", cameras=["cam1", "cam2"])
    log = graph.listen_to_log()
    diagnosis = Diagnosis(graph)
    for name in ("cam1", "cam2"):
        part = f"no publisher of /{name}/image"
        assert diagnosis.wait(f"tdnet: camera {name}", part).level == WARN
        log.wait_for_text(part)
