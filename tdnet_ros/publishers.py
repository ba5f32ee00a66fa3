"""Arrays to messages: the outputs of one camera, only those that someone subscribes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tdnet.streaming import SegmentationResult
from tdnet_ros.image_messages import byte_array
from tdnet_ros.msg import SegmentationStatus
from tdnet_ros.qos_events import QosIncidents

JPEG_QUALITY = 90
# Label images are flat areas: a higher level takes several times as long for little.
PNG_LEVEL = 1


@dataclass(frozen=True)
class Wanted:
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
    def any_overlay(self) -> bool:
        """Whether the overlay must be drawn."""
        return self.overlay or self.overlay_compressed


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
        self._labels = self._create(Image, f"{prefix}/labels")
        self._labels_compressed = self._create(CompressedImage, f"{prefix}/labels/compressed")
        self._confidence = self._create(Image, f"{prefix}/confidence")
        self._confidence_compressed = self._create(
            CompressedImage, f"{prefix}/confidence/compressed"
        )
        self._overlay = self._create(Image, f"{prefix}/overlay")
        self._overlay_compressed = self._create(CompressedImage, f"{prefix}/overlay/compressed")
        self._status = self._create(SegmentationStatus, f"{prefix}/status")

    def wanted(self) -> Wanted:
        """Ask which outputs have a subscriber now."""
        return Wanted(
            labels=_has_subscriber(self._labels),
            labels_compressed=_has_subscriber(self._labels_compressed),
            confidence=_has_subscriber(self._confidence),
            confidence_compressed=_has_subscriber(self._confidence_compressed),
            overlay=_has_subscriber(self._overlay),
            overlay_compressed=_has_subscriber(self._overlay_compressed),
            status=_has_subscriber(self._status),
        )

    def publish(self, header: Header, result: SegmentationResult, wanted: Wanted) -> None:
        """Publish the wanted outputs of a frame, under the header of the camera's message."""
        if wanted.labels:
            self._labels.publish(image_message(header, result.labels))
        if wanted.labels_compressed:
            self._labels_compressed.publish(png_message(header, result.labels))
        if result.confidence is not None and wanted.confidence:
            self._confidence.publish(image_message(header, result.confidence))
        if result.confidence is not None and wanted.confidence_compressed:
            self._confidence_compressed.publish(png_message(header, result.confidence))
        if result.overlay is not None and wanted.overlay:
            self._overlay.publish(image_message(header, result.overlay))
        if result.overlay is not None and wanted.overlay_compressed:
            self._overlay_compressed.publish(jpeg_message(header, result.overlay))

    def publish_status(self, status: SegmentationStatus) -> None:
        """Publish the status of a frame."""
        self._status.publish(status)

    def destroy(self) -> None:
        """Remove the topics."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

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


def _has_subscriber(publisher: LifecyclePublisher) -> bool:
    return bool(publisher.get_subscription_count())


def image_message(header: Header, image: np.ndarray) -> Image:
    """Give an array as a message without padding.

    Args:
        header: of the camera's message.
        image: (H, W) uint8, published as mono8, or (H, W, 3) uint8 RGB, published as rgb8.
    """
    height, width = image.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="mono8" if image.ndim == 2 else "rgb8",
        is_bigendian=0,
        step=image.size // height,
        data=byte_array(image),
    )


def png_message(header: Header, image: np.ndarray) -> CompressedImage:
    """Give a (H, W) uint8 image as a message with a PNG, which keeps every value."""
    _, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    return CompressedImage(
        header=header, format="mono8; png compressed ", data=byte_array(encoded)
    )


def jpeg_message(header: Header, image: np.ndarray) -> CompressedImage:
    """Give a (H, W, 3) uint8 RGB image as a message with a JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return CompressedImage(
        header=header, format="rgb8; jpeg compressed bgr8", data=byte_array(encoded)
    )
