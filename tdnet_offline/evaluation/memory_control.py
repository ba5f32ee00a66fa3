"""Controls of the memory: the past with which each frame of an evaluation is segmented."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Literal

import cv2
import numpy as np

from tdnet.errors import InputError
from tdnet.frames.postprocess import OutputOptions
from tdnet.network.temporal_memory import MemoryAccess
from tdnet.segmenter import SegmentationResult, Stream
from tdnet.variants import Variant
from tdnet_offline.datasets.video import Dataset, LabelledVideo
from tdnet_offline.evaluation.confusion import Labels
from tdnet_offline.evaluation.video_frames import VideoFrame, VideoFrames
from tdnet_offline.frames import Frame, RefusedFrame

MemoryMode = Literal["full", "none", "foreign"]
"""A frame's own past, no past, or the past of another video."""

_WRITE_ONLY = MemoryAccess(read=False)
_READ_ONLY = MemoryAccess(write=False)
_NEITHER = MemoryAccess(read=False, write=False)


def check_memory_mode(memory: MemoryMode, variant: Variant, dataset: Dataset) -> None:
    """Check that a network and a data set allow a control.

    Raises:
        InputError: the network has no memory, or there is no other video for its memory.
    """
    if memory != "full" and variant.memory_capacity == 0:
        raise InputError(
            f"memory {memory}: {variant.name} has no memory with these weights; allowed is full"
        )
    lengths = [video.num_frames for video in dataset.videos if video.num_frames]
    if memory == "foreign" and len(lengths) < 2:
        raise InputError(
            f"memory foreign needs another video, and the source has {len(lengths)} with frames; "
            "give two or more bags, or a data set of several videos"
        )
    if memory == "foreign" and max(lengths) < 2:
        raise InputError(
            "memory foreign: every video of the source is a single frame, so no frame has a past; "
            "give a source with videos of several frames"
        )


def step_without_memory(
    stream: Stream, frame: Frame, options: OutputOptions
) -> SegmentationResult:
    """Segment a frame by its own features alone; sub-networks take turns as usual."""
    return stream.step(frame.image, options, _WRITE_ONLY)


class ForeignMemory:
    """Segments the frames of a video with the memory of another video.

    The stream's memory holds the other video only: each frame is segmented and not stored, then
    the next frame of the other video is segmented and stored. A gap that empties the video's
    memory empties this memory too, so that both hold equally many frames.

    Args:
        frames: of the other video; they start again if there are too few.
    """

    def __init__(self, frames: VideoFrames) -> None:
        self._frames = _readable(frames)

    def __call__(self, stream: Stream, frame: Frame, options: OutputOptions) -> SegmentationResult:
        """Segment the next frame; see `tdnet_offline.prediction.FrameStep`."""
        result = stream.step(frame.image, options, _READ_ONLY)
        image, size = next(self._frames).image, frame.image.shape[:2]
        if image.shape[:2] != size:  # a stream has one size
            image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA))
        stream.step(image, options)
        return result


class WithholdingStep:
    """Segments labelled frames first without their memory, then each frame with its memory.

    Args:
        labelled: indices of the frames with labels.
        capacity: frames of a full memory; with fewer, nothing is withheld.

    Attributes:
        labels: of the newest frame without its memory; None if not computed.
    """

    def __init__(self, labelled: Container[int], capacity: int) -> None:
        self._labelled, self._capacity = labelled, capacity
        self.labels: Labels | None = None

    def __call__(self, stream: Stream, frame: Frame, options: OutputOptions) -> SegmentationResult:
        """Segment the next frame; see `tdnet_offline.prediction.FrameStep`."""
        assert isinstance(frame, VideoFrame)
        self.labels = None
        if frame.index in self._labelled and stream.memory_frames == self._capacity:
            self.labels = stream.step(frame.image, options, _NEITHER).labels
        return stream.step(frame.image, options)


def other_video(videos: Sequence[LabelledVideo], number: int) -> LabelledVideo:
    """Return the video whose memory video `number` is segmented with: the next with frames."""
    others = [*videos[number + 1 :], *videos[:number]]
    return next(video for video in others if video.num_frames)


def _readable(frames: VideoFrames) -> Iterator[VideoFrame]:
    """Yield the frames that can be read, again and again.

    Raises:
        InputError: none can be read.
    """
    found = True
    while found:
        found = False
        for frame in frames:
            if not isinstance(frame, RefusedFrame):
                found = True
                yield frame
    raise InputError(
        f"memory foreign: no frame of {frames.description} can be read, so it leaves no memory; "
        "leave this source out"
    )
