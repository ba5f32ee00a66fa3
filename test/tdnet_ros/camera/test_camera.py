"""The memory of one camera, and what the diagnostics read of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from rclpy.lifecycle import LifecycleNode
from support.frame_traces import published_frame

from tdnet import FrameInfo, ResetReason, SegmenterSettings, StreamingSegmenter
from tdnet_ros.camera.camera import Camera, CameraSnapshot, UnfilledMemory, create_camera
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.parameters import NodeSettings


@pytest.fixture
def camera(ros: None) -> Iterator[Camera]:
    node = LifecycleNode("cameras")
    yield create_camera(node, "front", "raw")
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
    other = SegmenterSettings(weights=weights, device="cpu").build()
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
    assert camera.snapshot(0.0, 0.0).unfilled == UnfilledMemory(6, 0.5, 0.4)
    for _ in range(segmenter.memory_capacity):
        step(0.5, long)
    step(0.5, short)
    assert camera.snapshot(0.0, 0.0).unfilled == UnfilledMemory(1, 0.5, 0.4)


def test_the_snapshot_has_what_was_published(
    segmenter: StreamingSegmenter, camera: Camera
) -> None:
    camera.restart()
    model = active(segmenter)
    image = np.zeros((48, 64, 3), np.uint8)
    busy = 0.0
    for number in range(3):
        stream, _ = camera.stream_for(frame(number * 0.1), model)
        result = stream.step(image)
        camera.count_busy(result.times.total)
        busy += result.times.total
        published = published_frame(
            result, received=number, published=number + 0.5, age_ms=40.0, counter=camera.counter
        )
        camera.published(published)
        assert published.counts.segmented == number + 1
    camera.refuse(camera.counter, "unknown encoding")
    seen = camera.snapshot(5.0, 10.0)
    assert (seen.path, seen.memory_frames) == (2, 2)
    assert (seen.counts.segmented, seen.counts.refused) == (3, 1)
    assert "unknown encoding" in seen.last_error
    assert (seen.resets, seen.last_reset) == (1, ResetReason.ACTIVATED)
    assert seen.busy_ms == pytest.approx(busy)
    assert seen.latency["total"].p50 == pytest.approx(500)
    assert seen.age is not None
    assert seen.age.p50 == 40.0
    assert seen.recent_age is None
    assert not seen.has_subscriber
    assert camera.gaps.longest == pytest.approx(1.0)
    camera.restart()
    assert camera.snapshot(6.0, 0.0) == CameraSnapshot(6.0)
    assert camera.gaps.longest == 0.0
