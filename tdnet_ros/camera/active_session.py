"""What exists only while the node is active: subscriptions, mailbox, inference thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import torch
from rclpy.lifecycle import LifecycleNode

from tdnet.continuity import ResetReason
from tdnet.mailbox import Mailbox
from tdnet_ros.camera.camera import Camera
from tdnet_ros.camera.deafness import DeafnessWatch
from tdnet_ros.camera.frame_trace import FrameTrace
from tdnet_ros.camera.pipeline import FramePipeline
from tdnet_ros.camera.subscription import CameraSubscription
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.device_recovery import DeviceRecovery
from tdnet_ros.process import Start
from tdnet_ros.rclpy_tools.node_log import LogThrottle, describe

# Seconds that a deactivation waits for the frame at work; Nav2's manager waits 5 s for an answer.
JOIN_SECONDS = 2.0
OUTLASTING = (
    f"{JOIN_SECONDS:g} s after the deactivation the network is still at work on a frame, which "
    "will not be published: wait for it, or clean up and configure, which loads the model again"
)
"""The problem of an inference thread that outlasts its activation."""


class InferenceThread(threading.Thread):
    """Takes frames from the mailbox and works on them, one at a time, until it is closed.

    It goes on after an exception, which it reports.

    Args:
        threads: PyTorch's number of threads.
        after: the thread of the activation before, if it is still at work; it must end first,
            since a model segments for one thread at a time.
    """

    def __init__(
        self,
        mailbox: Mailbox[FrameTrace],
        work: Callable[[FrameTrace], None],
        report: Callable[[Exception], None],
        threads: int,
        after: InferenceThread | None = None,
    ) -> None:
        # A daemon, so that an inference that never ends cannot keep the process from ending.
        super().__init__(name="inference", daemon=True)
        self._mailbox = mailbox
        self._work = work
        self._report = report
        self._threads = threads
        self._after = after
        self.start()

    def run(self) -> None:  # noqa: D102
        torch.set_num_threads(self._threads)
        if self._after is not None:
            self._after.join()
            self._after = None
        while True:
            try:
                if not self._take():
                    return
            except Exception as error:
                self._report(error)

    def _take(self) -> bool:
        """Work on the next frame; return false once the mailbox is closed.

        Keeps no frame during the wait for the next one: it refers to its model.
        """
        taken = self._mailbox.take()
        if taken is None:
            return False
        self._work(taken[1])
        return True


class ActiveSession:
    """Receives frames and has them segmented, from activation to deactivation.

    Args:
        threads: PyTorch's number of threads.
        start: of the node; a deaf node is renewed.
        after: the inference thread of the activation before, if it is still at work.

    Raises:
        RuntimeError: a subscription cannot be made, for example with an unknown QoS override.
    """

    def __init__(
        self,
        node: LifecycleNode,
        cameras: Mapping[str, Camera],
        model: ActiveModel,
        device: DeviceRecovery,
        threads: int,
        start: Start,
        after: InferenceThread | None = None,
    ) -> None:
        self._cameras = cameras
        self._settings = model.settings
        self._logger = node.get_logger()
        self._throttle = LogThrottle()
        self._mailbox: Mailbox[FrameTrace] = Mailbox(cameras)
        self._pipeline = FramePipeline(node, cameras, model, device)
        self._subscriptions: list[CameraSubscription] = []
        for camera in cameras.values():
            camera.restart()
        try:
            for camera in cameras.values():
                settings = model.settings.of_camera(camera.name)
                self._subscriptions.append(
                    CameraSubscription(node, camera, self._mailbox, settings)
                )
        except Exception:
            self._unsubscribe()
            raise
        self._thread = InferenceThread(
            self._mailbox, self._pipeline.process, self._report, threads, after
        )
        self._deafness = DeafnessWatch(
            node,
            self._subscriptions,
            lambda: self._settings.diagnostic_limits.silence_error,
            start.renew,
            start.renewals,
        )

    def use(self, model: ActiveModel, then: Callable[[], None]) -> None:
        """Segment the next frame with another model; its settings apply to messages at once.

        `then` is called between the last frame of the old model and the first of the new one.
        """
        self._settings = model.settings
        for subscription in self._subscriptions:
            subscription.settings = model.settings.of_camera(subscription.camera.name)
        if not model.settings.enable:
            for name in self._mailbox.clear():
                self._cameras[name].reset(ResetReason.PAUSED)
                self._cameras[name].counter.add(dropped=1, paused=1)

        def change() -> None:
            self._pipeline.use(model)
            then()

        self._mailbox.before_next(change)

    def stop(self) -> InferenceThread | None:
        """Receive no more frames, publish nothing more, and wait for the frame at work.

        Return the inference thread if it is still at work after `JOIN_SECONDS`.
        """
        self._deafness.stop()
        self._unsubscribe()
        for name in self._mailbox.close():
            self._cameras[name].counter.add(dropped=1)
        self._pipeline.close()
        self._thread.join(JOIN_SECONDS)
        for camera in self._cameras.values():
            camera.release()
        if not self._thread.is_alive():
            return None
        self._logger.error(OUTLASTING)
        return self._thread

    def _report(self, error: Exception) -> None:
        text = f"in the inference thread: {describe(error)}"
        if self._throttle.allows(text):
            self._logger.error(text)

    def _unsubscribe(self) -> None:
        for subscription in self._subscriptions:
            subscription.destroy()
