"""The age of a frame, and when it says nothing."""

from __future__ import annotations

import math

import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from tdnet_ros.camera.clock_age import age_ms, explain_age, stamp_ns
from tdnet_ros.camera.stage_statistics import Percentiles

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


@pytest.mark.parametrize("ms", [-99.0, 0.0, 80.0, 30_000.0])
def test_an_age_that_can_be(ms: float) -> None:
    assert explain_age(Percentiles(ms, ms, ms), NOW) == ""
    assert explain_age(None, NOW) == ""


@pytest.mark.parametrize(
    ("ms", "part"),
    [
        pytest.param(1.7e12, "1.7e+09 s behind it; set use_sim_time", id="an old bag"),
        pytest.param(120_000.0, "120 s behind it", id="a recent bag"),
        pytest.param(-5_000.0, "5 s ahead of it", id="another machine's clock"),
    ],
)
def test_stamps_of_another_clock(ms: float, part: str) -> None:
    text = explain_age(Percentiles(ms, ms, ms), NOW)
    assert "stamps are not of this clock" in text
    assert part in text


def test_a_simulated_clock_that_has_not_started() -> None:
    assert "nobody publishes /clock" in explain_age(None, 0)
