"""Which clips come when: from seed and number alone, whoever shares the work."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.training import SIZE

from tdnet_offline.datasets import ClipDataset, ClipMixture, open_dataset
from tdnet_offline.training.clip_loader import ClipBatch, ClipSampler, Position, clip_loader

ALONE = Position(rank=0, processes=1, clips=6, parts=1)


def samples(start: int, end: int, position: Position = ALONE, clips: int = 10) -> list[object]:
    return [item for batch in ClipSampler([clips], 3, start, end, position) for item in batch]


def test_every_clip_comes_once_before_any_comes_twice() -> None:
    indices = [item[0] for item in samples(0, 10)]  # type: ignore[index]
    for first in range(0, 60, 10):
        assert sorted(indices[first : first + 10]) == list(range(10))
    assert indices[:10] != indices[10:20]
    assert len(set(map(str, samples(0, 10)))) == 60


def test_the_seed_decides_the_order() -> None:
    one, two = (list(ClipSampler([10], seed, 0, 5, ALONE)) for seed in (1, 2))
    assert one == list(ClipSampler([10], 1, 0, 5, ALONE))
    assert one != two


def test_without_shares_the_parts_are_shuffled_as_one() -> None:
    indices = [index for batch in ClipSampler([4, 6], 3, 0, 10, ALONE) for index, _ in batch]
    for first in range(0, 60, 10):
        assert sorted(indices[first : first + 10]) == list(range(10))
    assert sorted(indices[:4]) != list(range(4))


@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    weights=st.lists(st.integers(1, 9), min_size=4, max_size=4),
)
def test_shares_hold_from_the_beginning_and_each_clip_of_a_part_comes_once_before_any_twice(
    counts: list[int], weights: list[int]
) -> None:
    shares = [weight / 10 for weight in weights[: len(counts)]]
    sampler = ClipSampler(counts, 3, 0, 20, ALONE, shares)
    indices = [index for batch in sampler for index, _ in batch]
    parts = np.searchsorted(np.cumsum(counts), indices, side="right")
    for part, share in enumerate(shares):
        so_far = np.cumsum(parts == part)
        wanted = share / sum(shares) * np.arange(1, len(indices) + 1)
        assert np.abs(so_far - wanted).max() <= len(counts)
        first = sum(counts[:part])
        own = [index - first for index in indices if first <= index < first + counts[part]]
        for start in range(0, len(own) - counts[part] + 1, counts[part]):
            assert sorted(own[start : start + counts[part]]) == list(range(counts[part]))


@given(
    processes=st.integers(1, 4),
    parts=st.integers(1, 3),
    clips=st.integers(1, 3),
    start=st.integers(0, 5),
    shares=st.sampled_from([None, (0.3, 0.7)]),
)
def test_shares_together_are_what_one_process_takes(
    processes: int, parts: int, clips: int, start: int, shares: tuple[float, ...] | None
) -> None:
    whole = Position(0, 1, processes * parts * clips, 1)
    samplers = [
        ClipSampler([3, 4], 3, start, start + 3, Position(rank, processes, clips, parts), shares)
        for rank in range(processes)
    ]
    assert {len(sampler) for sampler in samplers} == {3 * parts}
    joined = [item for shares in zip(*samplers, strict=True) for share in shares for item in share]
    alone = ClipSampler([3, 4], 3, start, start + 3, whole, shares)
    assert joined == [item for batch in alone for item in batch]


def test_a_later_start_gives_what_would_have_come() -> None:
    assert samples(0, 9)[4 * 6 :] == samples(4, 9)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_brings_what_the_sampler_asks_for(little: Path, workers: int) -> None:
    clips = ClipMixture([ClipDataset(open_dataset(f"folder:{little}"), 3, (1,))])
    sampler = ClipSampler(clips.counts, 3, 0, 2, Position(0, 1, 2, 1))
    batches = list(clip_loader(clips, sampler, workers=workers, pin_memory=False))
    for batch, items in zip(batches, sampler, strict=True):
        assert isinstance(batch, ClipBatch)
        assert batch.frames.shape == (2, 3, *SIZE, 3)
        assert batch.draws == [draw for _, draw in items]
        for number, item in enumerate(items):
            assert torch.equal(batch.frames[number], clips[item].frames)
            assert torch.equal(batch.labels[number], clips[item].labels)


def test_workers_start_beside_the_threads_of_opencv(little: Path) -> None:
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((2048, 2048, 3), np.uint8), (9, 9), 3)
    clips = ClipMixture([ClipDataset(open_dataset(f"folder:{little}"), 3, (1,))])
    loader = clip_loader(clips, [[(0, 0)], [(1, 0)]], workers=2, pin_memory=False)
    for _ in range(2):
        assert [type(batch) for batch in loader] == [ClipBatch, ClipBatch]
    assert cv2.getNumThreads() == 2
