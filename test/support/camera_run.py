"""The run of one camera on real topics: its messages, the answers, and a check of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from support.ros_graph import Listener, RosGraph, image_message, pixels_of, wait_for
from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus


@dataclass(frozen=True)
class Sent:
    """A message that the camera sent.

    Attributes:
        header: of the message.
        image: its pixels; None: a message that is broken.
        before: what happened since the message before it that empties the memory, in order.
        max_gap: the node's when it was sent, seconds; 0: automatic.
        segmenter: the node's model then; None: the first.
    """

    header: Header
    image: np.ndarray | None
    before: tuple[str, ...]
    max_gap: float
    segmenter: StreamingSegmenter | None


class CameraRun:
    """Sends frames as a camera does and stores every answer, to replay them at the end.

    Args:
        graph: with the node under test, which is active or soon will be.
        name: of the camera; empty where the node has only one.
        node: fully qualified name of the node under test.

    Attributes:
        max_gap: the node's, seconds; to be kept in step with it.
    """

    def __init__(self, graph: RosGraph, name: str = "", node: str = "/tdnet") -> None:
        self.max_gap = 0.0
        self.sent: list[Sent] = []
        self._segmenter: StreamingSegmenter | None = None
        self._graph = graph
        self._name = name
        self._outputs = f"{node}/{name}" if name else node
        self._listeners: list[tuple[Listener, Listener]] = []
        self._before = ["activated"]
        self._since_activation = 0
        self.join()
        self._publisher = graph.camera(topic=f"/{name}/image" if name else "/image")

    def send(self, image: np.ndarray, seconds: float, frame_id: str = "camera") -> None:
        """Send a frame; frames with equal stamp and frame id must show the same."""
        message = image_message(image, seconds, frame_id)
        self._record(message, image)
        self._publisher.publish(message)

    def send_broken(self, image: np.ndarray, seconds: float, **lies: Any) -> None:
        """Send a message with some invalid fields."""
        message = image_message(image, seconds)
        for name, value in lies.items():
            setattr(message, name, value)
        self._record(message, None)
        self._publisher.publish(message)

    def send_bytes(self, data: bytes, image: np.ndarray, header: Header) -> None:
        """Send a serialized frame, as from a bag; image and header describe it."""
        self._record(Image(header=header), image)
        self._publisher.publish(data)

    def send_to_nobody(self, image: np.ndarray, seconds: float) -> None:
        """Send a frame that the node must not answer, since it is not active."""
        wait_for(lambda: not self._publisher.get_subscription_count(), "the node to unsubscribe")
        self._publisher.publish(image_message(image, seconds))

    def happened(self, reason: str) -> None:
        """Record why the next frame resets the memory; call it while no frame is pending."""
        self._before.append(reason)

    def use(self, segmenter: StreamingSegmenter) -> None:
        """Record another model from the next frame on; call it while no frame is pending."""
        self._segmenter = segmenter
        self.happened("model changed")

    def activated(self) -> None:
        """Record an activation: counts and reasons start again."""
        wait_for(self._publisher.get_subscription_count, "the node to subscribe")
        self._before = ["activated"]
        self._since_activation = 0

    def join(self) -> None:
        """Subscribe to the outputs."""
        self._listeners.append(
            (
                self._graph.listen(Image, f"{self._outputs}/labels"),
                self._graph.listen(SegmentationStatus, f"{self._outputs}/status"),
            )
        )

    def leave(self) -> None:
        """Unsubscribe from the outputs, and wait until the node has no subscriber."""
        for listener in self._listeners[-1]:
            listener.close(self._graph.node_publisher(listener.topic))

    def send_idle(self, image: np.ndarray, seconds: float) -> None:
        """Send a frame that is not segmented, since no output has a subscriber."""
        self.send(image, seconds)
        if "idle" not in self._before:
            self.happened("idle")
        self._graph.wait_until_received(self._since_activation, self._name)

    def wait(self) -> SegmentationStatus:
        """Wait for the answer to the newest frame, and return its status."""
        newest = self.sent[-1]
        assert newest.image is not None, "a broken message has no answer"

        def answered() -> bool:
            statuses = self._listeners[-1][1].messages
            return (
                bool(statuses)
                and statuses[-1].header == newest.header
                and statuses[-1].received == self._since_activation
                and len(self.labels) == len(self.statuses)
            )

        wait_for(answered, f"the answer to frame {len(self.sent)} of {self._outputs}")
        return self.statuses[-1]

    @property
    def labels(self) -> list[Image]:
        """Every label image."""
        return list(chain.from_iterable(labels.messages for labels, _ in self._listeners))

    @property
    def statuses(self) -> list[SegmentationStatus]:
        """Every status."""
        return list(chain.from_iterable(statuses.messages for _, statuses in self._listeners))

    def check(self, segmenter: StreamingSegmenter) -> list[str]:
        """Check the whole run against the memory contract and a fresh stream.

        Every answer belongs to a frame that was sent, each to a later one than the answer before.
        Its reset reason is the one that the contract demands of the frames that were processed
        and of what happened between them. Its labels, path and memory equal, in every pixel,
        those of a stream that sees exactly the processed frames and is emptied where the status
        says so.

        Args:
            segmenter: the first model of the node, driven here.

        Returns:
            The reset reasons, one for each answer.
        """
        labels, statuses = self.labels, self.statuses
        assert [m.header for m in labels] == [m.header for m in statuses]
        model, stream = segmenter, segmenter.open_stream()
        sent = iter(self.sent)
        last: Sent | None = None
        gaps: list[float] = []
        for label_image, status in zip(labels, statuses, strict=True):
            frame, before = _next_with(status.header, sent)
            assert frame.image is not None, "a broken message was answered"
            wanted = _reason(last, frame, before, gaps)
            assert status.reset_reason == wanted, (status.reset_reason, wanted, status.header)
            if (frame.segmenter or segmenter) is not model:
                model = frame.segmenter or segmenter
                stream = model.open_stream()
            elif status.reset_reason:
                stream.reset()
            expected = stream.step(frame.image)
            memory = (status.path, status.memory_frames)
            assert memory == (expected.path, expected.memory_frames), (memory, status.header)
            np.testing.assert_array_equal(pixels_of(label_image), expected.labels)
            last = frame
        assert len(np.unique(np.concatenate([m.data for m in labels]))) > 2
        return [status.reset_reason for status in statuses]

    def _record(self, message: Image, image: np.ndarray | None) -> None:
        self.sent.append(
            Sent(message.header, image, tuple(self._before), self.max_gap, self._segmenter)
        )
        self._before.clear()
        self._since_activation += 1


def _next_with(header: Header, sent: Iterator[Sent]) -> tuple[Sent, list[str]]:
    """The next frame with a header, and the events since the one before."""
    before: list[str] = []
    for frame in sent:
        before.extend(frame.before)
        if frame.header == header:
            return frame, before
    raise AssertionError(f"an answer to no frame that was sent after the last: {header}")


def _reason(last: Sent | None, frame: Sent, before: list[str], gaps: list[float]) -> str:
    """Return why the contract requires an empty memory before a frame; empty: no reset.

    Args:
        last: the frame before.
        frame: the frame.
        before: what happened between the two.
        gaps: seconds between frames of one view since the activation; the newest is added.
    """
    if "activated" in before:
        gaps.clear()
        return "activated"
    if before:
        return before[0]
    assert last is not None
    assert last.image is not None
    assert frame.image is not None
    if last.header.frame_id != frame.header.frame_id:
        return "frame id changed"
    if last.image.shape != frame.image.shape:
        return "image size changed"
    elapsed = _nanoseconds(frame.header) - _nanoseconds(last.header)
    if elapsed < 0:
        return "stamp went back"
    third_of_five = sorted([0.0, 0.0, 0.0, 0.0, 0.0, *gaps][-5:])[2]
    gaps.append(elapsed / 1e9)
    allowed = frame.max_gap or min(max(1.0, 3 * third_of_five), 10.0)
    return "gap" if elapsed > allowed * 1e9 else ""


def _nanoseconds(header: Header) -> int:
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
