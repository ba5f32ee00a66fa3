"""The memory holds only frames of one unbroken view: on real topics, the reason in the status."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support.ros_graph import RosGraph, image_message, pixels_of, wait_for

from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus

Frame = tuple[float, str, int]
BEFORE: list[Frame] = [(1.0, "camera", 0), (1.1, "camera", 1)]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        pytest.param((1.2, "camera", 2), "", id="continued"),
        pytest.param((1.1, "camera", 2), "", id="same stamp"),
        pytest.param((0.5, "camera", 2), "stamp went back", id="stamp back"),
        pytest.param((2.2, "camera", 2), "gap", id="gap"),
        pytest.param((1.2, "other", 2), "frame id changed", id="frame id"),
        pytest.param((1.2, "camera", -1), "image size changed", id="size"),
    ],
)
def test_what_breaks_the_view_empties_the_memory(
    active: RosGraph,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    after: Frame,
    reason: str,
) -> None:
    smaller = np.ascontiguousarray(images[2][:60, :100])
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    for count, (seconds, frame_id, number) in enumerate([*BEFORE, after], start=1):
        image = smaller if number == -1 else images[number]
        camera.publish(image_message(image, seconds, frame_id))
        if count == 3 and reason:
            segmenter.reset()
        expected = segmenter.step(image)
        np.testing.assert_array_equal(pixels_of(labels.wait(count)[-1]), expected.labels)
        message = status.wait(count)[-1]
        assert message.memory_frames == expected.memory_frames
        assert message.path == expected.path
    assert [m.reset_reason for m in status.messages] == ["activated", "", reason]


def test_the_service_empties_it(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    for index in (0, 1):
        camera.publish(image_message(images[index], index / 10))
        status.wait(index + 1)
    assert active.call(Trigger, "/tdnet/reset_memory", Trigger.Request()).success
    camera.publish(image_message(images[2], 0.2))
    assert status.wait(3)[2].reset_reason == "requested"
    np.testing.assert_array_equal(pixels_of(labels.wait(3)[2]), segmenter.step(images[2]).labels)


def test_who_subscribes_after_a_pause_gets_a_fresh_memory(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    camera.publish(image_message(images[0], 0.0))
    status.wait()
    status.close()
    publisher = active.node_publisher("/tdnet/status")
    wait_for(lambda: publisher.get_subscription_count() == 0, "the subscriber to be gone")
    camera.publish(image_message(images[1], 0.1))
    active.wait_until_received(2)
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera.publish(image_message(images[2], 0.2))
    message = status.wait()[0]
    assert (message.reset_reason, message.memory_frames) == ("start", 0)
    assert (message.received, message.segmented, message.dropped) == (3, 2, 1)


def test_without_idling_the_memory_stays_warm(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    graph.start(weights=weights, device="cpu", idle_without_subscribers=False)
    camera = graph.camera()
    camera.publish(image_message(images[0], 0.0))
    graph.wait_until_received(1)
    status = graph.listen(SegmentationStatus, "/tdnet/status")
    camera.publish(image_message(images[1], 0.1))
    message = status.wait()[-1]
    assert (message.reset_reason, message.memory_frames) == ("", 1)
    assert message.segmented == 2
