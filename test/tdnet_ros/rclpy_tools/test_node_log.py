"""Each cause once in a period, and never a flood."""

import pytest

from tdnet_ros.rclpy_tools.node_log import MAX_LENGTH, MAX_TEXTS, LogThrottle, one_line

pytestmark = pytest.mark.distribution


def test_a_cause_passes_once_whatever_numbers_it_names() -> None:
    throttle = LogThrottle()
    assert throttle.allows("12 bytes of data")
    assert not throttle.allows("15 bytes of data")
    assert throttle.allows("unknown encoding")


def test_it_passes_again_after_the_period() -> None:
    throttle = LogThrottle(period=0.0)
    assert throttle.allows("again")
    assert throttle.allows("again")


def test_a_hostile_camera_cannot_flood_the_log() -> None:
    throttle = LogThrottle()
    passed = sum(throttle.allows("encoding " + chr(0x4E00 + i)) for i in range(1000))
    assert passed == MAX_TEXTS


def test_a_line_is_one_line_of_bounded_length() -> None:
    assert one_line("two\n  lines") == "two lines"
    assert len(one_line("x" * 10**6)) == MAX_LENGTH
    assert one_line("\x1b[2J\x07\u202eodd") == r"\x1b[2J\x07\u202eodd"
