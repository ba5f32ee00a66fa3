"""A small network, and the command `tdnet predict` with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.small_weights import small_weights


@pytest.fixture(scope="session")
def weights() -> Path:
    """A small network of random weights that knows its class map."""
    return small_weights()


@pytest.fixture
def predict(weights: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the command in this process, with the small network, into `tmp_path / "out"`.

    The runtime is PyTorch if the options name none: it opens a network sooner.
    """

    from tdnet_offline.command import main

    def run(source: Path, *options: str | Path) -> int:
        output = tmp_path / "out"
        network = ["--weights", weights, "--runtime", "torch"]
        words = ["predict", source, *network, "--output", output, *options]
        return main([str(word) for word in words])

    return run
