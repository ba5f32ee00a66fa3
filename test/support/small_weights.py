"""A small network of random weights, with which the commands and the node are tested."""

from __future__ import annotations

from pathlib import Path

import torch

from support.shared_files import shared_file
from tdnet import ClassMap, create_model, save_weights

INPUT_SIZE = (65, 129)


def small_weights() -> Path:
    """Return the file of td4-psp18-nano with weights that give every class somewhere."""
    return shared_file("small.safetensors", _write)


def _write(path: Path) -> None:
    torch.manual_seed(7)
    model = create_model("td4-psp18-nano", num_classes=19, input_size=INPUT_SIZE)
    save_weights(model, path, class_map=ClassMap.load("cityscapes"))
