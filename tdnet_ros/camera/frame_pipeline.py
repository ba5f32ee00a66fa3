"""The way of one frame: convert, step, publish. Runs in the inference thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from tdnet.continuity import FrameInfo, ResetReason
from tdnet.errors import DeviceError, InputError
from tdnet.segmenter import SegmentationResult, Stream
from tdnet_ros.camera.camera import ArrivedFrame, Camera
from tdnet_ros.camera.clock_age import age_ms, stamp_ns
from tdnet_ros.camera.encoder_thread import EncoderThread
from tdnet_ros.camera.image_messages import image_from_message
from tdnet_ros.camera.publishers import RequestedOutputs
from tdnet_ros.camera.status import FrameTimes, SegmentedFrame, status_message
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.rclpy_tools.log_throttle import describe, one_line


class DeviceWatch(Protocol):
    """Hears how the device fares with the frames."""

    def worked(self) -> None:
        """Note that the device segmented a frame."""

    def failed(self, error: DeviceError) -> None:
        """Note that the device failed on a frame."""


class _PendingOutput(NamedTuple):
    """A frame whose raw images are out."""

    camera: Camera
    model: ActiveModel
    header: Header
    reset_reason: ResetReason | None
    result: SegmentationResult
    wanted: RequestedOutputs
    times: FrameTimes


class FramePipeline:
    """Segments frames and publishes the results, one at a time.

    PNG and JPEG are made beside the next frame's network, one frame's at a time: nobody who wants
    raw images waits for them, and they come in the order of the frames.

    Args:
        node: publishes, and gives clock and log.
        cameras: by name.
        model: what the first frames are segmented with.
        device: hears how the device fares with each frame.
    """

    def __init__(
        self,
        node: LifecycleNode,
        cameras: Mapping[str, Camera],
        model: ActiveModel,
        device: DeviceWatch,
    ) -> None:
        self.model = model
        self._device = device
        self._first_of_model: set[str] = set()
        self._clock = node.get_clock()
        self._logger = node.get_logger()
        self._cameras = cameras
        self._publishing = threading.Lock()
        self._beside = EncoderThread("encoding")
        self._encoded: Camera | None = None
        self._closed = threading.Event()

    def use(self, model: ActiveModel) -> None:
        """Segment the next frame with another model; between two frames only."""
        self._beside.wait()
        if model.segmenter is not self.model.segmenter:
            self._first_of_model = set(self._cameras)
            for camera in self._cameras.values():
                camera.use(model.segmenter)
        self.model = model

    def close(self) -> None:
        """Publish nothing from now on, also not of the frame at work; waits while one goes out."""
        with self._publishing:
            self._closed.set()
        self._beside.close()

    def process(self, name: str, frame: ArrivedFrame) -> None:
        """Segment a frame of a camera and publish the result.

        A frame that cannot be used is counted and logged, and the next one starts a new memory
        where the network was at work on it. What only the next frame needs is done last.
        """
        camera = self._cameras[name]
        stream = self._segment(camera, frame)
        if stream is None:
            return
        began = time.perf_counter()
        try:
            stream.commit_memory()
        except Exception as error:  # the frame itself is out, and counted
            self._empty(camera, error)
            self._warn(camera, f"memory of {camera.input_topic}: {describe(error)}")
            return
        camera.worked((time.perf_counter() - began) * 1e3)
        self._device.worked()

    def _segment(self, camera: Camera, frame: ArrivedFrame) -> Stream | None:
        """Segment and publish; give the stream where the network has been at work on it."""
        model = self.model
        # A frame that outlasts its activation belongs to the counts of that one.
        counter = camera.counter
        started = time.perf_counter()
        stage = "in the conversion"
        try:
            image = image_from_message(frame.message)
            converted = time.perf_counter()
            stage = "while counting subscribers"
            wanted = camera.publishers.wanted()
        except InputError as error:
            self._refuse(camera, str(error))
            return None
        # Anything else, a device error too, must not end the only inference thread.
        except Exception as error:
            self._refuse(camera, f"{stage}, {describe(error)}")
            return None
        if self._closed.is_set():
            counter.add(dropped=1)
            return None
        header = frame.message.header
        try:
            stage = "while opening the memory"
            stream, reason = camera.stream_for(
                _frame_info(header, image), model.segmenter, model.settings.max_gap
            )
            stage = "in the network"
            result = stream.step(
                image, model.options(confidence=wanted.any_confidence, overlay=wanted.any_overlay)
            )
        except Exception as error:
            if self._closed.is_set():
                counter.add(dropped=1)
                return None
            self._empty(camera, error)
            self._refuse(camera, f"{stage}, {describe(error)}")
            return None
        segmented = time.perf_counter()
        camera.worked(result.times.total)
        with self._publishing:
            if self._closed.is_set():
                counter.add(dropped=1)
                return None
            try:
                sent = camera.publishers.publish(header, result, wanted)
            except Exception as error:
                self._refuse(camera, f"while publishing, {describe(error)}")
                return stream
            times = FrameTimes(
                arrived=frame.arrived,
                started=started,
                converted=converted,
                segmented=segmented,
                published=time.perf_counter(),
                labels_out=sent.labels,
                making=sent.making,
            )
            goes_out = _PendingOutput(camera, model, header, reason, result, wanted, times)
            if wanted.any_encoded:
                self._beside.start(partial(self._finish, goes_out))
                self._encoded = camera
            else:
                if self._encoded is camera:
                    # What is told of a camera's frames has their order.
                    self._beside.wait()
                self._finish(goes_out)
        return stream

    def _finish(self, frame: _PendingOutput) -> None:
        """Publish what must be encoded, count the frame and tell of it; raises nothing."""
        camera, wanted, times = frame.camera, frame.wanted, frame.times
        try:
            if wanted.any_encoded:
                making = camera.publishers.publish_encoded(frame.header, frame.result, wanted)
                times = replace(times, published=time.perf_counter(), making=times.making + making)
            age = age_ms(self._clock.now().nanoseconds, stamp_ns(frame.header))
            counts = camera.published(frame.result, times, age)
        except Exception as error:
            self._refuse(camera, f"while publishing, {describe(error)}")
            return
        try:
            if camera.name in self._first_of_model:
                self._tell_gap(camera)
            if wanted.status:
                class_map = frame.model.segmenter.class_map
                camera.publishers.publish_status(
                    status_message(_context(frame, age), frame.result, times, counts, class_map)
                )
        except Exception as error:  # the frame itself is out, and counted
            self._warn(camera, f"no status of {camera.input_topic}: {describe(error)}")

    def _empty(self, camera: Camera, error: Exception) -> None:
        """Let the next frame start a new memory after an error at the network."""
        camera.reset(ResetReason.ERROR)
        if isinstance(error, DeviceError):
            self._device.failed(error)

    def _tell_gap(self, camera: Camera) -> None:
        self._first_of_model.discard(camera.name)
        model, gap = self.model.segmenter.variant.name, camera.gaps.longest * 1e3
        self._logger.info(
            f"{camera.input_topic} is segmented by {model}; the longest gap between two outputs "
            f"since it began to load was {gap:.0f} ms"
        )

    def _refuse(self, camera: Camera, problem: str) -> None:
        text = one_line(f"frame of {camera.input_topic} refused: {problem}")
        camera.refuse(text)
        self._warn(camera, text)

    def _warn(self, camera: Camera, text: str) -> None:
        if camera.throttle.allows(text):
            self._logger.warning(text)


def _frame_info(header: Header, image: np.ndarray) -> FrameInfo:
    return FrameInfo(stamp_ns(header), (image.shape[0], image.shape[1]), header.frame_id)


def _context(frame: _PendingOutput, age_ms: float) -> SegmentedFrame:
    return SegmentedFrame(
        header=frame.header,
        camera=frame.camera.name,
        variant=frame.model.segmenter.variant.name,
        memory_capacity=frame.model.segmenter.memory_capacity,
        reset_reason=frame.reset_reason,
        age_ms=age_ms,
    )
