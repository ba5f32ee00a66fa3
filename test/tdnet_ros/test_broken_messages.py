"""Whatever a camera sends: each message counts, none ends the node, a good one is answered."""

from __future__ import annotations

import array
import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.broken_compressed import broken_compressed_images
from support.ros_graph import (
    Listener,
    RosGraph,
    diagnostic_values,
    image_message,
    pixels_of,
    wait_for,
)

from tdnet import StreamingSegmenter
from tdnet.errors import InputError
from tdnet_ros.camera.conversion import MAX_FRAME_ID, image_from_message
from tdnet_ros.rclpy_tools.node_log import MAX_LENGTH, MAX_TEXTS, PERIOD
from tools.harness.broken_messages import broken_images

Messages = Callable[[int, float], Iterator[Any]]

SENT = 1000
# The node under test keeps so many messages for its callback.
BATCH = 90


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("messages", [broken_images, broken_compressed_images])
def test_broken_messages_give_pixels_or_one_error(messages: Messages) -> None:
    refused = 0
    for message in itertools.islice(messages(1, 0.0), 50_000):
        try:
            image = image_from_message(message)
        except InputError as error:
            assert str(error).isprintable()
            assert len(str(error)) < MAX_LENGTH
            refused += 1
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == 3
            if isinstance(message, Image):
                assert image.shape[:2] == (message.height, message.width)
    assert 25_000 < refused < 49_000


@pytest.mark.parametrize("messages", [broken_images, broken_compressed_images])
def test_the_same_seed_gives_the_same_messages(messages: Messages) -> None:
    first, second, other = (list(itertools.islice(messages(s, 0.0), 50)) for s in (1, 1, 2))
    assert first == second
    assert first != other
    good = itertools.islice(messages(3, 1.0), 200)
    assert all(image_from_message(message).size for message in good)


@pytest.mark.parametrize("message_type", [Image, CompressedImage])
def test_a_frame_id_that_fills_the_outputs_is_refused(message_type: type[Any]) -> None:
    message = message_type(header=Header(frame_id="x" * (MAX_FRAME_ID + 1)))
    with pytest.raises(InputError, match=f"allowed are {MAX_FRAME_ID}"):
        image_from_message(message)


class Counts:
    """What became of the frames of the only camera, as the diagnostics say."""

    def __init__(self, graph: RosGraph) -> None:
        self._listener = graph.listen(DiagnosticArray, "/diagnostics")

    def newest(self) -> dict[str, int]:
        for message in reversed(list(self._listener.messages)):
            for status in message.status:
                if status.name == "tdnet: camera":
                    values = diagnostic_values(status)
                    names = ("received", "segmented", "dropped", "refused")
                    return {name: int(values[name]) for name in names}
        return dict.fromkeys(("received", "segmented", "dropped", "refused"), 0)

    def wait_until_done(self, received: int) -> dict[str, int]:
        """Wait until so many frames arrived and none is at work."""

        def done() -> bool:
            counts = self.newest()
            ended = counts["segmented"] + counts["dropped"] + counts["refused"]
            return counts["received"] == ended == received

        wait_for(done, f"{received} frames to end: {self.newest()}")
        return self.newest()


def png_message(image: np.ndarray, frame_id: str) -> CompressedImage:
    _, data = cv2.imencode(".png", image[:, :, ::-1])
    return CompressedImage(
        header=Header(frame_id=frame_id), format="png", data=array.array("B", data.tobytes())
    )


def check_next_good_frame(
    camera: Publisher, labels: Listener, segmenter: StreamingSegmenter, image: np.ndarray
) -> None:
    """A good frame of another frame id is answered as the first of a fresh stream is."""
    compressed = camera.msg_type is CompressedImage
    before = len(labels.messages)
    good = png_message(image, "good") if compressed else image_message(image, frame_id="good")
    camera.publish(good)
    answer = labels.wait(before + 1)[before]
    assert answer.header == good.header
    np.testing.assert_array_equal(pixels_of(answer), segmenter.step(image).labels)


@pytest.mark.parametrize(
    ("messages", "message_type", "topic"),
    [
        pytest.param(broken_images, Image, "/image", id="raw"),
        pytest.param(
            broken_compressed_images, CompressedImage, "/image/compressed", id="compressed"
        ),
    ],
)
def test_a_camera_that_sends_broken_messages(
    graph: RosGraph,
    weights: str,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    messages: Messages,
    message_type: type[Any],
    topic: str,
) -> None:
    transport = "compressed" if message_type is CompressedImage else "raw"
    graph.start(weights=weights, device="cpu", image_transport=transport)
    log, started = graph.listen_to_log(), time.monotonic()
    labels = graph.listen(Image, "/tdnet/labels")
    camera, counts = graph.camera(message_type, topic), Counts(graph)
    sent = list(itertools.islice(messages(5, 0.1), SENT))
    for start in range(0, SENT, BATCH):
        for message in sent[start : start + BATCH]:
            camera.publish(message)
        counts.wait_until_done(min(start + BATCH, SENT))

    ended = counts.newest()
    assert ended["received"] == SENT
    assert ended["refused"] > 0
    assert ended["segmented"] > 0
    wait_for(lambda: len(labels.messages) == ended["segmented"], "an answer to each segmented")
    headers = [message.header for message in sent]
    assert all(answer.header in headers for answer in labels.messages)
    assert graph.state() == "active"
    check_next_good_frame(camera, labels, segmenter, images[0])

    periods = (time.monotonic() - started) / PERIOD + 1
    assert 0 < len(log.texts) <= 2 * MAX_TEXTS * periods
    assert all(text.isprintable() and len(text) <= MAX_LENGTH for text in log.texts)


def test_a_stamp_that_is_no_time_is_copied_as_it_is(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    labels, camera = active.listen(Image, "/tdnet/labels"), active.camera()
    stamps = [(-(2**31), 0), (-1, 999_999_999), (0, 10**9), (5, 2**32 - 1), (2**31 - 1, 2**31)]
    for number, (seconds, nanoseconds) in enumerate(stamps):
        message = image_message(images[0])
        message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
        camera.publish(message)
        assert labels.wait(number + 1)[number].header == message.header


def test_bytes_that_are_no_message(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    labels, camera = active.listen(Image, "/tdnet/labels"), active.camera()
    whole = bytes(serialize_message(image_message(images[0])))
    chance = random.Random(1)
    for _ in range(100):
        data = bytearray(whole[: chance.choice((0, 3, 20, 60, 200))])
        for _ in range(chance.randint(0, 8) if data else 0):
            data[chance.randrange(len(data))] = chance.choice((0, 127, 255))
        camera.publish(bytes(data))
    assert active.state() == "active"
    check_next_good_frame(camera, labels, segmenter, images[1])
