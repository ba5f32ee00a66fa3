"""The newest labels that are there at a moment."""

from __future__ import annotations

import numpy as np

from tdnet_offline.evaluation.newest_labels import NewestLabels


def labels(value: int) -> np.ndarray:
    return np.full((1, 1), value, np.uint8)


def test_labels_count_from_the_moment_when_they_are_there() -> None:
    newest = NewestLabels()
    assert newest.at(0.0) is None
    newest.add(0.3, labels(1))
    assert newest.at(0.2) is None
    assert newest.at(0.3) == 1
    newest.add(0.6, labels(2))
    newest.add(0.7, labels(3))
    assert newest.at(0.5) == 1
    assert newest.at(0.65) == 2
    assert newest.at(9.0) == 3
    assert newest.at(9.5) == 3
