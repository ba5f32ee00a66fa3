"""A small network of random weights, with which the commands and the node are tested.

All lanes of a test run use the same file, so that it is exported once for all of them.
"""

from __future__ import annotations

from pathlib import Path

import torch

from tdnet import ClassMap, create_model, save_weights

INPUT_SIZE = (65, 129)


def write_small_weights(folder: Path) -> Path:
    """Write td4-psp18-nano with weights that give every class somewhere; return the file."""
    torch.manual_seed(7)
    model = create_model("td4-psp18-nano", num_classes=19, input_size=INPUT_SIZE)
    path = folder / "small.safetensors"
    save_weights(model, path, class_map=ClassMap.load("cityscapes"))
    return path
