"""Percentiles over the newest frames."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from tdnet._util.stage_clock import StageTimes
from tdnet_ros.camera.stage_statistics import STAGES, StageStatistics
from tdnet_ros.camera.status import FrameTimes


def add(statistics: StageStatistics, number: int, age_ms: float = 0.0) -> None:
    """A frame whose stages take number + 1, number + 2 ... ms, in the order of `STAGES`."""
    at, marks = float(number), [float(number)]
    for extra in (1, 2, 10, 8):  # wait, convert, the network's, publish
        at += (number + extra) / 1e3
        marks.append(at)
    statistics.add(
        FrameTimes(*marks),
        StageTimes(*(float(number + extra) for extra in (3, 4, 5, 6, 7))),
        age_ms,
    )


def test_nothing_before_the_first_frame() -> None:
    assert StageStatistics().latency() == {}
    assert StageStatistics().age() is None


def test_every_stage_has_its_own() -> None:
    statistics = StageStatistics()
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
    statistics = StageStatistics(frames=10)
    for number in range(25):
        add(statistics, number)
    assert statistics.latency()["network"].p50 == pytest.approx(np.median(range(15, 25)) + 4)


def test_only_known_ages_of_late_frames_count() -> None:
    statistics = StageStatistics()
    for number, age in enumerate((5.0, math.nan, 100.0, 300.0, math.nan)):
        add(statistics, number, age)
    everything, late = statistics.age(), statistics.age(since=2.0)
    assert everything is not None
    assert late is not None
    assert everything.p50 == pytest.approx(100)
    assert late.p50 == pytest.approx(200)
    assert statistics.age(since=4.0) is None


def test_a_reader_never_sees_half_a_frame() -> None:
    statistics = StageStatistics(frames=4)
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
