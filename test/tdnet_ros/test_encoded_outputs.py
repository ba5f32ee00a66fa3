"""PNG and JPEG are encoded beside the next frame's network, without an effect but on time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from support.ros_graph import Listener, RosGraph, image_message, pixels_of, wait_for

from tdnet.continuity import stamp_ns
from tdnet_ros.camera.camera import Camera
from tdnet_ros.msg import SegmentationStatus

FRAMES = 6
# Their files take longer than their network.
SIZE = (600, 800)


def stamps(listener: Listener) -> list[int]:
    return [stamp_ns(message.header) for message in listener.messages]


def decoded(message: CompressedImage) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)


def frames(count: int) -> list[np.ndarray]:
    """Noise, so that there is much to encode."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (*SIZE, 3), np.uint8) for _ in range(count)]


def listen(graph: RosGraph) -> tuple[list[Listener], Listener]:
    """To all outputs, and to the status."""
    kinds = {
        **{f"/tdnet/{name}": Image for name in ("labels", "confidence", "overlay")},
        **{
            f"/tdnet/{name}/compressed": CompressedImage
            for name in ("labels", "confidence", "overlay")
        },
    }
    outputs = [graph.listen(kind, topic) for topic, kind in kinds.items()]
    return outputs, graph.listen(SegmentationStatus, "/tdnet/status")


def test_every_output_of_every_frame_comes_and_in_order(active: RosGraph) -> None:
    outputs, status = listen(active)
    camera = active.camera()
    for number, image in enumerate(frames(FRAMES), start=1):
        camera.publish(image_message(image, number / 10))
        # While this one is still being encoded the next one comes.
        outputs[0].wait(number)
    told = status.wait(FRAMES)
    for listener in outputs:
        listener.wait(FRAMES)
        assert stamps(listener) == stamps(status)
    assert stamps(status) == sorted(stamps(status))
    labels, confidence, _, labels_png, confidence_png, overlay_jpeg = outputs
    for raw, png in ((labels, labels_png), (confidence, confidence_png)):
        for each, file in zip(raw.messages, png.messages, strict=True):
            np.testing.assert_array_equal(decoded(file), pixels_of(each))
    assert all(decoded(file).shape == (*SIZE, 3) for file in overlay_jpeg.messages)
    for number, each in enumerate(told, start=1):
        assert (each.segmented, each.dropped, each.refused) == (number, 0, 0)
        assert each.path == (number - 1) % 4
        assert 0 < each.labels_ms < each.total_ms
        assert 0 < each.message_ms < each.publish_ms
        assert each.total_ms - each.labels_ms >= each.message_ms / 2


def test_after_deactivation_nothing_comes_and_no_frame_is_half_out(active: RosGraph) -> None:
    outputs, status = listen(active)
    labels = outputs[0]
    camera = active.camera()
    images = frames(3)
    for activation in range(3):
        heard = len(labels.messages)
        for number, image in enumerate(images):
            camera.publish(image_message(image, activation + number / 10))
        labels.wait(heard + 1)
        assert active.transition("deactivate")
        # What was published before the transition's answer may still be on its way to us.
        wait_for(
            lambda: all(len(each.messages) == len(labels.messages) for each in (*outputs, status)),
            "all of the last frame",
        )
        out = [stamps(listener) for listener in outputs]
        assert all(each == out[0] for each in out[1:])
        assert stamps(status) == out[0]
        assert active.transition("activate")
        wait_for(lambda: camera.get_subscription_count() == 1, "the node to listen again")
    assert [stamps(listener) for listener in outputs] == out


def test_a_frame_that_fails_beside_the_network_is_refused_and_no_other(
    active: RosGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, status = listen(active)
    camera, segmented = active.camera(), Camera.published
    failures = [MemoryError("no memory for the statistics")]

    def fail_once(self: Camera, *arguments: Any) -> Any:
        if failures and self.counter.counts.received == 2:
            raise failures.pop()
        return segmented(self, *arguments)

    monkeypatch.setattr(Camera, "published", fail_once)
    for number, image in enumerate(frames(4), start=1):
        camera.publish(image_message(image, number / 10))
        for listener in outputs:
            listener.wait(number)
    told = status.wait(3)
    counts = told[-1]
    assert not failures
    assert (counts.received, counts.segmented, counts.dropped, counts.refused) == (4, 3, 0, 1)
    assert [round(stamp / 1e8) for stamp in stamps(status)] == [1, 3, 4]


def test_every_frame_is_counted_when_the_node_is_deactivated(
    graph: RosGraph, weights: str
) -> None:
    node = graph.start(weights=weights, device="cpu")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    outputs, _ = listen(graph)
    camera = graph.camera()
    for number, image in enumerate(frames(4), start=1):
        camera.publish(image_message(image, number / 10))
    outputs[0].wait(1)
    assert graph.transition("deactivate")
    (counts,) = (each.counter.counts for each in node._cameras.values())
    assert counts.received == counts.segmented + counts.dropped + counts.refused
