"""Operators, allocations, transfers and synchronisations agree with counts by hand."""

from __future__ import annotations

import pytest
import torch

from tdnet.errors import DeviceError
from tdnet_offline.benchmark import instruments
from tdnet_offline.benchmark.benchmark_result import OperatorCounts
from tdnet_offline.benchmark.instruments import count, largest, peak_multiply_adds

TEN = torch.zeros(10)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda: TEN + 1, OperatorCounts(1, 40, 0, 0)),
        (lambda: TEN.view(2, 5).T, OperatorCounts(0, 0, 0, 0)),
        (lambda: TEN.add_(1), OperatorCounts(1, 0, 0, 0)),
        (lambda: torch.empty(100), OperatorCounts(0, 400, 0, 0)),
        (lambda: TEN[3].item(), OperatorCounts(1, 0, 0, 1)),
        (lambda: TEN.to(torch.float16), OperatorCounts(1, 20, 0, 0)),
        (lambda: TEN.to_mkldnn().to_dense(), OperatorCounts(2, 80, 0, 0)),
        (lambda: (TEN + 1).mul_(2).sum(), OperatorCounts(3, 44, 0, 0)),
    ],
    ids=["new", "view", "in place", "empty", "value", "converted", "opaque", "several"],
)
def test_counts(action: object, expected: OperatorCounts) -> None:
    assert callable(action)
    assert count(action) == expected
    with torch.inference_mode():
        assert count(action) == expected


@pytest.mark.cuda
def test_ways_between_host_and_device_are_counted() -> None:
    there = TEN.cuda()
    assert count(lambda: TEN.cuda()) == OperatorCounts(1, 40, 1, 0)
    assert count(lambda: there.cpu()) == OperatorCounts(1, 40, 1, 1)
    assert count(lambda: there.to("cpu", non_blocking=True)) == OperatorCounts(1, 40, 1, 0)


def test_of_several_frames_the_largest_of_each() -> None:
    assert largest([OperatorCounts(1, 8, 3, 0), OperatorCounts(2, 4, 3, 1)]) == OperatorCounts(
        2, 8, 3, 1
    )


def test_the_peak_leaves_the_settings_of_convolutions() -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    assert peak_multiply_adds(torch.device("cpu"), "float32") > 1e6
    assert torch.backends.cuda.matmul.allow_tf32 == before


def test_a_peak_that_does_not_fit_into_memory_names_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(instruments._MATRIX_SIDES, "cpu", (10**8,))
    with pytest.raises(DeviceError, match="device cpu failed"):
        peak_multiply_adds(torch.device("cpu"), "float32")


@pytest.mark.cuda
@pytest.mark.skipif(
    torch.cuda.device_count() < 2, reason="needs two GPUs: run `make test ARGS='-m cuda'` there"
)
def test_the_peak_of_another_gpu_waits_for_that_gpu() -> None:
    first, other = (peak_multiply_adds(torch.device("cuda", i), "float32") for i in (0, 1))
    assert other < 20 * first
