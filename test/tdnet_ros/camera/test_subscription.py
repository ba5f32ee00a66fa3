"""The rate limit of a camera's messages."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tdnet_ros.camera.subscription import RateLimit

pytestmark = pytest.mark.distribution


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
