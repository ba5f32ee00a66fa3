"""What holds for all tests."""

from __future__ import annotations

import hypothesis
import pytest
import torch

from rig.shared_memory import remove_orphans

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("tdnet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tdnet")


def pytest_sessionstart() -> None:
    """Give back the memory that killed processes of earlier runs have left."""
    remove_orphans()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs a GPU where there is none; `pytest -m cuda` runs it elsewhere."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA GPU: run `make test ARGS='-m cuda'` on one")
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(skip)
