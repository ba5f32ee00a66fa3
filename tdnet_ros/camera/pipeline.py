"""A frame's way through the inference thread: convert, segment, publish, commit the memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from rclpy.lifecycle import LifecycleNode

from tdnet.continuity import ResetReason, stamp_ns
from tdnet.errors import DeviceError, InputError
from tdnet.segmenter import Stream
from tdnet_ros.camera.camera import Camera
from tdnet_ros.camera.conversion import image_from_message
from tdnet_ros.camera.frame_trace import CONVERSION, FrameTrace, age_ms
from tdnet_ros.camera.outputs import Phase
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.device_recovery import DeviceRecovery
from tdnet_ros.rclpy_tools.node_log import describe


class FramePipeline:
    """Segments frames and publishes the results, one at a time.

    The encoder thread makes PNG and JPEG while the next frame is in the network, for one frame at
    a time. So raw images do not wait for encoding, and all outputs keep frame order.
    """

    def __init__(
        self,
        node: LifecycleNode,
        cameras: Mapping[str, Camera],
        model: ActiveModel,
        device: DeviceRecovery,
    ) -> None:
        self._cameras = cameras
        self._model = model
        self._device = device
        self._first_of_model: set[str] = set()
        self._clock = node.get_clock()
        self._logger = node.get_logger()
        self._publishing = threading.Lock()
        self._closed = threading.Event()
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="encoding")
        # Starts the thread: no frame waits for one that cannot be started.
        self._encoding: Future[None] = self._encoder.submit(lambda: None)
        self._encoding_camera: Camera | None = None

    def use(self, model: ActiveModel) -> None:
        """Segment the next frame with another model; between two frames only."""
        wait([self._encoding])
        if model.segmenter is not self._model.segmenter:
            self._first_of_model = set(self._cameras)
            for camera in self._cameras.values():
                camera.use(model.segmenter)
        self._model = model

    def close(self) -> None:
        """Publish nothing more, including the frame at work; blocks during a publication."""
        with self._publishing:
            self._closed.set()
        self._encoder.shutdown()

    def process(self, frame: FrameTrace) -> None:
        """Segment one frame and publish its outputs.

        An exception costs this frame only: it is counted and logged. If it occurs in memory or
        network, the next frame starts with an empty memory.
        """
        camera, model = self._cameras[frame.camera], self._model
        try:
            frame.start(model)
            image = image_from_message(frame.message)
            info = frame.convert_to(image)
            self._check_open()
            stream, frame.reset_reason = camera.stream_for(info, model)
            frame.stage = "in the network"
            options = model.options(frame.camera, frame.requested.images)
            frame.segment_to(stream.step(image, options))
            frame.counter.add(busy_ms=frame.result.times.total)
            self._publish(camera, frame)
        except _Closed:
            frame.counter.add(dropped=1)
        # Not only TdnetError: an exception must not end the only inference thread.
        except Exception as error:
            self._fail(camera, frame, error)
        else:
            self._commit_memory(camera, frame, stream)

    def _publish(self, camera: Camera, frame: FrameTrace) -> None:
        with self._publishing:
            self._check_open()
            try:
                camera.outputs.publish(frame, Phase.DIRECT)
            except Exception as error:
                camera.refuse(frame.counter, f"while publishing, {describe(error)}")
                return
            if frame.requested.encoded:
                wait([self._encoding])
                self._encoding = self._encoder.submit(self._finish, camera, frame)
                self._encoding_camera = camera
            else:
                if self._encoding_camera is camera:
                    wait([self._encoding])  # status messages keep frame order
                self._finish(camera, frame)

    def _finish(self, camera: Camera, frame: FrameTrace) -> None:
        """Publish the other outputs, those that may wait for depth last; raises nothing."""
        self._count(camera, frame)
        problem = ""
        try:
            camera.outputs.publish(frame, Phase.GEOMETRY)
        except Exception as error:  # the frame itself is out, and counted
            problem = describe(error)
            camera.warn(problem)
        camera.geometry.problem = problem

    def _count(self, camera: Camera, frame: FrameTrace) -> None:
        """Publish the encoded outputs, count the frame, publish its status; raises nothing."""
        try:
            camera.outputs.publish(frame, Phase.ENCODED)
            frame.age_ms = age_ms(self._clock.now().nanoseconds, stamp_ns(frame.header))
            camera.published(frame)
        except Exception as error:
            camera.refuse(frame.counter, f"while publishing, {describe(error)}")
            return
        try:
            if camera.name in self._first_of_model:
                self._log_gap(camera, frame.model)
            camera.outputs.publish(frame, Phase.COUNTED)
        except Exception as error:  # the frame itself is out, and counted
            camera.warn(f"no status of {camera.input_topic}: {describe(error)}")
        camera.capture_by_rule(frame)

    def _commit_memory(self, camera: Camera, frame: FrameTrace, stream: Stream) -> None:
        """Store the frame in the memory; last, since only the next frame needs it."""
        began = time.perf_counter()
        try:
            stream.commit_memory()
        except Exception as error:  # the frame itself is out, and counted
            self._empty_memory(camera, error)
            camera.warn(f"memory of {camera.input_topic}: {describe(error)}")
            return
        frame.counter.add(busy_ms=(time.perf_counter() - began) * 1e3)
        self._device.worked()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise _Closed

    def _fail(self, camera: Camera, frame: FrameTrace, error: Exception) -> None:
        problem = f"{frame.stage}, {describe(error)}"
        if frame.stage == CONVERSION:
            camera.refuse(frame.counter, str(error) if isinstance(error, InputError) else problem)
        elif self._closed.is_set():
            frame.counter.add(dropped=1)
        else:
            self._empty_memory(camera, error)
            camera.refuse(frame.counter, problem)

    def _empty_memory(self, camera: Camera, error: Exception) -> None:
        """Empty the memory before the next frame, after an error at the network."""
        camera.reset(ResetReason.ERROR)
        if isinstance(error, DeviceError):
            self._device.failed(error)

    def _log_gap(self, camera: Camera, model: ActiveModel) -> None:
        self._first_of_model.discard(camera.name)
        self._logger.info(
            f"{camera.input_topic} is segmented by {model.segmenter.variant.name}; the longest "
            "gap between two outputs since it began to load was "
            f"{camera.statistics.longest_gap * 1e3:.0f} ms"
        )


class _Closed(Exception):
    """The node was deactivated while the frame was at work."""
