"""The way of one frame: convert, step, publish. Runs in the inference thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from tdnet.class_map.model import ClassMap
from tdnet.continuity import FrameInfo, ResetReason
from tdnet.errors import DeviceError, InputError, quoted
from tdnet.frames.postprocess import OutputOptions
from tdnet.overlay.renderer import OverlayRenderer
from tdnet.segmenter import SegmentationResult, Stream, StreamingSegmenter
from tdnet.settings import SegmenterSettings
from tdnet_ros.camera.camera import ArrivedFrame, Camera
from tdnet_ros.camera.clock_age import age_ms, stamp_ns
from tdnet_ros.camera.encoder_thread import SideThread
from tdnet_ros.camera.image_messages import image_from_message
from tdnet_ros.camera.publishers import Wanted
from tdnet_ros.camera.status import FrameTimes, SegmentedFrame, status_message
from tdnet_ros.rclpy_tools.log_throttle import describe, one_line
from tdnet_ros.settings import NodeSettings, ParameterError


@dataclass(frozen=True)
class Recipe:
    """What a frame is segmented with; replaced as a whole between two frames.

    Attributes:
        segmenter: the model.
        built_from: what the model was built from; other than the settings say while the CPU
            stands in for a device that failed.
        renderer: draws the overlay with the model's classes.
        settings: of the node.
    """

    segmenter: StreamingSegmenter
    built_from: SegmenterSettings
    renderer: OverlayRenderer
    settings: NodeSettings

    @classmethod
    def create(
        cls, segmenter: StreamingSegmenter, built_from: SegmenterSettings, settings: NodeSettings
    ) -> Recipe:
        """Put together a model and the settings of the node.

        Raises:
            TdnetError: the settings name a class that the model's class map does not have.
        """
        class_map, overlay = segmenter.class_map, settings.overlay
        names = [entry.name for entry in class_map.classes]
        missing = [name for name in overlay.hidden_classes if name not in names]
        if missing:
            raise ParameterError(
                f"overlay.hidden_classes names {quoted(missing[0])}, which the class map "
                f"{class_map.name} does not have; allowed are {', '.join(names)}; with another "
                "class map, set both in one request"
            )
        renderer = OverlayRenderer(
            class_map,
            alpha=overlay.alpha,
            legend=overlay.legend,
            hidden_classes=[class_map.class_by_name(name).id for name in overlay.hidden_classes],
            device=segmenter.device,
        )
        return cls(segmenter, built_from, renderer, settings)

    def adapted(self, settings: NodeSettings) -> Recipe:
        """Give the recipe of the same model for other settings of the node.

        Raises:
            TdnetError: the settings name a class that the model's class map does not have.
        """
        if settings.overlay == self.settings.overlay:
            return replace(self, settings=settings)
        return Recipe.create(self.segmenter, self.built_from, settings)

    @property
    def stands_in(self) -> bool:
        """Whether the model runs elsewhere than the settings say."""
        return self.built_from != self.settings.segmenter

    def describe(self) -> str:
        """Name the model, its size, device and numbers."""
        model = self.segmenter
        return (
            f"{model.variant.name} at {model.input_size[0]} x {model.input_size[1]} "
            f"on {model.device}, {model.precision}"
        )

    @property
    def classes(self) -> tuple[ClassMap, tuple[str, ...], float]:
        """What the latched class topics tell."""
        settings = self.settings
        return (
            self.segmenter.class_map,
            settings.overlay.hidden_classes,
            settings.confidence_threshold,
        )

    def options(self, wanted: Wanted) -> OutputOptions:
        """Ask for the outputs of a frame that have a subscriber."""
        return OutputOptions(
            size=self.settings.output_size,
            confidence=wanted.any_confidence,
            confidence_threshold=self.settings.confidence_threshold,
            overlay=self.renderer if wanted.any_overlay else None,
        )


class DeviceWatch(Protocol):
    """Hears how the device fares with the frames."""

    def worked(self) -> None:
        """Note that the device segmented a frame."""

    def failed(self, error: DeviceError) -> None:
        """Note that the device failed on a frame."""


class _GoesOut(NamedTuple):
    """A frame whose raw images are out."""

    camera: Camera
    recipe: Recipe
    header: Header
    reset_reason: ResetReason | None
    result: SegmentationResult
    wanted: Wanted
    times: FrameTimes


class FramePipeline:
    """Segments frames and publishes the results, one at a time.

    PNG and JPEG are made beside the next frame's network, one frame's at a time: nobody who wants
    raw images waits for them, and they come in the order of the frames.

    Args:
        node: publishes, and gives clock and log.
        cameras: by name.
        recipe: what the first frames are segmented with.
        device: hears how the device fares with each frame.
    """

    def __init__(
        self,
        node: LifecycleNode,
        cameras: Mapping[str, Camera],
        recipe: Recipe,
        device: DeviceWatch,
    ) -> None:
        self.recipe = recipe
        self._device = device
        self._first_of_model: set[str] = set()
        self._clock = node.get_clock()
        self._logger = node.get_logger()
        self._cameras = cameras
        self._publishing = threading.Lock()
        self._beside = SideThread("encoding")
        self._encoded: Camera | None = None
        self._closed = threading.Event()

    def use(self, recipe: Recipe) -> None:
        """Segment the next frame with another recipe; between two frames only."""
        self._beside.wait()
        if recipe.segmenter is not self.recipe.segmenter:
            self._first_of_model = set(self._cameras)
            for camera in self._cameras.values():
                camera.use(recipe.segmenter)
        self.recipe = recipe

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
            stream.prepare()
        except Exception as error:  # the frame itself is out, and counted
            self._empty(camera, error)
            self._warn(camera, f"memory of {camera.input_topic}: {describe(error)}")
            return
        camera.worked((time.perf_counter() - began) * 1e3)
        self._device.worked()

    def _segment(self, camera: Camera, frame: ArrivedFrame) -> Stream | None:
        """Segment and publish; give the stream where the network has been at work on it."""
        recipe = self.recipe
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
                _frame_info(header, image), recipe.segmenter, recipe.settings.max_gap
            )
            stage = "in the network"
            result = stream.step(image, recipe.options(wanted))
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
            goes_out = _GoesOut(camera, recipe, header, reason, result, wanted, times)
            if wanted.any_encoded:
                self._beside.start(partial(self._finish, goes_out))
                self._encoded = camera
            else:
                if self._encoded is camera:
                    # What is told of a camera's frames has their order.
                    self._beside.wait()
                self._finish(goes_out)
        return stream

    def _finish(self, frame: _GoesOut) -> None:
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
                class_map = frame.recipe.segmenter.class_map
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
        model, gap = self.recipe.segmenter.variant.name, camera.gaps.longest * 1e3
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


def _context(frame: _GoesOut, age_ms: float) -> SegmentedFrame:
    return SegmentedFrame(
        header=frame.header,
        camera=frame.camera.name,
        variant=frame.recipe.segmenter.variant.name,
        memory_capacity=frame.recipe.segmenter.memory_capacity,
        reset_reason=frame.reset_reason,
        age_ms=age_ms,
    )
