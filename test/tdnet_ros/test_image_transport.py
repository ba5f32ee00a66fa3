"""Compressed topics, to and from what image_transport does on the other side."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.ros_graph import RosGraph, image_message, pixels_of, stamp, wait_for

from tdnet import StreamingSegmenter

pytestmark = pytest.mark.distribution

COLOURS = ("rgb8", "bgr8", "rgba8", "bgra8")


def compress(image: np.ndarray, encoding: str, codec: str) -> CompressedImage:
    """An RGB image as compressed_image_transport sends one that a driver gave in an encoding."""
    grey = encoding.startswith("mono")
    pixels = image[:, :, 0] if grey else image[:, :, ::-1]
    if encoding.endswith("16"):
        pixels = pixels.astype(np.uint16) << 8
    if codec == "jpeg":
        target = "mono8" if grey else "bgr8"
        pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    else:
        target = "" if grey else ("bgr16" if encoding.endswith("16") else "bgr8")
    _, data = cv2.imencode({"jpeg": ".jpg", "png": ".png"}[codec], np.ascontiguousarray(pixels))
    message = CompressedImage(format=f"{encoding}; {codec} compressed {target}")
    message.data = array.array("B", data.tobytes())
    return message


def decompress(message: CompressedImage) -> tuple[str, np.ndarray]:
    """Encoding and pixels as image_transport's subscriber, and so RViz, makes them of a message.

    The encoding stands before the semicolon; colours that were compressed as BGR are put back
    into its order.
    """
    image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)
    encoding, separator, rest = message.format.partition(";")
    if not separator:
        return ("mono8" if image.ndim == 2 else "bgr8"), image
    if encoding in COLOURS:
        assert "compressed bgr" in rest
        conversion = {"rgb8": cv2.COLOR_BGR2RGB, "rgba8": cv2.COLOR_BGR2RGBA}.get(encoding)
        image = image if conversion is None else cv2.cvtColor(image, conversion)
    return encoding, image


def as_seen(message: CompressedImage) -> np.ndarray:
    """What is in a compressed message, as an RGB picture."""
    image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(image[:, :, ::-1])


@pytest.fixture
def compressed(graph: RosGraph, weights: str) -> RosGraph:
    """A graph with the node under test, which takes in compressed images."""
    graph.start(weights=weights, device="cpu", image_transport="compressed")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    return graph


def test_whatever_image_transport_and_drivers_send(
    compressed: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    encodings = [*COLOURS, "mono8", "rgb16", "mono16"]
    messages = [
        compress(images[index], encoding, codec)
        for codec in ("jpeg", "png")
        for index, encoding in enumerate(encodings)
    ]
    # Other drivers name the codec alone.
    for bare, codec in (("jpeg", "jpeg"), ("jpg", "jpeg"), ("JPEG", "jpeg"), ("png", "png")):
        message = compress(images[7], "rgb8", codec)
        message.format = bare
        messages.append(message)
    labels = compressed.listen(Image, "/tdnet/labels")
    camera = compressed.camera(CompressedImage, "/image/compressed")
    for count, message in enumerate(messages, start=1):
        message.header = Header(stamp=stamp(count / 10), frame_id="camera")
        camera.publish(message)
        answer = labels.wait(count)[-1]
        assert answer.header == message.header
        seen = as_seen(message)
        np.testing.assert_array_equal(
            pixels_of(answer), segmenter.step(seen).labels, err_msg=message.format
        )
    # A picture that PNG keeps gives the labels of the picture itself.
    exact = [m for m in messages if m.format == "rgb8; png compressed bgr8"]
    np.testing.assert_array_equal(as_seen(exact[0]), images[0])


def test_compressed_outputs_are_the_plain_ones(active: RosGraph, images: list[np.ndarray]) -> None:
    topics = ("labels", "confidence", "overlay")
    plain = {topic: active.listen(Image, f"/tdnet/{topic}") for topic in topics}
    packed = {
        topic: active.listen(CompressedImage, f"/tdnet/{topic}/compressed") for topic in topics
    }
    camera = active.camera()
    camera.publish(image_message(images[0], 5.0))
    for topic in topics:
        message, expected = packed[topic].wait()[0], plain[topic].wait()[0]
        assert message.header == expected.header
        encoding, decoded = decompress(message)
        assert encoding == expected.encoding
        if topic == "overlay":
            assert message.format == "rgb8; jpeg compressed bgr8"
            difference = decoded.astype(int) - pixels_of(expected)
            assert np.abs(difference).mean() < 12
            swapped = decoded[:, :, ::-1].astype(int) - pixels_of(expected)
            assert np.abs(swapped).mean() > 2 * np.abs(difference).mean()
        else:
            assert message.format == "mono8; png compressed "
            np.testing.assert_array_equal(decoded, pixels_of(expected))


def test_a_compressed_output_alone_is_computed(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    """A subscriber of the compressed topic needs none of the plain one."""
    expected = segmenter.step(images[0])
    assert expected.confidence is not None
    images_of = {"labels": expected.labels, "confidence": expected.confidence}
    for count, (topic, pixels) in enumerate(images_of.items()):
        listener = active.listen(CompressedImage, f"/tdnet/{topic}/compressed")
        camera = active.camera()
        camera.publish(image_message(images[0], 100.0 * count))  # a gap: the memory is reset
        np.testing.assert_array_equal(decompress(listener.wait()[0])[1], pixels)
        active.user.destroy_publisher(camera)
        listener.close(active.node_publisher(listener.topic))
