"""Operators, allocations, transfers and waits are counted as one counts them by hand."""

from __future__ import annotations

import pytest
import torch

from tdnet_offline.benchmark.counting import count, largest
from tdnet_offline.benchmark.result import Counts

TEN = torch.zeros(10)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda: TEN + 1, Counts(1, 40, 0, 0)),
        (lambda: TEN.view(2, 5).T, Counts(0, 0, 0, 0)),
        (lambda: TEN.add_(1), Counts(1, 0, 0, 0)),
        (lambda: torch.empty(100), Counts(0, 400, 0, 0)),
        (lambda: TEN[3].item(), Counts(1, 0, 0, 1)),
        (lambda: TEN.to(torch.float16), Counts(1, 20, 0, 0)),
        (lambda: TEN.to_mkldnn().to_dense(), Counts(2, 80, 0, 0)),
        (lambda: (TEN + 1).mul_(2).sum(), Counts(3, 44, 0, 0)),
    ],
    ids=["new", "view", "in place", "empty", "value", "converted", "opaque", "several"],
)
def test_counts(action: object, expected: Counts) -> None:
    assert callable(action)
    assert count(action) == expected
    with torch.inference_mode():
        assert count(action) == expected


@pytest.mark.cuda
def test_ways_between_host_and_device_are_counted() -> None:
    there = TEN.cuda()
    assert count(lambda: TEN.cuda()) == Counts(1, 40, 1, 0)
    assert count(lambda: there.cpu()) == Counts(1, 40, 1, 1)
    assert count(lambda: there.to("cpu", non_blocking=True)) == Counts(1, 40, 1, 0)


def test_of_several_frames_the_largest_of_each() -> None:
    assert largest([Counts(1, 8, 3, 0), Counts(2, 4, 3, 1)]) == Counts(2, 8, 3, 1)
