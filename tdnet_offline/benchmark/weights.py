"""A weights file for every variant: the one given, the packaged one, or random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tdnet.checkpoints.weights import packaged_weights, save_weights
from tdnet.class_map.model import ClassMap
from tdnet.frames.preprocess import Preprocessor
from tdnet.network import SegmentationNetwork, TDNet, create_model
from tdnet.settings import DEFAULT_CLASS_MAP
from tdnet.variants import Variant, get_variant

PACKAGED, RANDOM = "packaged", "random"
_SEED = 0
_SIZE = (129, 257)


def find_weights(
    variant: str,
    given: Path | None,
    size: tuple[int, int],
    frames: npt.NDArray[np.uint8],
    to: Path,
) -> tuple[Path, str]:
    """Give a weights file and how to call it.

    Args:
        variant: name of the network.
        given: the user's file, if there is one.
        size: height and width of the network input, for random weights.
        frames: (F, H, W, 3) uint8 RGB that random weights are fitted to.
        to: folder for random weights; a file that is there already is taken.

    Raises:
        WeightsError: the file cannot be written.
    """
    if given is not None:
        return given, given.name
    packaged = packaged_weights(variant)
    if packaged is not None:
        return packaged, PACKAGED
    path = to / f"{variant}-{size[0]}x{size[1]}.safetensors"
    if not path.exists():
        model = random_network(get_variant(variant), size, frames)
        save_weights(model, path, class_map=ClassMap.load(DEFAULT_CLASS_MAP))
    return path, RANDOM


def random_network(
    variant: Variant, size: tuple[int, int], frames: npt.NDArray[np.uint8]
) -> SegmentationNetwork:
    """Create a network of random weights whose norms fit frames.

    Without that, deep networks of random weights leave the range of float16, which no trained
    network does.

    Args:
        variant: its description.
        size: height and width of its input.
        frames: (F, H, W, 3) uint8 RGB.
    """
    state = torch.random.get_rng_state()
    torch.manual_seed(_SEED)
    # What the norms see hardly depends on the size; a small network takes a fraction of the time.
    small = create_model(variant, input_size=_SIZE)
    _fit_norms(small, frames)
    torch.random.set_rng_state(state)

    model = create_model(variant, input_size=size)
    own, fitted = model.state_dict(), small.state_dict()
    # The layer norms are of another size there, and of no effect in both.
    model.load_state_dict(
        {
            name: fitted[name] if fitted[name].shape == own[name].shape else own[name]
            for name in own
        }
    )
    return model


@torch.no_grad()
def _fit_norms(model: SegmentationNetwork, frames: npt.NDArray[np.uint8]) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean over all batches, the first included
    clips = _clips(frames, model.variant.clip_frames, model.input_size)
    model.train()
    if isinstance(model, TDNet):
        for path in range(model.variant.paths):
            model.forward_clip(clips, path)
    else:
        model(clips[:, 0])
    model.eval()


def _clips(frames: npt.NDArray[np.uint8], length: int, size: tuple[int, int]) -> Tensor:
    """Two clips (2, length, 3, H, W): a norm of a single value cannot be fitted."""
    preprocess = Preprocessor(size, torch.device("cpu"), torch.float32)
    chosen = [frames[index % len(frames)] for index in range(length + 1)]
    images = torch.cat([preprocess(torch.from_numpy(image)) for image in chosen])
    return torch.stack([images[:-1], images[1:]])
