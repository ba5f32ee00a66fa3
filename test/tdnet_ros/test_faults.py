"""What breaks around the node, or the node itself: it goes on, and every frame is counted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from support.ros_graph import Listener, RosGraph, image_message, wait_for

from tdnet.continuity import stamp_ns
from tdnet_ros.msg import SegmentationStatus
from tools.harness.camera import CameraProcess
from tools.harness.node_process import NodeProcess
from tools.harness.subscriber import SubscriberProcess

Camera = Callable[..., CameraProcess]
Subscriber = Callable[[float], SubscriberProcess]
Node = Callable[..., NodeProcess]
DEEP = QoSProfile(depth=1000)
LATE_LOG = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
FRAMES = 8

# The tests name these fixtures before the graph, so that they end after it: Fast DDS has crashed
# once where a participant was removed in the moment in which a peer of it was killed.


@pytest.fixture
def camera(ros: None, tmp_path: Path, images: list[np.ndarray]) -> Iterator[Camera]:
    """Starts cameras: processes that send the images."""
    frames = tmp_path / "frames.npy"
    np.save(frames, np.stack(images))
    started: list[CameraProcess] = []

    def start(rate: float = 20.0) -> CameraProcess:
        log = tmp_path / "camera.log"
        started.append(CameraProcess(frames, rate, log, "reliable", topic="/image"))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def subscriber(ros: None, tmp_path: Path) -> Iterator[Subscriber]:
    """Starts programs that use the outputs."""
    started: list[SubscriberProcess] = []

    def start(seconds: float) -> SubscriberProcess:
        started.append(SubscriberProcess(tmp_path / "subscriber.log", seconds))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def node(ros: None, tmp_path: Path, weights: str) -> Iterator[Node]:
    """Starts the node as a process."""
    started: list[NodeProcess] = []

    def start(**environment: str) -> NodeProcess:
        parameters = {"weights": weights, "device": "cpu", "runtime": "torch"}
        log = tmp_path / f"node-{len(started)}.log"
        started.append(NodeProcess("/image", parameters, log, {**os.environ, **environment}))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def sums_agree(statuses: list[SegmentationStatus]) -> bool:
    """While a frame has just been answered, at most one waits and one is being read."""
    return all(s.received - s.segmented - s.dropped - s.refused in (0, 1, 2) for s in statuses)


@pytest.mark.parametrize(
    ("max_gap", "reasons"), [(0.2, {"gap"}), (60.0, set())], ids=["long gap", "short gap"]
)
def test_a_killed_camera_comes_back(
    camera: Camera, graph: RosGraph, weights: str, max_gap: float, reasons: set[str]
) -> None:
    graph.start(weights=weights, device="cpu", memory__max_gap=max_gap)
    wait_for(lambda: graph.state() == "active", "the node to be active")
    statuses = graph.listen(SegmentationStatus, "/tdnet/status", DEEP)
    process = camera()
    process.command("resume")
    statuses.wait(FRAMES)
    process.kill()
    before = process.take_sent()[-1]
    process.restart()

    def after() -> list[SegmentationStatus]:
        return [s for s in statuses.messages if stamp_ns(s.header) > before]

    wait_for(lambda: len(after()) >= FRAMES, "outputs of the new camera")
    first = after()[0]
    assert {first.reset_reason} - {""} == reasons
    assert first.memory_frames == (0 if reasons else first.memory_capacity)
    assert sums_agree(statuses.messages)


def test_stamps_that_go_back_empty_the_memory(camera: Camera, active: RosGraph) -> None:
    statuses = active.listen(SegmentationStatus, "/tdnet/status", DEEP)
    process = camera()
    process.command("stamps loop")
    process.command("resume")
    back = "stamp went back"
    wait_for(lambda: back in [s.reset_reason for s in statuses.messages], f"{back!r}")
    for before, after in zip(statuses.messages, statuses.messages[1:], strict=False):
        goes_back = stamp_ns(after.header) < stamp_ns(before.header)
        assert (after.reset_reason == back) == goes_back
    assert sums_agree(statuses.messages)


def test_a_killed_node_serves_its_peers_when_it_is_back(
    camera: Camera, node: Node, graph: RosGraph
) -> None:
    labels = Listener(graph.user, Image, "/tdnet/labels", DEEP)
    statuses = Listener(graph.user, SegmentationStatus, "/tdnet/status", DEEP)
    process = camera()
    process.command("resume")
    first = node()
    statuses.wait(FRAMES)
    first.kill()
    heard, told = len(labels.messages), len(statuses.messages)
    second = node()
    wait_for(lambda: len(labels.messages) > heard + FRAMES, "labels of the second node")
    wait_for(lambda: len(statuses.messages) > told + FRAMES, "status of the second node")
    restarts = [s for s in statuses.messages if s.segmented == 1]
    assert [s.reset_reason for s in restarts] == ["activated", "activated"]
    assert second.stop() == 0
    process.command("pause")
    sent = process.take_sent()
    assert {stamp_ns(m.header) for m in labels.messages} <= set(sent)
    assert sums_agree(statuses.messages)


def test_a_killed_subscriber_does_not_touch_the_others(
    camera: Camera, subscriber: Subscriber, active: RosGraph
) -> None:
    labels = active.listen(Image, "/tdnet/labels", DEEP)
    statuses = active.listen(SegmentationStatus, "/tdnet/status", DEEP)
    user = subscriber(0.0)
    process = camera()
    process.command("resume")
    wait_for(lambda: user.received >= FRAMES, "labels at the program")
    user.kill()
    heard = len(labels.messages)
    labels.wait(heard + FRAMES)
    user.restart()
    # Fast DDS may hold on to what the killed one left until its lease ends, after 20 s.
    wait_for(lambda: user.received >= FRAMES, "labels at the program that was started again", 60.0)
    assert sums_agree(statuses.messages)


def test_a_slow_subscriber_holds_up_nobody(
    subscriber: Subscriber, active: RosGraph, images: list[np.ndarray]
) -> None:
    statuses = active.listen(SegmentationStatus, "/tdnet/status", DEEP)
    publisher = active.camera()
    slow = subscriber(5.0)
    labels = active.node_publisher("/tdnet/labels")
    wait_for(lambda: labels.get_subscription_count() == 1, "the slow subscriber")
    for index in range(12):
        publisher.publish(image_message(images[index % len(images)], index / 10))
        statuses.wait(index + 1)
    assert slow.received < 12
    last = statuses.messages[-1]
    assert (last.received, last.segmented, last.dropped, last.refused) == (12, 12, 0, 0)


def test_full_hd_at_30_a_second_into_a_node_that_manages_few(
    camera: Camera, graph: RosGraph, weights: str
) -> None:
    """The newest frame wins: none waits for longer than the frame before it is worked on."""
    graph.start_with({"weights": weights, "device": "cpu", "input_size": [385, 769]})
    wait_for(lambda: graph.state() == "active", "the node to be active")
    labels = graph.listen(Image, "/tdnet/labels", DEEP)
    statuses = graph.listen(SegmentationStatus, "/tdnet/status", DEEP)
    process = camera(30.0)
    process.command("size 1080 1920")
    process.command("resume")
    answered = statuses.wait(10)
    process.command("pause")
    sent = process.take_sent()
    stamps = [stamp_ns(message.header) for message in labels.messages]
    assert set(stamps) <= set(sent)
    assert stamps == sorted(stamps)
    assert answered[-1].dropped > 0
    assert sums_agree(answered)
    work = max(s.total_ms - s.wait_ms for s in answered)
    assert max(s.wait_ms for s in answered) < 2 * work


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk without a free byte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a small disk: run it as root")
    try:
        with (disk / "filled").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def serves(graph: RosGraph, process: NodeProcess, images: list[np.ndarray]) -> None:
    labels = Listener(graph.user, Image, "/tdnet/labels", DEEP)
    camera = graph.camera()

    def answered() -> bool:
        assert process.running, process.last_words()
        camera.publish(image_message(images[0]))
        return bool(labels.messages)

    wait_for(answered, "labels")
    assert process.stop() == 0


def test_log_folder_that_cannot_be_made(
    node: Node, graph: RosGraph, images: list[np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    log = Listener(graph.user, Log, "/rosout", LATE_LOG)
    process = node(ROS_LOG_DIR=str(tmp_path / "file" / "log"))
    said = "no log file, only console and /rosout"
    wait_for(lambda: [m for m in log.messages if m.msg.startswith(said)], said, 60.0)
    serves(graph, process, images)


def test_full_disk(node: Node, graph: RosGraph, images: list[np.ndarray], full_disk: Path) -> None:
    process = node(ROS_LOG_DIR=str(full_disk / "log"))
    serves(graph, process, images)
