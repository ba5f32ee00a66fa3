"""The record of a frame: counts, times, stamp and age."""

from __future__ import annotations

import math
import sys

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.frame_traces import published_frame, segmentation_result

from tdnet.continuity import stamp_ns
from tdnet_ros.camera.frame_trace import (
    FrameCounter,
    FrameCounts,
    FrameTrace,
    RequestedOutputs,
    age_ms,
)

NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("seconds", "nanoseconds", "expected"),
    [(0, 0, 0), (12, 345, 12_000_000_345), (-3, 5, -2_999_999_995)],
)
def test_a_stamp_in_nanoseconds(seconds: int, nanoseconds: int, expected: int) -> None:
    assert stamp_ns(Header(stamp=Time(sec=seconds, nanosec=nanoseconds))) == expected


def test_the_age() -> None:
    assert age_ms(NOW, NOW - 250_000_000) == pytest.approx(250)
    assert age_ms(NOW, NOW + 50_000_000) == pytest.approx(-50)
    assert math.isnan(age_ms(0, 5))
    assert math.isnan(age_ms(NOW, 0))


def test_counts_add_up() -> None:
    counter = FrameCounter()
    counter.add(received=2, dropped=1, overtaken=1, busy_ms=1.5)
    sums = FrameCounts(received=2, segmented=1, dropped=1, overtaken=1, lost=3, busy_ms=1.5)
    counter.add(lost=3)
    assert counter.add(segmented=1) == sums
    assert counter.counts == sums


def test_times_count_from_the_arrival() -> None:
    frame = published_frame(
        segmentation_result(),
        received=1.0,
        started=1.01,
        converted=1.03,
        segmented=1.1,
        published=1.2,
    )
    assert math.isnan(frame.labels_ms)  # without a subscriber of the labels
    frame.labels_published = 1.15
    times = (frame.wait_ms, frame.convert_ms, frame.publish_ms, frame.labels_ms, frame.total_ms)
    assert times == pytest.approx((10, 20, 100, 150, 200))


def test_the_message_is_released_with_the_result() -> None:
    message = Image(header=Header(frame_id="front"))
    frame = FrameTrace("front", message, 1.0, RequestedOutputs(), FrameCounter())
    references = sys.getrefcount(message)
    frame.segment_to(segmentation_result())
    assert sys.getrefcount(message) == references - 1
    assert frame.header.frame_id == "front"
