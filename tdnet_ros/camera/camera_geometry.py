"""Camera info and depth of one camera, received only while an output needs them."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from tdnet.continuity import stamp_ns
from tdnet.errors import InputError
from tdnet_ros.camera.frame_trace import FrameTrace
from tdnet_ros.camera.geometry import PointCloud, depth_pixels, scaled_camera_info
from tdnet_ros.camera.serialized_images import read_image
from tdnet_ros.rclpy_tools.node_log import describe
from tdnet_ros.rclpy_tools.raw_subscriptions import delivers_bytes

CAMERA_INFO = "camera_info"
POINTS = "points"
# Seconds from the first request until a missing message is a problem.
PATIENCE = 2.0
# Depth images that are kept, besides those of the frames at work.
KEPT = 8
# Frames of a camera at work: in the mailbox, in the network, with the encoder thread.
AT_WORK = 3
# Nanoseconds between the stamps of an image and of its depth.
MAX_APART = 50_000_000
# Seconds that a frame waits for its depth, if one arrived in the last second and is not later.
WAIT = 0.1


class CameraGeometry:
    """Camera info and points of one camera.

    `follow` and `expect` are called by the executor's thread, the functions that build messages
    by the encoder thread.

    Attributes:
        info_topic: beside the camera's image topic, as image_transport expects it.
        problem: why an output of the newest frame is missing; empty: none is.
    """

    def __init__(self, node: LifecycleNode, camera: str, image_topic: str) -> None:
        self._node = node
        self._prefix = f"{camera}/" if camera else ""
        # Resolved once more, since that name may be remapped itself.
        self.info_topic: str = node.resolve_topic_name(
            f"{image_topic.rpartition('/')[0]}/camera_info"
        )
        self.problem = ""
        self._failure = ""
        self._inputs: dict[str, _Input] = {}
        self._cloud = PointCloud()

    def follow(self, topics: tuple[str, ...], depth: str) -> None:
        """Subscribe to what these outputs need, and to nothing else.

        Raises nothing: an error is that of the outputs, and costs no other.

        Args:
            topics: outputs with a subscriber.
            depth: topic of the aligned depth image, as in the parameter.
        """
        try:
            self._follow(topics, depth)
            self._failure = ""
        except Exception as error:  # rclpy's have no common base
            self._failure = f"depth is {depth}, set or remap it: {describe(error)}"

    def _follow(self, topics: tuple[str, ...], depth: str) -> None:
        needed = {}
        if CAMERA_INFO in topics or POINTS in topics:
            needed[CAMERA_INFO] = self.info_topic
        if POINTS in topics:
            name = depth if depth[0] in "/~" else self._prefix + depth
            needed[POINTS] = self._node.resolve_topic_name(name)
        for output, current in list(self._inputs.items()):
            if needed.get(output) != current.topic:
                del self._inputs[output]
                current.destroy()
        for output, topic in needed.items():
            if output not in self._inputs:
                kind = CameraInfo if output == CAMERA_INFO else Image
                self._inputs[output] = _Input(self._node, kind, topic)

    def close(self) -> None:
        """Receive nothing."""
        self.follow((), "/")

    def expect(self, frame: FrameTrace, superseded: FrameTrace | None) -> None:
        """Keep the depth of a frame until it is at work no longer; forget a superseded one."""
        depth = self._inputs.get(POINTS)
        if depth is not None:
            before = None if superseded is None else stamp_ns(superseded.header)
            depth.expect(stamp_ns(frame.header), before)

    def camera_info(self, header: Header, frame: FrameTrace) -> CameraInfo | None:
        """Return the camera info of a frame's label image; None: none has arrived yet.

        Raises:
            InputError: none arrives, or it does not fit the image.
        """
        info = self._newest(CAMERA_INFO)
        if info is None:
            return None
        height, width = frame.result.labels.shape
        return scaled_camera_info(info, header, frame.size, (height, width))

    def points(self, header: Header, frame: FrameTrace) -> PointCloud2 | None:
        """Return the points of a frame's label image; None: an input has not arrived yet.

        Raises:
            InputError: an input does not arrive, or does not fit the image.
        """
        info, depth = self._newest(CAMERA_INFO), self._newest(POINTS, stamp_ns(header))
        labels, confidence = frame.result.labels, frame.result.confidence
        if info is None or depth is None or confidence is None:
            return None
        return self._cloud.fill(
            scaled_camera_info(info, header, frame.size, frame.size),
            *depth_pixels(depth, frame.size),
            labels,
            confidence,
            frame.model.kept_points,
        )

    def _newest(self, output: str, stamp: int | None = None) -> Any:  # noqa: ANN401
        if self._failure:
            raise InputError(self._failure)
        current = self._inputs.get(output)
        return current and current.newest(stamp)


class _Input:
    """The newest messages of a topic."""

    def __init__(self, node: LifecycleNode, kind: type[Any], topic: str) -> None:
        self.topic = topic
        self._node = node
        self._read = read_image if kind is Image else _camera_info
        self._since = self._arrived = time.perf_counter()
        self._messages: list[Any] = []
        self._expected: deque[int] = deque(maxlen=AT_WORK)
        # Stamp of a frame without its depth, and the time of that.
        self._missing: tuple[int, float] | None = None
        self._late = False
        self._broken = ""
        self._condition = threading.Condition()
        self._subscription = node.create_subscription(
            kind,
            topic,
            self._receive,
            QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT),
            raw=delivers_bytes(),
        )

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def expect(self, stamp: int, superseded: int | None) -> None:
        """Keep the messages near a stamp, up to `AT_WORK` stamps; both in nanoseconds."""
        with self._condition:
            if superseded is not None and superseded in self._expected:
                self._expected.remove(superseded)
            self._expected.append(stamp)

    def newest(self, stamp: int | None) -> Any:  # noqa: ANN401
        """Return the newest message, or the one nearest to a stamp in nanoseconds.

        None: the first one may still arrive.

        Raises:
            InputError: none arrives, none is near enough, or the newest cannot be read.
        """
        with self._condition:
            now = time.perf_counter()
            if stamp is not None and not self._reaches(stamp):
                if self._missing is None or stamp < self._missing[0]:
                    self._missing = stamp, now
                if not self._late and now - self._arrived < 1.0:
                    self._late = not self._condition.wait_for(lambda: self._reaches(stamp), WAIT)
            messages, broken = tuple(self._messages), self._broken
        if broken:
            raise InputError(f"{self.topic}: {broken}")
        if not messages:
            if now - self._since < PATIENCE:
                return None
            raise InputError(
                f"nothing arrives on {self.topic}: start the driver that publishes it, or remap it"
            )
        if stamp is None:
            return messages[-1]
        nearest = min(messages, key=lambda message: abs(stamp_ns(message.header) - stamp))
        apart = stamp_ns(nearest.header) - stamp
        if abs(apart) > MAX_APART:
            raise InputError(
                f"no message on {self.topic} has the stamp of the image: the nearest is "
                f"{apart / 1e6:.0f} ms apart; allowed: {MAX_APART / 1e6:.0f} ms: use images and "
                "depth of one driver, and let it synchronise them"
            )
        return nearest

    def _reaches(self, stamp: int) -> bool:
        """Return whether no later message would be much nearer to a stamp."""
        stamps = [stamp_ns(message.header) for message in self._messages[-2:]]
        if not stamps:
            return False
        period = stamps[-1] - stamps[0]
        return stamp - stamps[-1] <= max(0, min(MAX_APART, 2 * period // 3))

    def _is_expected(self, message: Any) -> bool:  # noqa: ANN401
        stamp = stamp_ns(message.header)
        return any(abs(stamp - expected) <= MAX_APART for expected in self._expected)

    def _receive(self, wire: Any) -> None:  # noqa: ANN401
        try:
            message = self._read(wire)
            broken = ""
        except Exception as error:  # those of the middlewares have no common base
            message, broken = None, describe(error)
        with self._condition:
            self._arrived = time.perf_counter()
            self._broken = broken
            if message is not None:
                older = [m for m in self._messages[:-KEPT] if self._is_expected(m)]
                self._messages = [*older, *self._messages[-KEPT:], message]
            if self._missing is not None and self._reaches(self._missing[0]):
                # Measured on one frame at a time, whether it waited or not.
                self._late = self._arrived - self._missing[1] > WAIT
                self._missing = None
            self._condition.notify_all()


def _camera_info(wire: bytes | CameraInfo) -> CameraInfo:
    return deserialize_message(wire, CameraInfo) if isinstance(wire, bytes) else wire
