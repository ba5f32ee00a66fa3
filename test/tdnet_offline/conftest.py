"""A small network, and the command `tdnet predict` with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tdnet import ClassMap, create_model, save_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of random weights that knows its class map."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    model = create_model("td4-psp18-nano", input_size=(65, 129))
    save_weights(model, path, class_map=ClassMap.load("cityscapes"))
    return path


@pytest.fixture
def predict(weights: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the command in this process, with the small network, into `tmp_path / "out"`."""

    from tdnet_offline.command import main

    def run(source: Path, *options: str | Path) -> int:
        output = tmp_path / "out"
        words = ["predict", source, "--weights", weights, "--output", output, *options]
        return main([str(word) for word in words])

    return run
