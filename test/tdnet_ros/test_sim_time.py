"""Simulated time: stamps rule the memory, and the clock may jump, stand still or be missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from support.camera_run import CameraRun
from support.ros_graph import LATCHED, RosGraph, stamp, wait_for
from vision_msgs.msg import LabelInfo

from tdnet import StreamingSegmenter
from tdnet_ros.segment_node import SegmentNode

pytestmark = pytest.mark.distribution

SetClock = Callable[[float], None]


@pytest.fixture
def node(graph: RosGraph, weights: str) -> SegmentNode:
    """The node under test, active, on simulated time, without a clock."""
    node = graph.start(weights=weights, device="cpu", use_sim_time=True)
    wait_for(lambda: graph.state() == "active", "the node to be active")
    return node


@pytest.fixture
def set_clock(graph: RosGraph, node: SegmentNode) -> SetClock:
    """Sets the time of the simulation, and waits until the node knows it."""
    publisher = graph.user.create_publisher(Clock, "/clock", 10)
    wait_for(publisher.get_subscription_count, "the node to listen to /clock")

    def set_clock(seconds: float) -> None:
        def known() -> bool:
            publisher.publish(Clock(clock=stamp(seconds)))  # best effort: again if it is lost
            return node.get_clock().now().to_msg() == stamp(seconds)

        wait_for(known, f"the node to know that it is {seconds}")

    return set_clock


def test_the_clock_jumps(
    graph: RosGraph,
    set_clock: SetClock,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
) -> None:
    run = CameraRun(graph)
    times = [50.0, 50.1, 50.2, 300.0, 300.1, 50.0, 50.1, 50.2, 50.3]
    for image, now in zip(images, times, strict=False):
        set_clock(now + 0.25)
        run.send(image, now)
        assert run.wait().age_ms == pytest.approx(250)
    expected = ["activated", "", "", "gap", "", "stamp went back", "", "", ""]
    assert run.check(segmenter) == expected


def test_a_jump_of_the_clock_alone_breaks_no_view(
    graph: RosGraph,
    set_clock: SetClock,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
) -> None:
    run = CameraRun(graph)
    for index, now in enumerate([50.0, 900.0, 1.0, 50.0, 50.0]):
        set_clock(now)
        run.send(images[index], 50 + index / 10)
        run.wait()
    assert run.check(segmenter) == ["activated", "", "", "", ""]


def test_without_a_clock_frames_and_diagnostics_go_on(
    graph: RosGraph, node: SegmentNode, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
    run = CameraRun(graph)
    for index, image in enumerate(images[:5]):
        run.send(image, 20 + index / 10)
        run.wait()
    assert run.check(segmenter) == ["activated", "", "", "", ""]
    assert diagnostics.wait(len(diagnostics.messages) + 2)[-1].header.stamp == stamp(0)


def test_a_paused_simulation_goes_on_where_it_stopped(
    graph: RosGraph,
    set_clock: SetClock,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
) -> None:
    """The pause lasts longer than the longest gap, but not in the time of the stamps."""
    assert graph.set_parameters(memory__max_gap=0.15)[0].successful
    diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
    run = CameraRun(graph)
    run.max_gap = 0.15
    set_clock(7.0)
    run.send(images[0], 7.0)
    run.wait()
    diagnostics.wait(len(diagnostics.messages) + 4)  # a diagnostic message every 0.1 s
    set_clock(7.1)
    run.send(images[1], 7.1)
    run.wait()
    assert run.check(segmenter) == ["activated", ""]


def test_what_the_node_says_of_itself_has_the_time_of_the_simulation(
    graph: RosGraph, set_clock: SetClock
) -> None:
    info = graph.listen(LabelInfo, "/tdnet/label_info", LATCHED)
    assert info.wait()[0].header.stamp == stamp(0)
    set_clock(42.5)
    assert graph.transition("deactivate")
    assert graph.transition("activate")
    assert info.wait(2)[1].header.stamp == stamp(42.5)
    diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
    assert diagnostics.wait()[0].header.stamp == stamp(42.5)
