"""td4-psp18-nano with weights that segment streets: a network of four different paths.

It starts from a trained psp18-nano, and its attention is random.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

from support.shared_files import shared_file
from tdnet import ClassMap, create_model, save_weights
from tdnet.network import TDNet
from tdnet_offline.training.initialisation import load_single_frame, start_paths
from tools.study.experiments import NANO, START_WEIGHTS

VARIANT = "td4-psp18-nano"
PSP18_NANO = START_WEIGHTS[NANO]


@cache
def nano_weights() -> str:
    """Return the path of the weights file."""
    return str(shared_file("nano.safetensors", _write))


def _write(path: Path) -> None:
    single = load_single_frame(PSP18_NANO)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = create_model(VARIANT, single.num_classes, single.input_size)
    assert isinstance(network, TDNet)
    start_paths(network, single, pass_through=True)
    save_weights(network, path, class_map=ClassMap.load("cityscapes"))
