"""VC8 and VC16 against a slow reference written from the definition."""

from __future__ import annotations

import numpy as np
import pytest

from tdnet_offline.evaluation.scorer import CLIP_LENGTHS, ClipConsistency

IGNORED = 255


def clip_score(truth: np.ndarray, labels: np.ndarray) -> float:
    """Share of the pixels of one class in all frames (N, H, W) that also keep their label."""
    same = [
        len(set(column)) == 1 and IGNORED not in column
        for column in truth.reshape(len(truth), -1).T
    ]
    kept = [len(set(column)) == 1 for column in labels.reshape(len(labels), -1).T]
    return float(np.mean(np.array(kept)[same]))


def test_every_clip_has_the_score_of_the_definition() -> None:
    draw = np.random.default_rng(3)
    truth = np.cumsum(draw.random((30, 12, 16)) < 0.02, axis=0).astype(np.uint8)
    labels = np.cumsum(draw.random((30, 12, 16)) < 0.04, axis=0).astype(np.uint8)
    truth[draw.random(truth.shape) < 0.01] = IGNORED
    clips = ClipConsistency()
    found = [clips.add(index, *pair) for index, pair in enumerate(zip(labels, truth, strict=True))]
    for length in CLIP_LENGTHS:
        assert [length in scores for scores in found] == [i >= length - 1 for i in range(30)]
        for end in range(length, 31):
            clip = slice(end - length, end)
            expected = clip_score(truth[clip], labels[clip])
            assert found[end - 1][length] == pytest.approx(expected)
    assert 0.2 < found[-1][8] < 0.95


def test_a_missing_frame_ends_the_clip() -> None:
    clips, still = ClipConsistency(), np.zeros((2, 2), np.uint8)
    indices = [*range(7), *range(8, 16)]  # 7 is missing
    found = [clips.add(index, still, still) for index in indices]
    assert found[:-1] == [{}] * 14
    assert found[-1] == {8: 1.0}
