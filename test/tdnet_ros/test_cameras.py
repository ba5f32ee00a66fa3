"""Several cameras: one set of weights, a memory and topics each, and fair turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from support.camera_run import CameraRun
from support.ros_graph import (
    DEEP_OUTPUT,
    RELIABLE_INPUT,
    Listener,
    RosGraph,
    diagnostic_values,
    image_message,
    pixels_of,
    stamp,
    wait_for,
)

from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus

NAMES = ["front", "rear", "side"]


@pytest.fixture
def cameras(graph: RosGraph, weights: str, images: list[np.ndarray]) -> dict[str, CameraRun]:
    """Three cameras of an active node."""
    graph.start(weights=weights, device="cpu", cameras=NAMES)
    wait_for(lambda: graph.state() == "active", "the node to be active")
    return {name: CameraRun(graph, name) for name in NAMES}


def views(images: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """What each camera sees: pictures of different content and size."""
    return {
        "front": images,
        "rear": [np.ascontiguousarray(image[:40, ::-1]) for image in images],
        "side": [np.ascontiguousarray(image[::-1, :90]) for image in images],
    }


def test_interleaved_frames_give_what_separate_streams_give(
    graph: RosGraph,
    cameras: dict[str, CameraRun],
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
) -> None:
    seen = views(images)
    for index in range(8):
        for name, run in cameras.items():
            # A camera that lags behind the others has still an unbroken view of its own.
            run.send(seen[name][index], index / 10 + 100 * NAMES.index(name), name)
        if index == 4:
            for run in cameras.values():
                run.wait()
            assert graph.call(Trigger, "/tdnet/reset_memory", Trigger.Request()).success
            for run in cameras.values():
                run.happened("requested")
        for name, run in cameras.items():
            assert run.wait().camera == name
    for run in cameras.values():
        assert run.check(segmenter) == ["activated", "", "", "", "", "requested", "", ""]


@pytest.mark.parametrize("seed", range(2))
def test_what_one_camera_does_leaves_the_others_alone(
    graph: RosGraph,
    cameras: dict[str, CameraRun],
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    seed: int,
) -> None:
    """The rear one stops, flickers, changes its size and name, sends garbage and rewinds."""
    random = np.random.default_rng(seed)
    seen = views(images)
    rear = cameras["rear"]
    frames, broken = 20, 0
    for index in range(frames):
        for name in ("front", "side"):
            cameras[name].send(seen[name][index % 10], index / 10, name)
        view = seen[random.choice(NAMES)][index % 10]
        mood = random.choice(["well", "stopped", "flickers", "garbage", "rewinds"])
        if mood == "garbage":
            for lie in ({"encoding": "rgb9"}, {"height": 4000}):
                rear.send_broken(view, index / 10, **lie)
                broken += 1
                graph.wait_until_counted("refused", broken, "rear")
        elif mood == "flickers":
            for flicker in range(6):
                seconds = index / 10 + flicker * 1e-4
                rear.send(images[random.integers(10)], seconds, str(random.integers(2)))
        elif mood == "rewinds":
            for seconds in (index / 10, index / 10 - 1):
                rear.send(view, seconds)
                rear.wait()
        if mood != "stopped":
            rear.send(view, index / 10 + 1e-3)
            rear.wait()
        for name in ("front", "side"):
            cameras[name].wait()
    for name in ("front", "side"):
        assert cameras[name].check(segmenter) == ["activated", *[""] * (frames - 1)]
        last = cameras[name].statuses[-1]
        assert (last.received, last.segmented) == (frames, frames)
        assert (last.dropped, last.refused) == (0, 0)
    assert {"image size changed", "stamp went back", "gap"} <= set(rear.check(segmenter))
    last = rear.statuses[-1]
    assert last.refused == broken > 0
    assert last.received == last.segmented + last.dropped + last.refused


def test_each_camera_has_settings_of_its_own(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    own = {"front__output_size": "30, 50", "rear__image_transport": "compressed"}
    graph.start(weights=weights, device="cpu", cameras=["front", "rear"], **own)
    labels = {name: graph.listen(Image, f"/tdnet/{name}/labels") for name in ("front", "rear")}
    front = graph.camera(topic="/front/image")
    rear = graph.camera(CompressedImage, "/rear/image/compressed")
    png = cv2.imencode(".png", images[0])[1].tobytes()

    def sizes(count: int) -> list[tuple[int, ...]]:
        """Height and width of the labels of frame number `count` of each camera."""
        seconds = count / 10
        front.publish(image_message(images[0], seconds))
        header = Header(stamp=stamp(seconds), frame_id="rear")
        rear.publish(CompressedImage(header=header, format="png", data=png))
        return [pixels_of(listener.wait(count)[-1]).shape for listener in labels.values()]

    assert sizes(1) == [(30, 50), (72, 120)]
    changes = {"front__output_size": "", "rear__output_size": [20, 40], "output_size": "network"}
    assert all(result.successful for result in graph.set_parameters(**changes))
    assert sizes(2) == [(65, 129), (20, 40)]
    (result,) = graph.set_parameters(front__max_rate=0.01)
    assert result.successful
    front.publish(image_message(images[0], 0.3))
    graph.wait_until_received(3, "front")
    front.publish(image_message(images[0], 0.4))
    graph.wait_until_counted("dropped", 1, "front")
    rear.publish(CompressedImage(header=Header(stamp=stamp(0.4)), format="png", data=png))
    labels["rear"].wait(3)
    for change, part in (
        ({"rear__image_transport": "raw"}, "cannot change while the node is configured"),
        ({"front__max_rate": -2.0}, "out of range"),
        ({"fornt__max_rate": 2.0}, "did you mean front.max_rate?"),
    ):
        (result,) = graph.set_parameters(**change)
        assert not result.successful
        assert part in result.reason
    assert graph.transition("deactivate")
    assert graph.transition("cleanup")
    results = graph.set_parameters(cameras=["front", "side"], side__max_rate=2)
    assert all(result.successful for result in results), results
    assert graph.get_parameter("front.max_rate") == 0.01
    assert not graph.set_parameters(rear__max_rate=2.0)[0].successful


class Flood:
    """Frames of cameras, far more than the node can segment."""

    def __init__(self, graph: RosGraph, image: np.ndarray, frames_a_round: dict[str, int]) -> None:
        self._image = image
        self._frames = frames_a_round
        self._rounds = 0
        self._publishers = {name: graph.camera(topic=f"/{name}/image") for name in frames_a_round}
        self._graph = graph

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sends a round every 15 ms, in the user's thread beside everything it does."""
        timer = self._graph.user.create_timer(0.015, self._send_round)
        yield
        self._graph.user.destroy_timer(timer)

    def _send_round(self) -> None:
        self._rounds += 1
        message = image_message(self._image, self._rounds / 100)
        for name, publisher in self._publishers.items():
            for _ in range(self._frames[name]):
                publisher.publish(message)


