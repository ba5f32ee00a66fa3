"""The age of a frame."""

from __future__ import annotations

import math

import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from tdnet_ros.camera.clock_age import age_ms, stamp_ns

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
