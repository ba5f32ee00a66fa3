"""What a camera's messages cost and may not cost."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from support.ros_graph import image_message, wait_for

from tdnet.mailbox import Mailbox
from tdnet_ros.camera.camera import Camera
from tdnet_ros.camera.frame_trace import FrameTrace
from tdnet_ros.camera.subscription import CameraSubscription, RateLimit
from tdnet_ros.capture.captures import Captures
from tdnet_ros.parameter_groups import CaptureSettings
from tdnet_ros.parameters import NodeSettings

pytestmark = pytest.mark.distribution


@pytest.mark.parametrize("rate", [10.0, 8.0, 3.0])
def test_the_rate_is_kept_on_average(rate: float) -> None:
    limit = RateLimit()
    passed = [i / 17 for i in range(17 * 20) if limit.passes(i / 17, rate)]
    assert len(passed) == pytest.approx(20 * rate, abs=1.5)
    gaps = [b - a for a, b in pairwise(passed)]
    assert min(gaps) > 1 / rate - 1 / 17 - 1e-9


def test_no_burst_makes_up_for_a_pause() -> None:
    limit = RateLimit()
    assert limit.passes(0.0, 10)
    assert limit.passes(100.0, 10)
    assert not limit.passes(100.05, 10)
    assert limit.passes(100.1, 10)


def test_zero_is_no_limit() -> None:
    limit = RateLimit()
    assert all(limit.passes(0.0, 0.0) for _ in range(100))


def test_another_rate_counts_from_the_last_frame() -> None:
    """A camera that was allowed a frame a minute must not wait for that minute's end."""
    limit = RateLimit()
    assert limit.passes(0.0, 1 / 60)
    assert not limit.passes(1.0, 1 / 60)
    assert limit.passes(1.1, 10)
    assert not limit.passes(1.15, 10)
    assert limit.passes(1.21, 10)
    assert not limit.passes(1.9, 1)
    assert limit.passes(2.25, 1)


def test_frames_go_on_where_no_thread_for_captures_can_start(
    ros: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node, executor = LifecycleNode("cameras"), SingleThreadedExecutor()
    captures = Captures(node, ReentrantCallbackGroup())
    camera = Camera(node, "", "raw", captures)
    mailbox: Mailbox[FrameTrace] = Mailbox([""])
    folder = tmp_path / "captures"
    settings = NodeSettings(idle_without_subscribers=False, capture=CaptureSettings(str(folder)))
    subscription = CameraSubscription(node, camera, mailbox, settings)
    publisher = node.create_publisher(Image, "/image", 1)

    def receive() -> None:
        """Receive one frame, and take it from the mailbox."""
        before = camera.counter.counts.received

        def received() -> bool:
            publisher.publish(image_message(np.zeros((4, 4, 3), np.uint8)))
            rclpy.spin_once(node, executor=executor, timeout_sec=0.1)
            return camera.counter.counts.received > before

        wait_for(received, "a frame")
        assert camera.counter.counts.refused == 0
        assert mailbox.take() is not None

    threading.stack_size(1 << 47)  # more than any address space
    try:
        receive()
        receive()
    finally:
        threading.stack_size(0)
    lines = [line for line in capfd.readouterr().err.splitlines() if "no captures of" in line]
    assert len(lines) == 1
    assert "/image: RuntimeError: can't start new thread" in lines[0]
    assert not folder.exists()
    receive()
    wait_for(folder.exists, "the thread for captures")
    captures.close()
    subscription.destroy()
    executor.shutdown()
    node.destroy_node()
