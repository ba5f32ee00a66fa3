"""What happened to the frames of a camera: counts, times, and the status message of a frame."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import cv2
import numpy as np
from std_msgs.msg import Header

from tdnet.class_map.model import ClassMap
from tdnet.continuity import ResetReason
from tdnet.segmenter import SegmentationResult
from tdnet_ros.msg import SegmentationStatus

# Shorter runs than this, on average, are not worth counting.
_RUN_PIXELS = 10


@dataclass(frozen=True)
class FrameCounts:
    """Frames of a camera since activation; received is the sum of the others and those at work.

    Attributes:
        received: arrived from the camera.
        segmented: outputs published.
        dropped: skipped for a newer one, for `max_rate`, or because nobody listened.
        refused: could not be used, or failed in the network.
        overtaken: those of the dropped whose place a newer one took.
    """

    received: int = 0
    segmented: int = 0
    dropped: int = 0
    refused: int = 0
    overtaken: int = 0


class FrameCounter:
    """Counts the frames of a camera, from the executor's and the inference thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = FrameCounts()

    def add(
        self,
        *,
        received: int = 0,
        segmented: int = 0,
        dropped: int = 0,
        refused: int = 0,
        overtaken: int = 0,
    ) -> FrameCounts:
        """Count frames and give the sums."""
        with self._lock:
            now = self._counts
            self._counts = FrameCounts(
                now.received + received,
                now.segmented + segmented,
                now.dropped + dropped,
                now.refused + refused,
                now.overtaken + overtaken,
            )
            return self._counts

    @property
    def counts(self) -> FrameCounts:
        """The sums."""
        return self._counts


@dataclass(frozen=True)
class FrameTimes:
    """When a frame reached each stage: seconds of `time.perf_counter`.

    Attributes:
        arrived: from the camera.
        started: the work on it.
        converted: to an array.
        segmented: its images were there.
        published: the last of them was out.
        labels_out: the raw label image was out; NaN where nobody subscribes to it.
        making: seconds that building and encoding the messages took.
    """

    arrived: float
    started: float
    converted: float
    segmented: float
    published: float
    labels_out: float = math.nan
    making: float = 0.0

    @property
    def wait_ms(self) -> float:
        """Arrival to start of the work, milliseconds."""
        return (self.started - self.arrived) * 1e3

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
        """Arrival to published label image, milliseconds; NaN where nobody subscribes to it."""
        return (self.labels_out - self.arrived) * 1e3

    @property
    def total_ms(self) -> float:
        """Arrival to last publication, milliseconds."""
        return (self.published - self.arrived) * 1e3


@dataclass(frozen=True)
class SegmentedFrame:
    """What the status message tells of a frame, beside its result.

    Attributes:
        header: of the camera's message.
        camera: its name.
        variant: network that segmented it.
        memory_capacity: frames that the memory can hold.
        reset_reason: why the memory was emptied before it.
        age_ms: stamp to publication; NaN without a stamp or a started clock.
    """

    header: Header
    camera: str
    variant: str
    memory_capacity: int
    reset_reason: ResetReason | None
    age_ms: float


def status_message(
    frame: SegmentedFrame,
    result: SegmentationResult,
    times: FrameTimes,
    counts: FrameCounts,
    class_map: ClassMap,
) -> SegmentationStatus:
    """Put together the status of a frame whose outputs are published."""
    ids, shares = class_shares(result.labels, class_map)
    return SegmentationStatus(
        header=frame.header,
        camera=frame.camera,
        variant=frame.variant,
        path=result.path,
        memory_frames=result.memory_frames,
        memory_capacity=frame.memory_capacity,
        reset_reason=frame.reset_reason.value if frame.reset_reason else "",
        received=counts.received,
        segmented=counts.segmented,
        dropped=counts.dropped,
        refused=counts.refused,
        age_ms=frame.age_ms,
        wait_ms=times.wait_ms,
        convert_ms=times.convert_ms,
        preprocess_ms=result.times.preprocess,
        network_ms=result.times.network,
        postprocess_ms=result.times.postprocess + result.times.download,
        download_ms=result.times.download,
        overlay_ms=0.0 if result.overlay is None else result.times.overlay,
        publish_ms=times.publish_ms,
        message_ms=times.making * 1e3,
        labels_ms=times.labels_ms,
        total_ms=times.total_ms,
        class_ids=ids,
        class_shares=shares,
    )


def class_shares(labels: np.ndarray, class_map: ClassMap) -> tuple[list[int], list[float]]:
    """Give the classes present in a label image and the share of its pixels that each has.

    Args:
        labels: (H, W) uint8 class ids; 255: unlabelled, counted in no share.
        class_map: the classes that the ids stand for.

    Returns:
        Ascending ids; shares of all pixels, 0 to 1.
    """
    histogram = _histogram(labels.ravel())
    ids = [entry.id for entry in class_map.classes if histogram[entry.id] > 0]
    return ids, [float(histogram[id_] / labels.size) for id_ in ids]


def _histogram(labels: np.ndarray) -> np.ndarray:
    """Count each id of (P,) uint8.

    Label images are flat, mostly: then whole runs of a class are counted, of which one of full HD
    has far fewer than pixels, in a fifth of the time that the pixels take. Speckled ones, by
    noise or a threshold, would take thirty times as long by runs.
    """
    changes = labels[1:] != labels[:-1]
    if np.count_nonzero(changes) > labels.size // _RUN_PIXELS:
        return cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()
    ends = np.append(np.flatnonzero(changes), labels.size - 1)
    return np.bincount(labels[ends], weights=np.diff(ends, prepend=-1), minlength=256)
