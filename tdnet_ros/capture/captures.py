"""The captures of a node: what each camera keeps, the rules, and the service ~/capture."""

from __future__ import annotations

import threading
import time
from itertools import count

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future
from std_srvs.srv import Trigger

from tdnet.segmenter import SegmentationResult
from tdnet_ros import node_parameters
from tdnet_ros.capture.capture_bag import Capture
from tdnet_ros.capture.capture_writer import BUSY, CaptureWriter
from tdnet_ros.capture.ring_buffer import RawFrame, RingBuffer, WireMessage
from tdnet_ros.capture.rules import REQUESTED, CaptureRules, Reason
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.parameters import NodeSettings


class CameraCapture:
    """Keeps the newest frames of a camera, and captures them by rule.

    Args:
        writer: of the node.
        name: of the camera; empty: the only one.
        topic: of its images.
        message_type: of them.
        reason_topic: of the reason, in the bag.
    """

    def __init__(
        self, writer: CaptureWriter, name: str, topic: str, message_type: str, reason_topic: str
    ) -> None:
        self._writer = writer
        self._names = (name, topic, message_type, reason_topic)
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._ring = RingBuffer()
        self._rules = CaptureRules()
        self._settings = NodeSettings()
        self._taken = 0  # number of the newest frame of a capture

    def clear(self) -> None:
        """Discard the frames; at the end of an activation."""
        self._ring.clear()

    def received(self, settings: NodeSettings, wire: WireMessage, stamp_ns: int) -> None:
        """Keep a message of the camera, if captures are on."""
        capture = settings.capture
        if settings is not self._settings:
            if capture.folder != self._settings.capture.folder:
                self._ring.clear()
                self._rules = CaptureRules()  # nothing in the new folder shows the same
                if capture.folder:
                    self._writer.prepare(capture)
            self._settings = settings
        if capture.folder:
            frame = RawFrame(next(self._numbers), time.time_ns(), stamp_ns, wire)
            self._ring.add(frame, capture.seconds, capture.memory * (1 << 20))

    def segmented(
        self,
        model: ActiveModel,
        result: SegmentationResult,
        stamp_ns: int,
        *,
        continued: bool,
    ) -> None:
        """Apply the rules to a frame, and capture it if one demands it.

        Args:
            model: that segmented it, with the settings then.
            result: of the frame.
            stamp_ns: of its header.
            continued: whether it shows the view of the frame before.
        """
        settings, class_map = model.settings.capture, model.segmenter.class_map
        rules = self._rules  # a new folder replaces them, maybe now
        if not settings.has_rule:
            rules.forget_view()
            return
        images = result.labels, result.confidence
        reason = rules.check(settings, class_map, images, continued=continued)
        elapsed = time.monotonic() - rules.last_capture
        if reason is None or elapsed < settings.period or self._writer.busy:
            return
        if not rules.is_new(reason):
            return
        if capture := self.take(reason, stamp_ns):
            forget = rules.note(reason)
            self._writer.write([capture], lambda written, _: None if written else forget())
        elif self._ring.has_discarded(stamp_ns):
            self._writer.warn(
                f"no capture of {self._names[1]} ({reason.text}): the frame was discarded before "
                f"it was segmented; raise capture.memory, {settings.memory:g} MiB, or "
                f"capture.seconds, {settings.seconds:g}"
            )

    def take(self, reason: Reason, stamp_ns: int | None = None) -> Capture | None:
        """Return the frames that no capture before has.

        Args:
            reason: of the capture.
            stamp_ns: of the frame that it is about; None: the newest.

        Returns:
            None if there are none, or the one that it is about is not among them.
        """
        with self._lock:
            frames = tuple(self._ring.after(self._taken))
            if not frames:
                return None
            stamp_ns = frames[-1].stamp_ns if stamp_ns is None else stamp_ns
            if all(frame.stamp_ns != stamp_ns for frame in frames):
                return None
            self._taken = frames[-1].number
        settings = self._settings
        return Capture(
            *self._names, reason, stamp_ns, frames, settings.capture, settings.segmenter
        )


class Captures:
    """The captures of a node, with the service ~/capture.

    Args:
        group: a reentrant one: the answer waits for the disk, and no other callback does.
    """

    def __init__(self, node: LifecycleNode, group: CallbackGroup) -> None:
        self._node = node
        self._writer = CaptureWriter(node.get_logger())
        self._cameras: list[CameraCapture] = []
        node.create_service(Trigger, "~/capture", self._capture, callback_group=group)

    def open(self, name: str, topic: str, message_type: str) -> CameraCapture:
        """Return the captures of a camera; see `CameraCapture`."""
        prefix = f"~/{name}" if name else "~"
        reason_topic = self._node.resolve_topic_name(f"{prefix}/capture_reason")
        camera = CameraCapture(self._writer, name, topic, message_type, reason_topic)
        self._cameras.append(camera)
        return camera

    def clear(self) -> None:
        """Forget the cameras, when the node is cleaned up."""
        self._cameras.clear()

    def close(self) -> None:
        """End the thread that writes."""
        self._writer.close()

    async def _capture(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        settings = node_parameters.read(self._node).capture
        if not settings.folder:
            response.message = (
                "capture.folder is empty: set it to a folder, and from then on the node keeps the "
                f"last {settings.seconds:g} s of each camera"
            )
            return response
        if self._writer.busy:
            response.message = BUSY
            return response
        taken = [camera.take(REQUESTED) for camera in self._cameras]
        captures = [capture for capture in taken if capture is not None]
        if not captures:
            response.message = (
                "no frame since the last capture: is the node active, and does the camera send?"
            )
            return response
        answer: Future[tuple[bool, str]] = Future()

        def finish(all_written: bool, lines: list[str]) -> None:
            answer.set_result((all_written, "; ".join(lines)))
            if self._node.executor is not None:
                self._node.executor.wake()

        self._writer.write(captures, finish)
        await answer
        response.success, response.message = answer.result()
        return response
