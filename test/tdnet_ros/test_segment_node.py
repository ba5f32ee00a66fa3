"""Frames in, outputs out: what a user of the topics sees."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool
from support.ros_graph import LATCHED, RosGraph, image_message, pixels_of
from vision_msgs.msg import LabelInfo

from tdnet import ClassMap, OutputOptions, OverlayRenderer, StreamingSegmenter
from tdnet_ros.msg import ClassMap as ClassMapMessage
from tdnet_ros.msg import SegmentationStatus


@pytest.mark.distribution
def test_outputs_equal_the_segmenter_and_carry_the_header(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    confidence = active.listen(Image, "/tdnet/confidence")
    overlay = active.listen(Image, "/tdnet/overlay")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    options = OutputOptions(overlay=OverlayRenderer(segmenter.class_map))
    camera = active.camera()
    for index, image in enumerate(images):
        sent = image_message(image, 100 + index / 10)
        camera.publish(sent)
        status.wait(index + 1)
        expected = segmenter.step(image, options)
        for listener, array in (
            (labels, expected.labels),
            (confidence, expected.confidence),
            (overlay, expected.overlay),
        ):
            message = listener.wait(index + 1)[-1]
            assert message.header == sent.header
            np.testing.assert_array_equal(pixels_of(message), array)
        assert status.messages[-1].header == sent.header
        assert status.messages[-1].path == expected.path
        assert status.messages[-1].memory_frames == expected.memory_frames
    assert [m.reset_reason for m in status.messages] == ["activated"] + [""] * (len(images) - 1)


@pytest.mark.distribution
def test_nothing_is_computed_without_subscribers(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    camera = active.camera()
    for image in images[:5]:
        camera.publish(image_message(image))
    active.wait_until_received(5)
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera.publish(image_message(images[5]))
    message = status.wait()[0]
    assert (message.received, message.segmented, message.dropped) == (6, 1, 5)
    assert message.overlay_ms == 0
    assert message.memory_frames == 0


@pytest.mark.distribution
def test_only_what_is_subscribed_to_is_published(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    camera.publish(image_message(images[0]))
    assert status.wait()[0].overlay_ms == 0
    overlay = active.listen(Image, "/tdnet/overlay")
    camera.publish(image_message(images[1]))
    overlay.wait()
    assert status.wait(2)[1].overlay_ms > 0
    assert len(labels.wait(2)) == 2
    assert len(overlay.messages) == 1


@pytest.mark.distribution
def test_latched_topics_reach_who_joins_late(active: RosGraph) -> None:
    info = active.listen(LabelInfo, "/tdnet/label_info", LATCHED).wait()[0]
    classes = active.listen(ClassMapMessage, "/tdnet/class_map", LATCHED).wait()[0]
    expected = ClassMap.load("cityscapes")
    names = [(entry.id, entry.name) for entry in expected.classes]
    assert [(c.class_id, c.class_name) for c in info.class_map] == names
    assert [(c.id, c.name) for c in classes.classes] == names
    assert classes.name == "cityscapes"
    road = classes.classes[0]
    assert (road.color.r, road.color.g, road.color.b, road.color.a) == pytest.approx(
        (128 / 255, 64 / 255, 128 / 255, 1.0)
    )


BAD_FRAMES = {
    "unknown encoding": {"encoding": "rgb9"},
    "no colours": {"encoding": "32FC1"},
    "lying encoding": {"encoding": "rgba8"},
    "zero height": {"height": 0},
    "more rows than data": {"height": 4000},
    "absurd size": {"height": 2**31, "width": 2**31},
}


@pytest.mark.distribution
def test_bad_frames_do_not_stop_it(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    log = active.listen_to_log()
    camera = active.camera()
    for count, fields in enumerate(BAD_FRAMES.values(), start=1):
        bad = image_message(images[0], count)
        for name, value in fields.items():
            setattr(bad, name, value)
        camera.publish(bad)
        log.wait_for_lines(count)
        good = image_message(images[count], count + 0.1)
        camera.publish(good)
        message = status.wait(count)[-1]
        assert message.header == good.header
        assert message.refused == count
        assert message.received == message.segmented + message.refused
        if message.reset_reason == "gap":
            segmenter.reset()
        expected = segmenter.step(images[count]).labels
        np.testing.assert_array_equal(pixels_of(labels.wait(count)[-1]), expected)
    for name, text in zip(BAD_FRAMES, log.texts, strict=True):
        assert "\n" not in text, name
        assert text.startswith("frame of /image refused: "), name


def test_the_rate_is_limited(graph: RosGraph, weights: str, images: list[np.ndarray]) -> None:
    graph.start(weights=weights, device="cpu", max_rate=0.01)
    status = graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()
    for index in range(5):
        camera.publish(image_message(images[0], index / 10))
    graph.wait_until_received(5)
    user_set(graph, max_rate=0.0)
    camera.publish(image_message(images[0], 0.5))
    last = status.wait(2)[1]
    assert (last.received, last.segmented, last.dropped) == (6, 2, 4)


def user_set(graph: RosGraph, **parameters: object) -> None:
    results = graph.set_parameters(**parameters)
    assert all(result.successful for result in results), results


def test_an_error_in_the_network_costs_one_frame(
    graph: RosGraph,
    weights: str,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A device error has no real cause here: the network's own step is made to raise once."""
    graph.start(weights=weights, device="cpu")
    labels = graph.listen(Image, "/tdnet/labels")
    status = graph.listen(SegmentationStatus, "/tdnet/status")
    log = graph.listen_to_log()
    camera = graph.camera()
    camera.publish(image_message(images[0], 1.0))
    status.wait(1)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise RuntimeError("device lost\nsecond line")

        broken.setattr("tdnet.frames.preprocess.Preprocessor.__call__", fail)
        camera.publish(image_message(images[1], 1.1))
        text = log.wait_for_text("refused: in the network")
    assert "device lost" in text
    assert "\n" not in text
    camera.publish(image_message(images[2], 1.2))
    message = status.wait(2)[1]
    assert message.reset_reason == "error while processing the frame before"
    assert (message.segmented, message.refused) == (2, 1)
    expected = segmenter.step(images[2]).labels
    np.testing.assert_array_equal(pixels_of(labels.wait(2)[1]), expected)


