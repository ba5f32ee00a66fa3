"""The table of outputs, and messages with as few copies as possible and without new memory."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from tdnet.segmenter import SegmentationResult
from tdnet_ros.camera.outputs import (
    OUTPUTS,
    ImageMessage,
    Phase,
    jpeg_message,
    png_message,
)
from tdnet_ros.parameters import NodeSettings

HEADERS = [Header(stamp=Time(sec=second), frame_id="camera") for second in range(3)]
SETTINGS = NodeSettings()
SHAPES = {"mono8": (240, 320), "rgb8": (240, 320, 3)}


README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_the_table() -> None:
    """Every topic, with its type, and no other."""
    rows = re.findall(r"^\| (`~/[^|]+) \| ([^|]+) \|", README, re.MULTILINE)
    listed = {topic: kind for topics, kind in rows for topic in re.findall(r"`~/(.*?)`", topics)}
    assert listed.keys() == {output.topic for output in OUTPUTS}
    for output in OUTPUTS:
        name = output.message_type.__name__
        assert name.removeprefix("Compressed") in listed[output.topic]


def test_every_image_is_one_of_the_segmenter() -> None:
    names = {field.name for field in fields(SegmentationResult)}
    assert {output.image for output in OUTPUTS if output.image} <= names


def test_a_compressed_topic_stands_beside_its_raw_one() -> None:
    """As image_transport finds it: NAME/compressed of NAME, with the same image."""
    raw = {output.topic: output.image for output in OUTPUTS if output.phase is Phase.DIRECT}
    encoded = [output for output in OUTPUTS if output.phase is Phase.ENCODED]
    assert {output.topic for output in encoded} == {f"{topic}/compressed" for topic in raw}
    assert all(raw[o.topic.removesuffix("/compressed")] == o.image for o in encoded)


@pytest.fixture
def traced() -> Iterator[None]:
    """Counts what Python objects and arrays take; cyclic garbage is none of it."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def random_image(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def bytes_held(message: Image) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8)


@pytest.mark.parametrize("encoding", SHAPES)
def test_each_frame_arrives_as_it_is(encoding: str) -> None:
    """One message serves several frames, sizes among them: what was sent stays as it was."""
    topic = ImageMessage()
    shape = SHAPES[encoding]
    images = [
        random_image(shape),
        random_image(shape, 1)[::2, ::-1],  # rows apart, and backwards
        random_image((5, 7, *shape[2:]), 2),
    ]
    sent = [
        bytes(serialize_message(topic.fill(header, image)))
        for header, image in zip(HEADERS, images, strict=True)
    ]
    for header, image, wire in zip(HEADERS, images, sent, strict=True):
        message = deserialize_message(wire, Image)
        assert message.header == header
        assert (message.height, message.width) == image.shape[:2]
        assert message.step == image[0].size
        assert message.encoding == encoding
        assert message.is_bigendian == 0
        np.testing.assert_array_equal(bytes_held(message).reshape(image.shape), image)


@pytest.mark.parametrize("encoding", SHAPES)
def test_a_frame_of_the_same_size_is_copied_once_and_takes_no_memory(
    encoding: str, traced: None
) -> None:
    """Written over the frame before, which is gone then: there is no second buffer to copy to."""
    topic = ImageMessage()
    first = bytes_held(topic.fill(HEADERS[0], random_image(SHAPES[encoding])))
    image = random_image(SHAPES[encoding], 1)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    message = topic.fill(HEADERS[1], image)
    taken = tracemalloc.get_traced_memory()[1] - before
    assert np.shares_memory(bytes_held(message), first)
    assert taken < 4096 < image.nbytes
    assert not np.shares_memory(first, image)


def test_a_file_is_copied_once(traced: None) -> None:
    """Into the message; noise, so that the file is large."""
    image = random_image((240, 320))
    png_message(HEADERS[0], image, SETTINGS)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    message = png_message(HEADERS[0], image, SETTINGS)
    taken = tracemalloc.get_traced_memory()[1] - before
    size = len(message.data)
    assert size > 50_000
    # The buffer of OpenCV, and the message, for which Python allocates a little more.
    assert taken < 2.2 * size


def test_files_hold_the_image() -> None:
    labels = random_image((9, 13))
    png = png_message(HEADERS[1], labels, SETTINGS)
    assert (png.header, png.format) == (HEADERS[1], "mono8; png compressed ")
    decoded = cv2.imdecode(bytes_held(png), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, labels)
    orange = np.full((16, 16, 3), (250, 120, 10), np.uint8)
    jpeg = jpeg_message(HEADERS[1], orange, SETTINGS)
    assert (jpeg.header, jpeg.format) == (HEADERS[1], "rgb8; jpeg compressed bgr8")
    decoded = cv2.imdecode(bytes_held(jpeg), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(decoded.astype(int) - orange).max() < 6


def test_quality_and_level_are_the_parameters() -> None:
    """Better JPEG files are larger, better compressed PNG files smaller."""
    image = random_image((120, 160, 3))
    stripes = np.repeat(random_image((120, 20)), 8, axis=1)
    for build, content, name, values in (
        (jpeg_message, image, "jpeg_quality", (10, 90)),
        (png_message, stripes, "png_level", (9, 0)),
    ):
        sizes = [
            len(build(HEADERS[0], content, replace(SETTINGS, **{name: value})).data)
            for value in values
        ]
        assert sizes[1] > 2 * sizes[0], name
