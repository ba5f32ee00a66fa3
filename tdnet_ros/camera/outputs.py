"""The table of output topics, and their publishers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from tdnet_ros.camera.frame_trace import FrameTrace, RequestedOutputs
from tdnet_ros.camera.status import status_message
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.class_messages import class_map_message, label_info_message
from tdnet_ros.msg import ClassMap, SegmentationStatus
from tdnet_ros.rclpy_tools.qos_events import QosIncidents

JPEG_QUALITY = 90
# Label images are flat areas: a higher level takes several times as long for little.
PNG_LEVEL = 1
# Builds a message with a header from a frame, or from the model where the topic is latched.
Build = Callable[[Header, Any], Any]


def frame_qos() -> QoSProfile:
    """Return the QoS of a frame's outputs.

    Reliable serves subscribers of both kinds: RViz requests reliable, Nav2 best effort.
    """
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


def class_qos() -> QoSProfile:
    """Return the QoS of a class topic: a late subscriber gets the last message."""
    return QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


class Phase(Enum):
    """When an output is published."""

    DIRECT = auto()
    """By the inference thread, as soon as the images are there."""
    ENCODED = auto()
    """By the encoder thread, as PNG or JPEG."""
    COUNTED = auto()
    """After the other outputs of the frame, once it is counted."""
    LATCHED = auto()
    """When the classes change; a late subscriber gets the last message."""


@dataclass(frozen=True)
class Output:
    """One output topic.

    Attributes:
        topic: below the node's name and the camera's.
        message_type: of the topic.
        new_qos: returns the QoS of a publisher; a new one, since overrides change it in place.
        phase: when it is published.
        new_build: returns the function that builds one publisher's messages from `image`.
        image: of `SegmentationResult`, computed only if a topic needs it; empty: none.
    """

    topic: str
    message_type: type[Any]
    new_qos: Callable[[], QoSProfile]
    phase: Phase
    new_build: Callable[[str], Build]
    image: str = ""


class ImageMessage:
    """The message of one image topic, refilled for each frame.

    Publishing has copied a message when it returns, so one serves all frames: a frame takes no
    memory, and its bytes are copied once. A message that is made with its data copies them up to
    three times, depending on the distribution.
    """

    def __init__(self) -> None:
        self._message = Image()
        self._pixels: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def fill(self, header: Header, image: np.ndarray) -> Image:
        """Return an array as a message without padding, valid until the next call.

        Args:
            header: of the camera's message.
            image: (H, W) uint8, published as mono8, or (H, W, 3) uint8 RGB, published as rgb8.
        """
        if image.shape != self._pixels.shape:
            self._allocate(image.shape)
        np.copyto(self._pixels, image)
        self._message.header = header
        return self._message

    def _allocate(self, shape: tuple[int, ...]) -> None:
        message = Image(
            height=shape[0],
            width=shape[1],
            encoding="mono8" if len(shape) == 2 else "rgb8",
            is_bigendian=0,
            step=math.prod(shape[1:]),
        )
        message.data.frombytes(bytes(math.prod(shape)))
        # As long as this view lives, Python keeps the memory of the data where it is.
        self._pixels = np.frombuffer(message.data, np.uint8).reshape(shape)
        self._message = message


def png_message(header: Header, image: np.ndarray) -> CompressedImage:
    """Return a (H, W) uint8 image as a message with a PNG, which keeps every value."""
    _, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    return _compressed(header, "mono8; png compressed ", encoded)


def jpeg_message(header: Header, image: np.ndarray) -> CompressedImage:
    """Return a (H, W, 3) uint8 RGB image as a message with a JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return _compressed(header, "rgb8; jpeg compressed bgr8", encoded)


def _compressed(header: Header, format: str, encoded: np.ndarray) -> CompressedImage:
    message = CompressedImage(header=header, format=format)
    message.data.frombytes(encoded.data)
    return message


def _raw(image: str) -> Build:
    message = ImageMessage()
    return lambda header, frame: message.fill(header, getattr(frame.result, image))


def _png(image: str) -> Build:
    return lambda header, frame: png_message(header, getattr(frame.result, image))


def _jpeg(image: str) -> Build:
    return lambda header, frame: jpeg_message(header, getattr(frame.result, image))


