"""Ranges of a recording around its labels."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tdnet_offline.datasets.video import LEAD_IN, LONGEST_GAP, labelled_ranges


def test_sparse_labels_share_a_range_until_the_gap_is_too_long() -> None:
    assert list(labelled_ranges([100, 130, 160, 300, 301])) == [range(70, 161), range(270, 302)]


@given(st.sets(st.integers(0, 2000), max_size=40).map(sorted))
def test_every_label_is_in_one_range_and_no_frame_in_two(labelled: list[int]) -> None:
    found = [list(numbers) for numbers in labelled_ranges(labelled)]
    inside = [[number for number in numbers if number in labelled] for numbers in found]
    assert [number for group in inside for number in group] == labelled
    together = [number for numbers in found for number in numbers]
    assert len(set(together)) == len(together)
    assert not together or min(together) >= 0
    for numbers, group in zip(found, inside, strict=True):
        assert all(b - a <= LONGEST_GAP for a, b in pairwise(group))
        assert group[0] - numbers[0] <= LEAD_IN
        assert group[-1] == numbers[-1]
