"""Frames in, outputs out: what a user of the topics sees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.ros_graph import LATCHED, RosGraph, image_message, pixels_of, stamp, wait_for
from vision_msgs.msg import LabelInfo

from tdnet import ClassMap, OutputOptions, OverlayRenderer, StreamingSegmenter
from tdnet_ros.msg import ClassMap as ClassMapMessage
from tdnet_ros.msg import SegmentationStatus


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


def test_compressed_outputs_decode_to_the_plain_ones(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    topics = ("labels", "confidence", "overlay")
    plain = [active.listen(Image, f"/tdnet/{topic}") for topic in topics]
    packed = [active.listen(CompressedImage, f"/tdnet/{topic}/compressed") for topic in topics]
    sent = image_message(images[0], 5.0)
    active.camera().publish(sent)
    for topic, listener, compressed in zip(topics, plain, packed, strict=True):
        message = compressed.wait()[0]
        assert message.header == sent.header
        expected = pixels_of(listener.wait()[0])
        decoded = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)
        if topic == "overlay":
            assert message.format == "rgb8; jpeg compressed bgr8"
            difference = decoded[:, :, ::-1].astype(int) - expected
            assert np.abs(difference).mean() < 12
        else:
            assert message.format == "mono8; png compressed "
            np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("format", ["rgb8; jpeg compressed bgr8", "jpeg", "png"])
def test_compressed_input(
    graph: RosGraph,
    weights: str,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    format: str,
) -> None:
    graph.start(weights=weights, device="cpu", image_transport="compressed")
    labels = graph.listen(Image, "/tdnet/labels")
    extension = ".png" if format == "png" else ".jpg"
    _, data = cv2.imencode(extension, images[0][:, :, ::-1])
    message = CompressedImage(header=Header(stamp=stamp(3)), format=format, data=data.tobytes())
    graph.camera(CompressedImage, "/image/compressed").publish(message)
    seen = cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]
    result = labels.wait()[0]
    assert result.header == message.header
    np.testing.assert_array_equal(
        pixels_of(result), segmenter.step(np.ascontiguousarray(seen)).labels
    )


def test_nothing_is_computed_without_subscribers(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    camera = active.camera()
    for image in images[:5]:
        camera.publish(image_message(image))
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera.publish(image_message(images[5]))
    message = status.wait()[0]
    assert (message.received, message.segmented, message.dropped) == (6, 1, 5)
    assert message.overlay_ms == 0
    assert message.memory_frames == 0


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


def test_bad_frames_do_not_stop_it(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    log = active.listen_to_log()
    camera = active.camera()
    count = 0
    for index, fields in enumerate(BAD_FRAMES.values()):
        bad = image_message(images[0], index + 0.5)
        for name, value in fields.items():
            setattr(bad, name, value)
        camera.publish(bad)
        wait_for(lambda: len(log.texts) > index, f"a log line for {fields}")
        good = image_message(images[index], index + 0.6)
        camera.publish(good)
        count += 1
        message = status.wait(count)[-1]
        assert message.header == good.header
        assert message.refused == count
        assert message.received == message.segmented + message.refused
        expected = segmenter.step(images[index]).labels
        np.testing.assert_array_equal(pixels_of(labels.wait(count)[-1]), expected)
    for name, text in zip(BAD_FRAMES, log.texts, strict=True):
        assert "\n" not in text, name
        assert text.startswith("frame of /image refused: "), name
