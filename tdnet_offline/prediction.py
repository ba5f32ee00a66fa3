"""Frames of a source through a segmenter, with the same memory contract as the node's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tdnet.continuity import ContinuityPolicy, ResetReason
from tdnet.frames.postprocess import OutputOptions
from tdnet.segmenter import SegmentationResult, Stream, StreamingSegmenter
from tdnet_offline.frames import Frame, FrameSource, RefusedFrame

FrameStep = Callable[[Stream, Frame, OutputOptions], SegmentationResult]
"""Segments the next frame of a stream."""


def step(stream: Stream, frame: Frame, options: OutputOptions) -> SegmentationResult:
    """Segment the next frame of a stream with the stream's own memory, as the node does."""
    return stream.step(frame.image, options)


@dataclass(frozen=True)
class SegmentedFrame:
    """A frame and its labels.

    Attributes:
        frame: the camera image.
        result: labels and the other requested outputs.
        reset_reason: why the memory was emptied before the frame; None if it was continued.
    """

    frame: Frame
    result: SegmentationResult
    reset_reason: ResetReason | None


def segment_frames(
    source: FrameSource,
    segmenter: StreamingSegmenter,
    options: OutputOptions,
    policy: ContinuityPolicy,
    frame_step: FrameStep = step,
) -> Iterator[SegmentedFrame | RefusedFrame]:
    """Segment the frames in order, in their own stream.

    A frame that cannot be decoded is yielded as refused and does not change the memory.

    Args:
        source: the frames.
        segmenter: the network.
        options: outputs of each frame.
        policy: decides before which frames the memory is emptied.
        frame_step: segments one frame.

    Raises:
        InputError: the rest of the source cannot be read.
    """
    stream = segmenter.open_stream()
    for frame in source:
        if isinstance(frame, RefusedFrame):
            yield frame
            continue
        reason = policy.check(frame.info)
        if reason is not None:
            stream.reset()
        yield SegmentedFrame(frame, frame_step(stream, frame, options), reason)
