"""Rate and memory of one camera."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tdnet import FrameInfo, ResetReason, SegmenterSettings, StreamingSegmenter
from tdnet_ros.camera.camera import Camera, MemoryUse, RateLimit, UnfilledMemory
from tdnet_ros.camera.status import FrameTimes
from tdnet_ros.rclpy_tools.qos_events import QosIncidents


@pytest.mark.parametrize("rate", [10.0, 8.0, 3.0])
def test_the_rate_is_kept_on_average(rate: float) -> None:
    limit = RateLimit()
    passed = [i / 17 for i in range(17 * 20) if limit.passes(i / 17, rate)]
    assert len(passed) == pytest.approx(20 * rate, abs=1.5)
    gaps = [b - a for a, b in pairwise(passed)]
    assert min(gaps) > 1 / rate - 1 / 17 - 1e-9


def test_no_burst_makes_up_for_a_pause() -> None:
    limit = RateLimit()
    assert limit.passes(0.0, 10)
    assert limit.passes(100.0, 10)
    assert not limit.passes(100.05, 10)
    assert limit.passes(100.1, 10)


def test_zero_is_no_limit() -> None:
    limit = RateLimit()
    assert all(limit.passes(0.0, 0.0) for _ in range(100))


def test_another_rate_counts_from_the_last_frame() -> None:
    """A camera that was allowed a frame a minute must not wait for that minute's end."""
    limit = RateLimit()
    assert limit.passes(0.0, 1 / 60)
    assert not limit.passes(1.0, 1 / 60)
    assert limit.passes(1.1, 10)
    assert not limit.passes(1.15, 10)
    assert limit.passes(1.21, 10)
    assert not limit.passes(1.9, 1)
    assert limit.passes(2.25, 1)


def frame(seconds: float) -> FrameInfo:
    return FrameInfo(round(seconds * 1e9), (48, 64), "camera")


def test_another_model_starts_another_memory(
    segmenter: StreamingSegmenter, weights: str, graph_free_camera: Camera
) -> None:
    camera = graph_free_camera
    camera.restart()
    first, reason = camera.stream_for(frame(0.0), segmenter, 1.0)
    assert reason is ResetReason.ACTIVATED
    same, reason = camera.stream_for(frame(0.1), segmenter, 1.0)
    assert same is first
    assert reason is None
    other = SegmenterSettings(weights=weights, device="cpu").build()
    second, reason = camera.stream_for(frame(0.2), other, 1.0)
    assert second is not first
    assert reason is ResetReason.MODEL


def test_the_gap_may_change_from_frame_to_frame(
    segmenter: StreamingSegmenter, graph_free_camera: Camera
) -> None:
    camera = graph_free_camera
    camera.stream_for(frame(0.0), segmenter, 1.0)
    assert camera.stream_for(frame(0.5), segmenter, 1.0)[1] is None
    assert camera.stream_for(frame(1.0), segmenter, 0.4)[1] is ResetReason.GAP


def test_gaps_count_until_the_memory_is_full(
    segmenter: StreamingSegmenter, graph_free_camera: Camera
) -> None:
    camera = graph_free_camera
    image = np.zeros((48, 64, 3), np.uint8)
    now = 0.0

    def step(gap: float, max_gap: float) -> None:
        nonlocal now
        now += gap
        stream, _ = camera.stream_for(frame(now), segmenter, max_gap)
        stream.step(image)

    step(0.0, 0.4)
    for _ in range(6):
        step(0.5, 0.4)
    assert camera.unfilled == UnfilledMemory(6, 0.5, 0.4)
    for _ in range(segmenter.memory_capacity):
        step(0.5, 0.6)
    step(0.5, 0.4)
    assert camera.unfilled == UnfilledMemory(1, 0.5, 0.4)


def test_what_is_told_of_published_frames(
    segmenter: StreamingSegmenter, graph_free_camera: Camera
) -> None:
    camera = graph_free_camera
    camera.restart()
    image = np.zeros((48, 64, 3), np.uint8)
    busy = 0.0
    for number in range(3):
        stream, _ = camera.stream_for(frame(number * 0.1), segmenter, 1.0)
        result = stream.step(image)
        camera.worked(result.times.total)
        busy += result.times.total
        at = float(number)
        times = FrameTimes(at, at + 0.1, at + 0.2, at + 0.3, at + 0.5)
        assert camera.published(result, times, 40.0).segmented == number + 1
    assert camera.memory_use == MemoryUse(path=2, frames=2)
    assert (camera.resets, camera.last_reset) == (1, ResetReason.ACTIVATED)
    assert camera.busy_ms == pytest.approx(busy)
    assert camera.gaps.longest == pytest.approx(1.0)
    assert camera.statistics.latency()["total"].p50 == pytest.approx(500)
    camera.restart()
    assert camera.memory_use is None
    assert (camera.resets, camera.busy_ms, camera.gaps.longest) == (0, 0.0, 0.0)
    assert camera.statistics.latency() == {}


@pytest.fixture
def graph_free_camera() -> Camera:
    return Camera("front", "/front/image", publishers=None, incidents=QosIncidents())