def _with(build: Build) -> Callable[[str], Build]:
    return lambda image: build


LABELS = Output("labels", Image, frame_qos, Phase.DIRECT, _raw, "labels")
OUTPUTS = (
    LABELS,
    Output("confidence", Image, frame_qos, Phase.DIRECT, _raw, "confidence"),
    Output("overlay", Image, frame_qos, Phase.DIRECT, _raw, "overlay"),
    Output("labels/compressed", CompressedImage, frame_qos, Phase.ENCODED, _png, "labels"),
    Output("confidence/compressed", CompressedImage, frame_qos, Phase.ENCODED, _png, "confidence"),
    Output("overlay/compressed", CompressedImage, frame_qos, Phase.ENCODED, _jpeg, "overlay"),
    Output("status", SegmentationStatus, frame_qos, Phase.COUNTED, _with(status_message)),
    Output("label_info", LabelInfo, class_qos, Phase.LATCHED, _with(label_info_message)),
    Output("class_map", ClassMap, class_qos, Phase.LATCHED, _with(class_map_message)),
)
"""Every output topic; those of a frame are published by phase, in this order."""


class _Topic:
    """A publisher and the function that builds its messages."""

    def __init__(self, output: Output, publisher: LifecyclePublisher) -> None:
        self.output = output
        self.publisher = publisher
        self.build = output.new_build(output.image)


class CameraOutputs:
    """The output topics of one camera; a frame is published on the requested ones only.

    Args:
        node: owner of the publishers; they are silent until it is active.
        prefix: of the topics, such as ``~`` or ``~/front``.
        incidents: collects subscribers with an incompatible QoS.
    """

    def __init__(self, node: LifecycleNode, prefix: str, incidents: QosIncidents) -> None:
        self._node = node
        self._topics = [
            _Topic(
                output,
                node.create_lifecycle_publisher(
                    output.message_type,
                    f"{prefix}/{output.topic}",
                    output.new_qos(),
                    event_callbacks=incidents.publisher_callbacks(
                        node.resolve_topic_name(f"{prefix}/{output.topic}")
                    ),
                    qos_overriding_options=QoSOverridingOptions.with_default_policies(),
                ),
            )
            for output in OUTPUTS
            if output.phase is not Phase.LATCHED
        ]
        self._requested = RequestedOutputs()

    def requested(self) -> RequestedOutputs:
        """Return which outputs have a subscriber now; from the executor's thread only."""
        outputs = [t.output for t in self._topics if t.publisher.get_subscription_count()]
        topics = tuple(output.topic for output in outputs)
        if topics != self._requested.topics:  # seldom: most frames share one object
            self._requested = RequestedOutputs(
                topics,
                frozenset(output.image for output in outputs if output.image),
                any(output.phase is Phase.ENCODED for output in outputs),
            )
        return self._requested

    def publish(self, frame: FrameTrace, phase: Phase) -> None:
        """Publish the requested outputs of a phase.

        For an encoded output nearly all of the time is spent in OpenCV, without the interpreter's
        lock.
        """
        for topic in self._topics:
            output = topic.output
            if output.phase is phase and output.topic in frame.requested.topics:
                began = time.perf_counter()
                message = topic.build(frame.header, frame)
                frame.message_seconds += time.perf_counter() - began
                topic.publisher.publish(message)
                frame.published = time.perf_counter()
                if output is LABELS:
                    frame.labels_published = frame.published

    def destroy(self) -> None:
        """Remove the topics."""
        for topic in self._topics:
            self._node.destroy_lifecycle_publisher(topic.publisher)
        self._topics.clear()


class ClassOutputs:
    """The latched topics of the classes.

    Args:
        node: owner of the publishers.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._topics = [
            _Topic(
                output,
                node.create_lifecycle_publisher(
                    output.message_type, f"~/{output.topic}", output.new_qos()
                ),
            )
            for output in OUTPUTS
            if output.phase is Phase.LATCHED
        ]

    def publish(self, model: ActiveModel) -> None:
        """Publish the classes of the next frames."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        for topic in self._topics:
            topic.publisher.publish(topic.build(header, model))

    def destroy(self) -> None:
        """Remove the topics."""
        for topic in self._topics:
            self._node.destroy_lifecycle_publisher(topic.publisher)
        self._topics.clear()
