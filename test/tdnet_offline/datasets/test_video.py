"""Ranges of a recording around its labels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tdnet_offline.datasets.video import LEAD_IN, LONGEST_GAP, labelled_ranges


def test_sparse_labels_share_a_range_until_the_gap_is_too_long() -> None:
    found = list(labelled_ranges([100, 130, 160, 300, 301]))
    assert [(s.first, s.labelled) for s in found] == [(70, (100, 130, 160)), (270, (300, 301))]
    assert list(found[1].numbers) == list(range(270, 302))


@given(st.sets(st.integers(0, 2000), max_size=40).map(sorted))
def test_every_label_is_in_one_range_and_no_frame_in_two(labelled: list[int]) -> None:
    found = list(labelled_ranges(labelled))
    assert [number for part in found for number in part.labelled] == labelled
    numbers = [number for part in found for number in part.numbers]
    assert len(set(numbers)) == len(numbers)
    assert not numbers or min(numbers) >= 0
    for part in found:
        gaps = [b - a for a, b in zip(part.labelled, part.labelled[1:], strict=False)]
        assert all(gap <= LONGEST_GAP for gap in gaps)
        assert part.labelled[0] - part.first <= LEAD_IN
