"""The output topics of one camera; only what someone subscribes to goes out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tdnet.segmenter import SegmentationResult
from tdnet_ros.camera.output_messages import ImageMessage, jpeg_message, png_message
from tdnet_ros.msg import SegmentationStatus
from tdnet_ros.rclpy_tools.qos_events import QosIncidents


@dataclass(frozen=True)
class RequestedOutputs:
    """Which outputs have a subscriber."""

    labels: bool
    labels_compressed: bool
    confidence: bool
    confidence_compressed: bool
    overlay: bool
    overlay_compressed: bool
    status: bool

    @property
    def any(self) -> bool:
        """Whether a frame must be segmented at all."""
        return any(vars(self).values())

    @property
    def any_confidence(self) -> bool:
        """Whether the confidence must be computed."""
        return self.confidence or self.confidence_compressed

    @property
    def any_encoded(self) -> bool:
        """Whether a PNG or a JPEG must be made."""
        return self.labels_compressed or self.confidence_compressed or self.overlay_compressed

    @property
    def any_overlay(self) -> bool:
        """Whether the overlay must be drawn."""
        return self.overlay or self.overlay_compressed


@dataclass(frozen=True)
class Publication:
    """When the images of a frame went out.

    Attributes:
        labels: the raw label image was out: seconds of `time.perf_counter`; NaN where nobody
            subscribes to it.
        making: seconds that building and encoding the messages took.
    """

    labels: float
    making: float


class _ImageTopic(NamedTuple):
    publisher: LifecyclePublisher
    make: Callable[[Header, np.ndarray], Image | CompressedImage]

    @property
    def has_subscriber(self) -> bool:
        return bool(self.publisher.get_subscription_count())


class CameraPublishers:
    """The output topics of one camera.

    Args:
        node: publishes; the topics are silent until it is active.
        prefix: of the topics, such as ``~`` or ``~/front``.
        incidents: collects subscribers whose QoS does not fit.
    """

    def __init__(self, node: LifecycleNode, prefix: str, incidents: QosIncidents) -> None:
        self._node = node
        self._incidents = incidents
        self._publishers: list[LifecyclePublisher] = []
        self._labels = self._raw(f"{prefix}/labels")
        self._confidence = self._raw(f"{prefix}/confidence")
        self._overlay = self._raw(f"{prefix}/overlay")
        self._labels_compressed = self._compressed(f"{prefix}/labels", png_message)
        self._confidence_compressed = self._compressed(f"{prefix}/confidence", png_message)
        self._overlay_compressed = self._compressed(f"{prefix}/overlay", jpeg_message)
        self._status = self._create(SegmentationStatus, f"{prefix}/status")

    def wanted(self) -> RequestedOutputs:
        """Ask which outputs have a subscriber now."""
        return RequestedOutputs(
            labels=self._labels.has_subscriber,
            labels_compressed=self._labels_compressed.has_subscriber,
            confidence=self._confidence.has_subscriber,
            confidence_compressed=self._confidence_compressed.has_subscriber,
            overlay=self._overlay.has_subscriber,
            overlay_compressed=self._overlay_compressed.has_subscriber,
            status=bool(self._status.get_subscription_count()),
        )

    def publish(
        self, header: Header, result: SegmentationResult, wanted: RequestedOutputs
    ) -> Publication:
        """Publish the wanted images of a frame that need not be encoded, the labels first.

        Args:
            header: of the camera's message; all outputs get it.
            result: what the frame became.
            wanted: which outputs.
        """
        labels_out, making = math.nan, 0.0
        if wanted.labels:
            making += _send(self._labels, header, result.labels)
            labels_out = time.perf_counter()
        if wanted.confidence:
            making += _send(self._confidence, header, result.confidence)
        if wanted.overlay:
            making += _send(self._overlay, header, result.overlay)
        return Publication(labels_out, making)

    def publish_encoded(
        self, header: Header, result: SegmentationResult, wanted: RequestedOutputs
    ) -> float:
        """Publish the wanted PNG and JPEG of a frame; see `publish`.

        Nearly all of the time is spent in OpenCV, with the interpreter free for others.

        Returns:
            Seconds that encoding took.
        """
        making = 0.0
        if wanted.labels_compressed:
            making += _send(self._labels_compressed, header, result.labels)
        if wanted.confidence_compressed:
            making += _send(self._confidence_compressed, header, result.confidence)
        if wanted.overlay_compressed:
            making += _send(self._overlay_compressed, header, result.overlay)
        return making

    def publish_status(self, status: SegmentationStatus) -> None:
        """Publish the status of a frame."""
        self._status.publish(status)

    def destroy(self) -> None:
        """Remove the topics."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def _raw(self, topic: str) -> _ImageTopic:
        return _ImageTopic(self._create(Image, topic), ImageMessage().fill)

    def _compressed(
        self, base: str, encode: Callable[[Header, np.ndarray], CompressedImage]
    ) -> _ImageTopic:
        return _ImageTopic(self._create(CompressedImage, f"{base}/compressed"), encode)

    def _create(self, message_type: type[Any], topic: str) -> LifecyclePublisher:
        # Reliable serves subscribers of both kinds: RViz asks for reliable, Nav2 for best effort.
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        publisher = self._node.create_lifecycle_publisher(
            message_type,
            topic,
            qos,
            event_callbacks=self._incidents.publisher_callbacks(
                self._node.resolve_topic_name(topic)
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._publishers.append(publisher)
        return publisher


def _send(topic: _ImageTopic, header: Header, image: np.ndarray | None) -> float:
    """Publish an image where there is one; gives the seconds that the message took."""
    if image is None:
        return 0.0
    began = time.perf_counter()
    message = topic.make(header, image)
    making = time.perf_counter() - began
    topic.publisher.publish(message)
    return making
