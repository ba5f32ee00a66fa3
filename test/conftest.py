"""What holds for all tests."""

from __future__ import annotations

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs a GPU where there is none; `pytest -m cuda` runs it elsewhere."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA GPU: run `make test ARGS='-m cuda'` on one")
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(skip)
