"""Percentiles, age and gaps of the published frames."""

from __future__ import annotations

import math
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.frame_traces import published_frame, segmentation_result

from tdnet._util.stage_clock import StageTimes
from tdnet_ros.camera.frame_statistics import FrameStatistics
from tdnet_ros.camera.frame_trace import STAGES


def add(statistics: FrameStatistics, number: int, age_ms: float = 0.0) -> None:
    """A frame whose stages take number + 1, number + 2 ... ms, in the order of `STAGES`."""
    times = StageTimes(*(float(number + extra) for extra in (3, 4, 5, 6, 7)))
    started = number + (number + 1) / 1e3
    converted = started + (number + 2) / 1e3
    segmented = converted + (number + 10) / 1e3
    statistics.add(
        published_frame(
            segmentation_result(times, path=number % 4, memory_frames=min(number, 3)),
            received=float(number),
            started=started,
            converted=converted,
            segmented=segmented,
            published=segmented + (number + 8) / 1e3,
            age_ms=age_ms,
        )
    )


def test_nothing_before_the_first_frame() -> None:
    statistics = FrameStatistics()
    assert statistics.latency() == {}
    assert statistics.age() is None
    assert statistics.memory_use is None
    assert statistics.longest_gap == 0.0


def test_every_stage_has_its_own() -> None:
    statistics = FrameStatistics()
    for number in range(50):
        add(statistics, number)
    latency = statistics.latency()
    assert tuple(latency) == STAGES
    for extra, stage in enumerate(STAGES[:-1], start=1):
        expected = np.percentile(np.arange(50) + extra, (50, 95, 99))
        found = latency[stage]
        assert (found.p50, found.p95, found.p99) == pytest.approx(tuple(expected))
    totals = 4 * np.arange(50) + 21
    assert latency["total"].p95 == pytest.approx(np.percentile(totals, 95))


def test_the_oldest_frames_fall_out() -> None:
    statistics = FrameStatistics(frames=10)
    for number in range(25):
        add(statistics, number)
    assert statistics.latency()["network"].p50 == pytest.approx(np.median(range(15, 25)) + 4)
    assert statistics.memory_use == (0, 3)


def test_only_known_ages_of_late_frames_count() -> None:
    statistics = FrameStatistics()
    for number, age in enumerate((5.0, math.nan, 100.0, 300.0, math.nan)):
        add(statistics, number, age)
    everything, late = statistics.age(), statistics.age(since=2.0)
    assert everything is not None
    assert late is not None
    assert everything.p50 == pytest.approx(100)
    assert late.p50 == pytest.approx(200)
    assert statistics.age(since=4.0) is None


def test_a_reader_never_sees_half_a_frame() -> None:
    statistics = FrameStatistics(frames=4)
    add(statistics, 0)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 1) % 1000
            add(statistics, number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            latency = statistics.latency()
            assert latency["download"].p50 - latency["preprocess"].p50 == pytest.approx(4)
    finally:
        stop.set()
        writer.join()


def published(*times: float) -> FrameStatistics:
    statistics = FrameStatistics(frames=4)
    for time in times:
        statistics.add(published_frame(segmentation_result(), published=time))
    return statistics


def test_what_is_over_is_forgotten_but_not_the_gap_that_runs() -> None:
    statistics = published(0.0, 9.0)
    statistics.forget_gaps()
    assert statistics.longest_gap == 0.0
    for time in (10.0, 10.2):
        statistics.add(published_frame(segmentation_result(), published=time))
    assert statistics.longest_gap == pytest.approx(1.0)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30).map(sorted))
def test_it_is_the_largest_distance(times: list[float]) -> None:
    assert published(*times).longest_gap == max(b - a for a, b in pairwise(times))
