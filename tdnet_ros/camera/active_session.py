"""What exists only while the node is active: subscriptions, mailbox, inference thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from tdnet.continuity import ResetReason
from tdnet.errors import InputError
from tdnet.mailbox import Mailbox
from tdnet_ros.camera.camera import ArrivedFrame, Camera
from tdnet_ros.camera.clock_age import stamp_ns
from tdnet_ros.camera.deafness import CameraInput, DeafnessWatch
from tdnet_ros.camera.frame_pipeline import DeviceWatch, FramePipeline
from tdnet_ros.camera.inference_thread import InferenceThread
from tdnet_ros.camera.serialized_images import read_compressed_image, read_image
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.process import Start
from tdnet_ros.rclpy_tools.log_throttle import LogThrottle, describe, one_line

# Seconds that a deactivation waits for the frame at work; Nav2's manager waits 5 s for an answer.
JOIN_SECONDS = 2.0


class ActiveSession:
    """From activation to deactivation: takes in frames and has them segmented.

    Args:
        node: the active node.
        cameras: by name.
        model: what the first frames are segmented with.
        device: hears how the device fares with each frame.
        threads: PyTorch's number of threads.
        start: of the node; a deaf node asks to be renewed.
        after: the inference thread of the activation before, if it is still at work.

    Raises:
        RuntimeError: a subscription cannot be made, for example with an unknown QoS override.
    """

    def __init__(
        self,
        node: LifecycleNode,
        cameras: Mapping[str, Camera],
        model: ActiveModel,
        device: DeviceWatch,
        threads: int,
        start: Start,
        after: InferenceThread | None = None,
    ) -> None:
        self._node = node
        self._cameras = cameras
        self._mailbox: Mailbox[ArrivedFrame] = Mailbox(cameras)
        self._throttle = LogThrottle()
        self._pipeline = FramePipeline(node, cameras, model, device)
        # What is taken in follows the parameters at once, though a frame of before is at work.
        self._settings = model.settings
        for camera in cameras.values():
            camera.restart()
        compressed = model.settings.image_transport == "compressed"
        self._inputs: dict[str, CameraInput] = {}
        try:
            for name, camera in cameras.items():
                kind = CompressedImage if compressed else Image
                self._inputs[name] = CameraInput(camera, self._subscribe(camera, kind))
        except Exception:
            self._unsubscribe()
            raise
        self._thread = InferenceThread(
            self._mailbox, self._pipeline.process, self._report, threads, after
        )
        self._deafness = DeafnessWatch(
            node,
            self._inputs,
            lambda: self._settings.diagnostic_limits.silence_error,
            start.renew,
            start.renewals,
        )

    def use(self, model: ActiveModel, then: Callable[[], None]) -> None:
        """Segment the next frame with another model.

        Args:
            model: what the frames are segmented with from now on.
            then: called between the last frame of the model before and the first of this one.
        """
        self._settings = model.settings

        def change() -> None:
            self._pipeline.use(model)
            then()

        self._mailbox.before_next(change)

    def stop(self) -> InferenceThread | None:
        """Take in no more frames, publish nothing more, and wait for the frame at work.

        Returns:
            The inference thread, if it is still at work after `JOIN_SECONDS`.
        """
        self._deafness.stop()
        self._unsubscribe()
        for name in self._mailbox.close():
            self._cameras[name].counter.add(dropped=1)
        self._pipeline.close()
        self._thread.join(JOIN_SECONDS)
        for camera in self._cameras.values():
            camera.release()
        for problem in outlasting_problems(self._thread):
            self._node.get_logger().error(problem)
        return self._thread if self._thread.at_work else None

    def _report(self, error: Exception) -> None:
        text = f"in the inference thread: {describe(error)}"
        if self._throttle.allows(text):
            self._node.get_logger().error(text)

    def _unsubscribe(self) -> None:
        for source in self._inputs.values():
            self._node.destroy_subscription(source.subscription)

    def _subscribe(
        self, camera: Camera, message_type: type[Image] | type[CompressedImage]
    ) -> Subscription:
        read = read_compressed_image if message_type is CompressedImage else read_image

        def receive(wire: bytes) -> None:
            arrived = time.perf_counter()
            camera.counter.add(received=1)
            camera.loss.arrived(arrived)
            try:
                frame = ArrivedFrame(read(wire), arrived)
            except InputError as error:
                self._refuse(camera, error)
                return
            self._receive(camera, frame)

        return self._node.create_subscription(
            message_type,
            camera.input_topic,
            receive,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
            event_callbacks=camera.incidents.subscription_callbacks(
                camera.input_topic, camera.loss.lose
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            raw=True,
        )

    def _refuse(self, camera: Camera, error: InputError) -> None:
        text = one_line(f"frame of {camera.input_topic} refused: {error}")
        camera.refuse(text)
        if camera.throttle.allows(text):
            self._node.get_logger().warning(text)

    def _receive(self, camera: Camera, frame: ArrivedFrame) -> None:
        camera.loss.received(frame.arrived, stamp_ns(frame.message.header))
        settings = self._settings
        if settings.idle_without_subscribers and not camera.publishers.wanted().any:
            # Who subscribes later must not get what an old view left behind.
            camera.reset(ResetReason.IDLE)
            camera.counter.add(dropped=1)
        elif not camera.rate_limit.passes(frame.arrived, settings.max_rate):
            camera.counter.add(dropped=1)
        elif self._mailbox.put(camera.name, frame) is not None:
            camera.counter.add(dropped=1, overtaken=1)


def outlasting_problems(thread: InferenceThread | None) -> tuple[str, ...]:
    """Return what there is to report of the inference thread of a node that was deactivated."""
    if thread is None or not thread.at_work:
        return ()
    return (
        f"{JOIN_SECONDS:g} s after the deactivation the network is still at work on a frame, "
        "which will not be published: wait for it, or clean up and configure, which loads the "
        "model anew",
    )
