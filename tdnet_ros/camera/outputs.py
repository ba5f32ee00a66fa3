"""The table of output topics, and their publishers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import LabelInfo, VisionClass

from tdnet.errors import InputError
from tdnet_ros.camera.camera_geometry import CAMERA_INFO, POINTS, CameraGeometry
from tdnet_ros.camera.frame_trace import FrameTrace, RequestedOutputs
from tdnet_ros.camera.status import status_message
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.msg import ClassMap, SegmentationClass, SegmentationStatus
from tdnet_ros.parameters import NodeSettings
from tdnet_ros.rclpy_tools.qos_events import QosIncidents

# Builds a message with a header from an image, from a frame, or from a model where it is latched;
# None: nothing to publish. An encoded one also takes the settings of the node, last, and that of
# `Phase.GEOMETRY` the camera's geometry, first.
Build = Callable[..., Any]


class Phase(Enum):
    """When an output is published."""

    DIRECT = auto()
    """By the inference thread, as soon as the images are there."""
    ENCODED = auto()
    """By the encoder thread, as PNG or JPEG."""
    COUNTED = auto()
    """After the images of the frame, once it is counted."""
    GEOMETRY = auto()
    """By the encoder thread, with the camera info; last, since it may wait for depth."""
    LATCHED = auto()
    """When the classes change; a late subscriber gets the last message."""


@dataclass(frozen=True)
class Output:
    """One output topic.

    Attributes:
        topic: below the node's name and the camera's.
        message_type: of the topic.
        phase: when it is published.
        image: of `SegmentationResult`, computed only if a topic needs it; empty: none.
        build: builds the message; None: an `ImageMessage` of each publisher.
    """

    topic: str
    message_type: type[Any]
    phase: Phase
    image: str = ""
    build: Build | None = None


class ImageMessage:
    """The message of one image topic, refilled for each frame.

    Publishing has copied a message when it returns, so one serves all frames: a frame takes no
    memory, and its bytes are copied once, not up to three times as by the constructor.
    """

    def __init__(self) -> None:
        self._message = Image()
        self._pixels: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def fill(self, header: Header, image: np.ndarray) -> Image:
        """Return (H, W) uint8 as mono8, (H, W, 3) as rgb8; valid until the next call."""
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


def png_message(header: Header, image: np.ndarray, settings: NodeSettings) -> CompressedImage:
    """Return a (H, W) uint8 image as a message with a PNG, which keeps every value."""
    _, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, settings.png_level])
    return _compressed(header, "mono8; png compressed ", encoded)


def jpeg_message(header: Header, image: np.ndarray, settings: NodeSettings) -> CompressedImage:
    """Return a (H, W, 3) uint8 RGB image as a message with a JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality])
    return _compressed(header, "rgb8; jpeg compressed bgr8", encoded)


def _compressed(header: Header, format: str, encoded: np.ndarray) -> CompressedImage:
    message = CompressedImage(header=header, format=format)
    message.data.frombytes(encoded.data)
    return message


def label_info_message(header: Header, model: ActiveModel) -> LabelInfo:
    """Return the names of a model's classes, as Nav2 reads them.

    The threshold is the class probability below which a pixel is unlabelled, 0 to 1.
    """
    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=entry.id, class_name=entry.name)
            for entry in model.segmenter.class_map.classes
        ],
        threshold=model.settings.confidence_threshold,
    )


def class_map_message(header: Header, model: ActiveModel) -> ClassMap:
    """Return a model's classes; hidden are those of the class map and those of the parameter."""
    class_map = model.segmenter.class_map
    hidden_classes = model.settings.overlay.hidden_classes
    classes = []
    for entry in class_map.classes:
        red, green, blue = (value / 255 for value in entry.color)
        classes.append(
            SegmentationClass(
                id=entry.id,
                name=entry.name,
                color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
                hidden=entry.hidden or entry.name in hidden_classes,
            )
        )
    return ClassMap(header=header, name=class_map.name, classes=classes)


