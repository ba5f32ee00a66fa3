"""One record of a frame, filled on its way from the camera's message to the published outputs."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from std_msgs.msg import Header

from tdnet.continuity import FrameInfo, ResetReason, stamp_ns
from tdnet.segmenter import SegmentationResult
from tdnet_ros.camera.serialized_images import CameraMessage
from tdnet_ros.model.active_model import ActiveModel

STAGES = (
    "wait",
    "convert",
    "preprocess",
    "network",
    "postprocess",
    "overlay",
    "download",
    "publish",
    "total",
)
CONVERSION = "in the conversion"  # the first stage of a frame, as log lines name it


class FrameCounts(NamedTuple):
    """Frames of a camera since activation; received is the sum of the others and those at work.

    Attributes:
        received: arrived from the camera.
        segmented: outputs published.
        dropped: skipped for a newer frame, for `max_rate`, without a subscriber, in a pause, or at
            the end.
        refused: not usable, or failed in the network.
        overtaken: dropped frames that a newer one superseded.
        paused: dropped frames that arrived during a pause.
        lost: lost by the middleware before they arrived; not in the sum.
        busy_ms: milliseconds that the device spent on them.
    """

    received: int = 0
    segmented: int = 0
    dropped: int = 0
    refused: int = 0
    overtaken: int = 0
    paused: int = 0
    lost: int = 0
    busy_ms: float = 0.0


class FrameCounter:
    """Counts the frames of one activation of a camera; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts = FrameCounts()

    def add(self, **counts: float) -> FrameCounts:
        """Add to the fields of these names, and return the sums."""
        with self._lock:
            sums: dict[str, Any] = {
                name: getattr(self.counts, name) + count for name, count in counts.items()
            }
            self.counts = self.counts._replace(**sums)
            return self.counts


@dataclass(frozen=True)
class RequestedOutputs:
    """Outputs with a subscriber; false if there is none.

    Attributes:
        topics: names in the table of outputs.
        images: of `SegmentationResult`, that the topics need.
        encoded: the encoder thread publishes at least one topic.
    """

    topics: tuple[str, ...] = ()
    images: frozenset[str] = frozenset()
    encoded: bool = False

    def __bool__(self) -> bool:
        return bool(self.topics)


@dataclass(eq=False, slots=True)
class FrameTrace:
    """One frame of a camera; each stage of its way fills in its fields.

    One thread at a time works on a frame: the executor, the inference thread, the encoder thread.
    Times are seconds of `time.perf_counter`. A field without a default is read only after the
    stage that fills it.

    Attributes:
        message: the camera's; released when the frame is segmented.
        received: the message arrived.
        requested: outputs with a subscriber at that time.
        counter: of the activation that the frame belongs to.
        header: stamp and frame id of the message; every output gets them.
        started: the conversion began.
        converted: the message was an array.
        size: its height and width, pixels.
        reset_reason: why the memory was emptied before the frame; None: it was continued.
        segmented: the result was there.
        labels_published: the raw label image was out; NaN without a subscriber.
        published: the newest output was out.
        message_seconds: spent on building and encoding messages.
        age_ms: stamp to publication; NaN without a stamp or a started clock.
        counts: of the camera, this frame included.
    """

    camera: str
    message: CameraMessage
    received: float
    requested: RequestedOutputs
    counter: FrameCounter
    header: Header = field(init=False)
    model: ActiveModel = field(init=False)
    stage: str = CONVERSION
    started: float = math.nan
    converted: float = math.nan
    size: tuple[int, int] = field(init=False)
    reset_reason: ResetReason | None = None
    result: SegmentationResult = field(init=False)
    segmented: float = math.nan
    labels_published: float = math.nan
    published: float = math.nan
    message_seconds: float = 0.0
    age_ms: float = math.nan
    counts: FrameCounts = field(init=False)

    def __post_init__(self) -> None:
        """Keep the header, which outlasts the message."""
        self.header = self.message.header

    def start(self, model: ActiveModel) -> None:
        """Note that the conversion begins, and the model for the frame."""
        self.model = model
        self.started = time.perf_counter()

    def convert_to(self, image: np.ndarray) -> FrameInfo:
        """Note the (H, W, 3) uint8 RGB array; return the frame's info for the memory contract."""
        self.converted = time.perf_counter()
        self.stage = "while opening the memory"
        header = self.header
        self.size = image.shape[0], image.shape[1]
        return FrameInfo(stamp_ns(header), self.size, header.frame_id)

    def segment_to(self, result: SegmentationResult) -> None:
        """Note the result, and release the message: encoding may take longer than the network."""
        self.result = result
        del self.message
        self.segmented = self.published = time.perf_counter()

    @property
    def wait_ms(self) -> float:
        """Arrival to start of the work, milliseconds."""
        return (self.started - self.received) * 1e3

    @property
    def convert_ms(self) -> float:
        """Message to array, milliseconds."""
        return (self.converted - self.started) * 1e3

    @property
    def publish_ms(self) -> float:
        """Arrays to published messages, milliseconds."""
        return (self.published - self.segmented) * 1e3

    @property
    def labels_ms(self) -> float:
        """Arrival to published label image, milliseconds; NaN without a subscriber."""
        return (self.labels_published - self.received) * 1e3

    @property
    def total_ms(self) -> float:
        """Arrival to last publication, milliseconds."""
        return (self.published - self.received) * 1e3

    def milliseconds(self) -> tuple[float, ...]:
        """Milliseconds of each of `STAGES`; on CUDA those of the network are the device's."""
        network = self.result.times
        return (
            self.wait_ms,
            self.convert_ms,
            network.preprocess,
            network.network,
            network.postprocess,
            network.overlay,
            network.download,
            self.publish_ms,
            self.total_ms,
        )


def age_ms(now_ns: int, stamp_ns: int) -> float:
    """Return the milliseconds from a stamp to now; NaN without a stamp or a started clock."""
    # The clock is 0 with `use_sim_time` before the first `/clock`.
    return (now_ns - stamp_ns) / 1e6 if now_ns and stamp_ns else math.nan