@pytest.fixture
def slow(graph: RosGraph, weights: str) -> RosGraph:
    """A graph with a node whose frames take several times as long as they are apart.

    It takes in newest frames only, as on a robot: a deep queue of the flood would have to be
    emptied before anything else is seen.
    """
    graph.start_with(
        {
            **{
                name: 1 if name.endswith("depth") else value
                for name, value in RELIABLE_INPUT.items()
            },
            **DEEP_OUTPUT,
            "weights": weights,
            "device": "cpu",
            "runtime": "torch",
            "cameras": NAMES,
            "input_size": [257, 513],
        }
    )
    wait_for(lambda: graph.state() == "active", "the node to be active")
    return graph


def test_turns_are_fair_when_the_device_is_the_bottleneck(
    slow: RosGraph, images: list[np.ndarray]
) -> None:
    statuses = {name: slow.listen(SegmentationStatus, f"/tdnet/{name}/status") for name in NAMES}
    diagnostics = slow.listen(DiagnosticArray, "/diagnostics")
    with Flood(slow, images[0], {"front": 10, "rear": 1, "side": 1}).running():
        wait_for(lambda: sum(len(s.messages) for s in statuses.values()) >= 36, "36 frames", 60)
        shares = wait_for(lambda: shares_in(diagnostics), "the shares", 60)
    segmented = {name: len(status.messages) for name, status in statuses.items()}
    assert min(segmented.values()) > 0.5 * max(segmented.values()), segmented
    assert all(status.messages[-1].dropped > 0 for status in statuses.values())
    assert sum(shares.values()) == pytest.approx(1, abs=0.03)
    assert min(shares.values()) > 0.15, shares


def shares_in(diagnostics: Listener) -> dict[str, float]:
    """The newest shares of the device, by camera, once every camera has one."""
    statuses = diagnostics.messages[-1].status if diagnostics.messages else []
    by_camera = {status.name.split()[-1]: diagnostic_values(status) for status in statuses}
    key = "share of device time"
    shares = {name: float(values[key]) for name, values in by_camera.items() if key in values}
    return shares if set(shares) == set(NAMES) else {}


def test_a_flood_costs_a_calm_camera_no_frame(slow: RosGraph, images: list[np.ndarray]) -> None:
    rear = CameraRun(slow, "rear")
    front = slow.listen(Image, "/tdnet/front/labels")
    seconds = iter(range(100))
    with Flood(slow, images[0], {"front": 10, "side": 3}).running():
        front.wait(3, 60)
        for image in images[:6]:
            served = len(front.messages)
            rear.send(image, next(seconds) / 10)
            status = rear.wait()
            # The frame at work and one turn of each of the others, and what is still on its way.
            assert len(front.messages) - served <= 6
    assert (status.received, status.segmented) == (6, 6)