LABELS = Output("labels", Image, Phase.DIRECT, "labels")
OUTPUTS = (
    LABELS,
    Output("confidence", Image, Phase.DIRECT, "confidence"),
    Output("overlay", Image, Phase.DIRECT, "overlay"),
    Output("labels/compressed", CompressedImage, Phase.ENCODED, "labels", png_message),
    Output("confidence/compressed", CompressedImage, Phase.ENCODED, "confidence", png_message),
    Output("overlay/compressed", CompressedImage, Phase.ENCODED, "overlay", jpeg_message),
    Output("status", SegmentationStatus, Phase.COUNTED, build=status_message),
    Output(CAMERA_INFO, CameraInfo, Phase.GEOMETRY, build=CameraGeometry.camera_info),
    Output(POINTS, PointCloud2, Phase.GEOMETRY, "confidence", CameraGeometry.points),
    Output("label_info", LabelInfo, Phase.LATCHED, build=label_info_message),
    Output("class_map", ClassMap, Phase.LATCHED, build=class_map_message),
)
"""Every output topic; those of a frame are published by phase, in this order."""


class _Topic:
    """A publisher and the function that builds its messages."""

    def __init__(
        self,
        node: LifecycleNode,
        prefix: str,
        output: Output,
        **options: Any,  # noqa: ANN401
    ) -> None:
        latched = output.phase is Phase.LATCHED
        qos = QoSProfile(
            depth=1 if latched else 5,
            # Serves subscribers of both kinds: RViz requests reliable, Nav2 best effort.
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        self.output = output
        self.build: Build = output.build or ImageMessage().fill
        self.publisher = node.create_lifecycle_publisher(
            output.message_type, f"{prefix}/{output.topic}", qos, **options
        )


class _Outputs:
    """Output topics of a node; silent until it is active."""

    def __init__(self, node: LifecycleNode, topics: list[_Topic]) -> None:
        self._node = node
        self._topics = topics

    def destroy(self) -> None:
        """Remove the topics."""
        for topic in self._topics:
            self._node.destroy_lifecycle_publisher(topic.publisher)
        self._topics.clear()


class CameraOutputs(_Outputs):
    """The output topics of one camera, below a prefix such as ``~/front``."""

    def __init__(
        self,
        node: LifecycleNode,
        prefix: str,
        incidents: QosIncidents,
        geometry: CameraGeometry,
    ) -> None:
        topics = [
            _Topic(
                node,
                prefix,
                output,
                event_callbacks=incidents.publisher_callbacks(
                    node.resolve_topic_name(f"{prefix}/{output.topic}")
                ),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for output in OUTPUTS
            if output.phase is not Phase.LATCHED
        ]
        for topic in topics:
            if topic.output.phase is Phase.GEOMETRY:
                topic.build = partial(topic.build, geometry)
        super().__init__(node, topics)
        self._requested = RequestedOutputs()

    def requested(self) -> RequestedOutputs:
        """Return which outputs have a subscriber now; from the executor's thread only."""
        outputs = [t.output for t in self._topics if t.publisher.get_subscription_count()]
        topics = tuple(output.topic for output in outputs)
        if topics != self._requested.topics:  # seldom: most frames share one object
            self._requested = RequestedOutputs(
                topics,
                frozenset(output.image for output in outputs if output.image),
                any(output.phase in (Phase.ENCODED, Phase.GEOMETRY) for output in outputs),
            )
        return self._requested

    def publish(self, frame: FrameTrace, phase: Phase) -> None:
        """Publish the requested outputs of a phase; OpenCV encodes without Python's lock.

        Raises:
            InputError: camera info or depth, which an output needs, is missing or wrong.
        """
        settings = (frame.model.settings,) if phase is Phase.ENCODED else ()
        for topic in self._topics:
            output = topic.output
            if output.phase is phase and output.topic in frame.requested.topics:
                began = time.perf_counter()
                of_image = phase in (Phase.DIRECT, Phase.ENCODED)
                content = getattr(frame.result, output.image) if of_image else frame
                try:
                    message = topic.build(frame.header, content, *settings)
                except InputError as error:
                    raise InputError(f"no {topic.publisher.topic_name}: {error}") from error
                frame.message_seconds += time.perf_counter() - began
                if message is None:
                    continue
                topic.publisher.publish(message)
                frame.published = time.perf_counter()
                if output is LABELS:
                    frame.labels_published = frame.published


class ClassOutputs(_Outputs):
    """The latched topics of the classes."""

    def __init__(self, node: LifecycleNode) -> None:
        topics = [_Topic(node, "~", each) for each in OUTPUTS if each.phase is Phase.LATCHED]
        super().__init__(node, topics)

    def publish(self, model: ActiveModel) -> None:
        """Publish the classes of the next frames."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        for topic in self._topics:
            topic.publisher.publish(topic.build(header, model))
