"""Frames as the node records them, without a graph."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image

from tdnet._util.stage_clock import StageTimes
from tdnet.segmenter import SegmentationResult
from tdnet_ros.camera.frame_trace import FrameCounter, FrameTrace, RequestedOutputs

NO_TIMES = StageTimes(0.0, 0.0, 0.0, 0.0, 0.0)


def segmentation_result(
    times: StageTimes = NO_TIMES, path: int = 0, memory_frames: int = 0
) -> SegmentationResult:
    """The result of a frame of one pixel."""
    labels = np.zeros((1, 1), np.uint8)
    return SegmentationResult(labels, None, None, path, memory_frames, times)


def published_frame(
    result: SegmentationResult,
    *,
    received: float = 0.0,
    started: float = 0.0,
    converted: float = 0.0,
    segmented: float = 0.0,
    published: float = 0.0,
    age_ms: float = 0.0,
    counter: FrameCounter | None = None,
) -> FrameTrace:
    """A frame that has all its times, in seconds."""
    frame = FrameTrace("", Image(), received, RequestedOutputs(), counter or FrameCounter())
    frame.started, frame.converted = started, converted
    frame.result, frame.segmented, frame.published = result, segmented, published
    frame.age_ms = age_ms
    return frame