def test_an_error_before_the_network_is_not_the_networks(
    graph: RosGraph, weights: str, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a device raises while it allocates the memory of a camera."""
    graph.start(weights=weights, device="cpu")
    labels = graph.listen(Image, "/tdnet/labels")
    log = graph.listen_to_log()
    camera = graph.camera()
    zeros = torch.zeros

    def fail(*arguments: Any, **options: Any) -> torch.Tensor:
        if threading.current_thread().name == "inference":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return zeros(*arguments, **options)

    with monkeypatch.context() as broken:
        broken.setattr(torch, "zeros", fail)
        camera.publish(image_message(images[0], 1.0))
        assert "out of memory" in log.wait_for_text("refused: while opening the memory")
    camera.publish(image_message(images[1], 1.1))
    labels.wait()


@pytest.mark.distribution
def test_a_publisher_that_is_gone_is_not_the_networks_error(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    node = graph.start(
        weights=weights, device="cpu", idle_without_subscribers=False, diagnostics_period=60.0
    )
    log = graph.listen_to_log()
    camera = graph.camera()
    node.destroy_publisher(graph.node_publisher("/tdnet/status"))
    camera.publish(image_message(images[0], 1.0))
    assert "InvalidHandle" in log.wait_for_text("refused: while counting subscribers")


@pytest.mark.distribution
def test_a_pause_counts_frames_and_ends_the_view(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    camera.publish(image_message(images[0], 0.0))
    status.wait()
    answer = active.call(SetBool, "/tdnet/enable", SetBool.Request(data=False))
    assert (answer.success, answer.message) == (True, "paused: frames are counted and dropped")
    assert active.get_parameter("enable") is False
    for number in range(1, 4):
        camera.publish(image_message(images[number], number / 10))
    active.wait_until_counted("dropped while paused", 3)
    assert active.call(SetBool, "/tdnet/enable", SetBool.Request(data=True)).success
    camera.publish(image_message(images[4], 0.4))
    last = status.wait(2)[1]
    assert (last.received, last.segmented, last.dropped) == (5, 2, 3)
    assert (last.reset_reason, last.memory_frames) == ("paused", 0)


def test_output_size(active: RosGraph, images: list[np.ndarray]) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    overlay = active.listen(Image, "/tdnet/overlay")
    camera = active.camera()
    sizes = {"camera": (72, 120), "network": (65, 129), "30, 50": (30, 50)}
    for count, (value, size) in enumerate(sizes.items(), start=1):
        user_set(active, output_size=value)
        camera.publish(image_message(images[0], count / 10))
        assert pixels_of(labels.wait(count)[-1]).shape == size
        assert pixels_of(overlay.wait(count)[-1]).shape == (*size, 3)


def test_threshold_and_hidden_classes_act_at_once(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    info = active.listen(LabelInfo, "/tdnet/label_info", LATCHED)
    info.wait()
    labels = active.listen(Image, "/tdnet/labels")
    overlay = active.listen(Image, "/tdnet/overlay")
    camera = active.camera()
    camera.publish(image_message(images[0], 0.0))
    assert (pixels_of(labels.wait()[0]) != 255).all()
    names = [entry.name for entry in segmenter.class_map.classes]
    user_set(active, confidence_threshold=1.0, overlay__hidden_classes=names)
    camera.publish(image_message(images[1], 0.1))
    assert (pixels_of(labels.wait(2)[1]) == 255).all()
    np.testing.assert_array_equal(pixels_of(overlay.wait(2)[1]), images[1])
    assert [m.threshold for m in info.wait(2)] == [0.0, 1.0]


@pytest.mark.distribution
@pytest.mark.parametrize("seconds", [-5, 2**31 - 1])
def test_a_stamp_out_of_this_world_is_kept(
    active: RosGraph, images: list[np.ndarray], seconds: int
) -> None:
    status = active.listen(SegmentationStatus, "/tdnet/status")
    labels = active.listen(Image, "/tdnet/labels")
    camera = active.camera()
    strange = image_message(images[0])
    strange.header.stamp = Time(sec=seconds, nanosec=2**32 - 1)
    for count in (1, 2):
        camera.publish(strange)
        assert status.wait(count)[-1].header == strange.header
        assert labels.wait(count)[-1].header == strange.header


def test_odd_and_tiny_images(active: RosGraph) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    camera = active.camera()
    for count, size in enumerate([(1, 1), (3, 1), (1, 301), (71, 33)], start=1):
        camera.publish(image_message(np.full((*size, 3), 90, np.uint8), count / 10))
        assert pixels_of(labels.wait(count)[-1]).shape == size


@pytest.mark.distribution
def test_what_the_library_says_is_in_the_log_of_the_node(graph: RosGraph, weights: str) -> None:
    graph.start(weights=weights, device="cpu", input_size=[129, 257], autostart=False)
    log = graph.listen_to_log()
    assert graph.transition("configure")
    assert "another input size" in log.wait_for_text("small.safetensors")
