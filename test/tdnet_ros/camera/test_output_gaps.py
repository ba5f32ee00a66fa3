"""The longest pause between two published frames."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet_ros.camera.output_gaps import OutputGaps


def test_without_a_frame_there_is_no_interval() -> None:
    gaps = OutputGaps()
    gaps.restart()
    assert gaps.longest == 0.0


def test_a_restart_forgets_what_is_over_but_not_what_runs() -> None:
    gaps = OutputGaps()
    gaps.published(0.0)
    gaps.published(9.0)
    gaps.restart()
    assert gaps.longest == 0.0
    gaps.published(10.0)
    gaps.published(10.2)
    assert gaps.longest == pytest.approx(1.0)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30).map(sorted))
def test_it_is_the_largest_distance(times: list[float]) -> None:
    gaps = OutputGaps()
    for time in times:
        gaps.published(time)
    assert gaps.longest == max(b - a for a, b in pairwise(times))
