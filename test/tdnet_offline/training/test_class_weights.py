"""Weights of a balanced cross-entropy, over one data set or several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.labelled import write_labels
from support.media import write_image
from support.training import CLASS_MAP

from tdnet_offline.datasets import Dataset, open_dataset
from tdnet_offline.training.losses import balanced_class_weights


def write(root: Path, share: float, frames: int) -> Dataset:
    """Frames of road and, for a share of the rows, tree; the last rows are ignored."""
    labels = np.zeros((110, 8), np.uint8)
    labels[: round(100 * share)], labels[100:] = 1, 255
    for frame in range(frames):
        write_image(root / f"frames/v/{frame}.png", np.zeros((110, 8, 3), np.uint8))
        write_labels(root / f"labels/v/{frame}.png", labels)
    (root / "class_map.yaml").write_text(CLASS_MAP, encoding="utf-8")
    return open_dataset(f"folder:{root}")


def tree_share(weights: np.ndarray) -> float:
    """The share of trees among the pixels that the weights of road and tree belong to."""
    road, tree = weights[:2].astype(float) ** -2
    return float(tree / (road + tree))


def test_a_rare_class_weighs_as_one_over_the_root_of_its_share(tmp_path: Path) -> None:
    weights = balanced_class_weights([write(tmp_path, 0.2, 3)], None, 3).numpy()
    assert weights[1] / weights[0] == pytest.approx(2, rel=1e-3)  # (0.8 / 0.2) ** 0.5
    assert weights[2] > weights[1]  # no sky at all
    assert weights.max() <= 8


def test_data_sets_count_by_their_shares_or_their_frames(tmp_path: Path) -> None:
    parts = [write(tmp_path / "a", 0.1, 1), write(tmp_path / "b", 0.5, 4)]
    by_frames = balanced_class_weights(parts, None, 3).numpy()
    assert tree_share(by_frames) == pytest.approx((0.1 + 4 * 0.5) / 5, abs=0.01)
    by_shares = balanced_class_weights(parts, (0.75, 0.25), 3).numpy()
    assert tree_share(by_shares) == pytest.approx(0.75 * 0.1 + 0.25 * 0.5, abs=0.01)
