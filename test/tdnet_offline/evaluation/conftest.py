"""A small network that is fast enough to evaluate with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tdnet import SegmenterSettings, StreamingSegmenter


@pytest.fixture(scope="session")
def segmenter(weights: Path) -> StreamingSegmenter:
    """The small network of random weights, on the CPU."""
    return SegmenterSettings(weights=str(weights), device="cpu", runtime="torch").build()
