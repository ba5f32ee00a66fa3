"""A camera's messages, from the subscription to the mailbox."""

from __future__ import annotations

import math
import time

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from tdnet.continuity import ResetReason, stamp_ns
from tdnet.errors import InputError
from tdnet.mailbox import Mailbox
from tdnet_ros.camera.camera import Camera
from tdnet_ros.camera.frame_trace import FrameTrace
from tdnet_ros.camera.serialized_images import read_compressed_image, read_image
from tdnet_ros.parameters import NodeSettings
from tdnet_ros.rclpy_tools.node_log import describe
from tdnet_ros.rclpy_tools.raw_subscriptions import delivers_bytes


class RateLimit:
    """Passes at most so many frames a second, on average and at even distances."""

    def __init__(self) -> None:
        self._due = -math.inf
        self._period = 0.0

    def passes(self, now: float, max_rate: float) -> bool:
        """Return whether a frame that arrives now passes: seconds; frames a second, 0: all."""
        if max_rate <= 0:
            return True
        period = 1 / max_rate
        # Another rate counts from the last frame that passed.
        self._due += period - self._period
        self._period = period
        if now < self._due:
            return False
        # Counting from when it was due keeps the average if frames arrive at other times; after a
        # pause the count restarts, without a burst.
        self._due = self._due + period if now - self._due < period else now + period
        return True


class CameraSubscription:
    """Receives the images of one camera of an active node, and puts them into the mailbox.

    Raises:
        RuntimeError: the subscription cannot be made, for example with an unknown QoS override.
    """

    def __init__(
        self,
        node: LifecycleNode,
        camera: Camera,
        mailbox: Mailbox[FrameTrace],
        settings: NodeSettings,
    ) -> None:
        self.camera = camera
        self.settings = settings  # may change while an older frame is at work
        self._node = node
        self._mailbox = mailbox
        self._rate_limit = RateLimit()
        compressed = settings.image_transport == "compressed"
        self._read = read_compressed_image if compressed else read_image
        self.subscription = node.create_subscription(
            CompressedImage if compressed else Image,
            camera.input_topic,
            self._receive,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
            event_callbacks=camera.incidents.subscription_callbacks(
                camera.input_topic, lambda count: camera.counter.add(lost=count)
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            raw=delivers_bytes(),
        )

    def destroy(self) -> None:
        """Receive no more messages."""
        self.camera.geometry.close()
        self._node.destroy_subscription(self.subscription)

    def _receive(self, wire: bytes | Image | CompressedImage) -> None:
        """Put a message into the mailbox, unless it need not be segmented."""
        camera, settings, now = self.camera, self.settings, time.perf_counter()
        counter = camera.counter
        counter.add(received=1)
        camera.last_arrival = now
        try:
            message = self._read(wire)
        except InputError as error:
            camera.refuse(counter, str(error))
            return
        stamp = stamp_ns(message.header)
        camera.loss.received(now, stamp)
        try:
            camera.capture.received(settings, wire, stamp)
        except Exception as error:  # the labels go on
            camera.warn(f"no captures of {camera.input_topic}: {describe(error)}")
        try:
            requested = camera.outputs.requested()
        except Exception as error:  # a frame is lost, but counted
            camera.refuse(counter, f"while counting subscribers, {describe(error)}")
            return
        camera.geometry.follow(requested.topics if settings.enable else (), settings.depth)
        if not settings.enable:
            camera.reset(ResetReason.PAUSED)
            counter.add(dropped=1, paused=1)
        elif settings.idle_without_subscribers and not requested:
            # A later subscriber must not get an old view's memory.
            camera.reset(ResetReason.IDLE)
            counter.add(dropped=1)
        elif not self._rate_limit.passes(now, settings.max_rate):
            counter.add(dropped=1)
        else:
            frame = FrameTrace(camera.name, message, now, requested, counter)
            superseded = self._mailbox.put(camera.name, frame)
            camera.geometry.expect(frame, superseded)
            if superseded is not None:
                counter.add(dropped=1, overtaken=1)
