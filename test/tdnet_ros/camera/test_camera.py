"""The memory of one camera, and its counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode
from support.frame_traces import published_frame

from tdnet import FrameInfo, ResetReason, SegmenterSettings, StreamingSegmenter
from tdnet_ros.camera.camera import Camera, UnfilledMemory
from tdnet_ros.camera.frame_trace import FrameCounts
from tdnet_ros.capture.captures import Captures
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.parameters import NodeSettings


@pytest.fixture
def camera(ros: None) -> Iterator[Camera]:
    node = LifecycleNode("cameras")
    yield Camera(node, "front", "raw", Captures(node, ReentrantCallbackGroup()))
    node.destroy_node()


def active(segmenter: StreamingSegmenter, max_gap: float = 1.0) -> ActiveModel:
    settings = NodeSettings(max_gap=max_gap)
    return ActiveModel.create(segmenter, settings.segmenter, settings)


def frame(seconds: float) -> FrameInfo:
    return FrameInfo(round(seconds * 1e9), (48, 64), "camera")


def test_another_model_starts_another_memory(
    segmenter: StreamingSegmenter, weights: str, camera: Camera
) -> None:
    model = active(segmenter)
    camera.restart()
    first, reason = camera.stream_for(frame(0.0), model)
    assert reason is ResetReason.ACTIVATED
    same, reason = camera.stream_for(frame(0.1), model)
    assert same is first
    assert reason is None
    other = SegmenterSettings(weights=weights, device="cpu", runtime="torch").build()
    second, reason = camera.stream_for(frame(0.2), active(other))
    assert second is not first
    assert reason is ResetReason.MODEL


def test_the_gap_may_change_from_frame_to_frame(
    segmenter: StreamingSegmenter, camera: Camera
) -> None:
    model = active(segmenter)
    camera.stream_for(frame(0.0), model)
    assert camera.stream_for(frame(0.5), model)[1] is None
    shorter = replace(model, settings=replace(model.settings, max_gap=0.4))
    assert camera.stream_for(frame(1.0), shorter)[1] is ResetReason.GAP


def test_gaps_count_until_the_memory_is_full(
    segmenter: StreamingSegmenter, camera: Camera
) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    short, long = active(segmenter, max_gap=0.4), active(segmenter, max_gap=0.6)
    now = 0.0

    def step(gap: float, model: ActiveModel) -> None:
        nonlocal now
        now += gap
        stream, _ = camera.stream_for(frame(now), model)
        stream.step(image)

    step(0.0, short)
    for _ in range(6):
        step(0.5, short)
    assert camera.unfilled == UnfilledMemory(6, 0.5, 0.4)
    for _ in range(segmenter.memory_capacity):
        step(0.5, long)
    step(0.5, short)
    assert camera.unfilled == UnfilledMemory(1, 0.5, 0.4)


def test_what_was_published_is_counted(segmenter: StreamingSegmenter, camera: Camera) -> None:
    camera.restart()
    model = active(segmenter)
    image = np.zeros((48, 64, 3), np.uint8)
    for number in range(3):
        stream, _ = camera.stream_for(frame(number * 0.1), model)
        published = published_frame(
            stream.step(image),
            received=number,
            published=number + 0.5,
            age_ms=40.0,
            counter=camera.counter,
        )
        camera.published(published)
        assert published.counts.segmented == number + 1
    camera.refuse(camera.counter, "unknown encoding")
    assert camera.counter.counts == FrameCounts(segmented=3, refused=1)
    assert "unknown encoding" in camera.last_error
    assert (camera.resets, camera.last_reset) == (1, ResetReason.ACTIVATED)
    assert camera.statistics.memory_use == (2, 2)
    assert camera.statistics.longest_gap == pytest.approx(1.0)
    camera.restart()
    assert camera.counter.counts == FrameCounts()
    assert (camera.resets, camera.last_error) == (0, "")
    assert camera.statistics.memory_use is None
