"""Frames that did not arrive: counted by the middleware, estimated from stamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet_ros.camera.transport_loss import (
    CONTEXT,
    SLOW_STAMPS,
    STAMPS,
    TransportLoss,
    missing_frames,
)

periods_ms = st.floats(2, 2000)
seeds = st.integers(0, 2**32 - 1)


def stamps(
    periods_ms: float | np.ndarray, count: int, jitter: float = 0.0, seed: int = 0
) -> np.ndarray:
    """(n,) nanoseconds of frames, each moved by at most that share of the period."""
    times = np.cumsum(np.broadcast_to(periods_ms, count)) * 1e6
    moved = np.random.default_rng(seed).uniform(-jitter, jitter, count) * np.min(periods_ms) * 1e6
    return (1.7e18 + times + moved).astype(np.int64)


@given(periods_ms, st.integers(0, 300), st.floats(0, 0.1), seeds)
def test_a_steady_camera_misses_none(period: float, count: int, jitter: float, seed: int) -> None:
    assert missing_frames(stamps(period, count, jitter, seed)) == 0


@given(periods_ms, st.floats(0, 0.08), st.floats(0.05, 0.4), seeds)
def test_lost_frames_are_counted(period: float, jitter: float, share: float, seed: int) -> None:
    """All but those near the ends, and few of those in long runs that show no period.

    Of 8000 draws at a share of 0.4 the worst counted 84 % of them, at 0.5 72 %.
    """
    sent = stamps(period, 200, jitter, seed)
    kept = np.random.default_rng(seed + 1).random(200) > share
    got = sent[kept]
    found = missing_frames(got)
    ends = np.flatnonzero(kept)[[CONTEXT, -CONTEXT - 1]]
    lost = int(np.sum(~kept[ends[0] : ends[1]]))
    if np.count_nonzero(np.diff(np.flatnonzero(kept[ends[0] : ends[1] + 1])) > 1) < 3:
        assert found == 0
    else:
        assert found == pytest.approx(lost, rel=0.25, abs=3)


@given(
    st.lists(st.sampled_from([20.0, 33.3, 40.0, 66.7, 100.0, 200.0]), min_size=1, max_size=6),
    seeds,
)
def test_a_camera_that_changes_its_rate_misses_none(rates: list[float], seed: int) -> None:
    """Each rate stays for a while."""
    periods = np.repeat(rates, 2 * CONTEXT)
    assert missing_frames(stamps(periods, len(periods), 0.05, seed)) == 0


@given(seeds)
def test_nothing_is_said_of_an_irregular_camera(seed: int) -> None:
    periods = np.random.default_rng(seed).exponential(50.0, 250) + 0.1
    assert missing_frames(stamps(periods, 250)) == 0


@pytest.mark.parametrize("pause", [0.5, 5.0, 600.0])
def test_single_pauses_are_none_of_it(pause: float) -> None:
    periods = np.full(120, 33.3)
    periods[[40, 80]] = pause * 1e3
    assert missing_frames(stamps(periods, 120)) == 0


def test_a_looping_bag_misses_none() -> None:
    once = stamps(33.3, 60, 0.05)
    assert missing_frames(np.concatenate([once, once, once])) == 0


def test_each_stretch_of_a_looping_bag_is_looked_at() -> None:
    once = np.delete(stamps(33.3, 60), [20, 30, 40])
    assert missing_frames(np.concatenate([once, once])) == 6


@given(st.lists(st.integers(-(2**62), 2**62), max_size=60))
def test_whatever_a_driver_writes_into_its_stamps(values: list[int]) -> None:
    assert missing_frames(np.array(values, np.int64)) >= 0


def filled(period: float, count: int) -> TransportLoss:
    loss = TransportLoss()
    for index in range(count):
        # Every fourth frame is missing.
        number = index + index // 3
        loss.received(number * period, round(number * period * 1e9))
    return loss


def test_the_estimate_is_of_the_latest_frames() -> None:
    loss = filled(0.1, 60)
    missing, latest = loss.estimate(now=8.0)
    assert latest == 60
    assert missing == pytest.approx(60 / 3, abs=6)
    assert loss.estimate(now=1000.0) == (0, 0)


def test_a_slow_camera_is_looked_at_for_longer() -> None:
    loss = filled(1.0, 300)
    missing, latest = loss.estimate(now=400.0)
    assert latest == SLOW_STAMPS
    assert missing == pytest.approx(SLOW_STAMPS / 3, abs=6)


def test_a_fast_camera_is_looked_at_for_a_while() -> None:
    assert filled(0.001, 5000).estimate(now=7.0)[1] == STAMPS
