"""Weights and a bag for the tests of the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tdnet import ClassMap, create_model, save_weights
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import write_street_bag

FRAMES, RATE = 22, 10.0


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    model = create_model("td4-psp18-nano", num_classes=19, input_size=(65, 129))
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    save_weights(model, path, class_map=ClassMap.load("cityscapes"))
    return path


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag with images, camera info and labels."""
    path = tmp_path_factory.mktemp("street") / "bag"
    write_street_bag(path, StreetDrive(1_000_007, (90, 160), RATE), FRAMES)
    return path
