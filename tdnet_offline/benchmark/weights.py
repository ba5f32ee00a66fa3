"""Weights of a benchmark: the given file, packaged or random ones, and graphs exported of them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from tdnet._util.resources import packaged_weights
from tdnet.checkpoints.weights import save_weights
from tdnet.class_map.model import ClassMap
from tdnet.frames.preprocess import Preprocessor
from tdnet.network import SegmentationNetwork, TDNet, create_model
from tdnet.settings import DEFAULT_CLASS_MAP, SegmenterSettings
from tdnet.variants import Variant, get_variant
from tdnet_offline.benchmark.benchmark_result import PACKAGED, RANDOM
from tdnet_offline.benchmark.camera_frames import Frames, default_camera_size, street_frames
from tdnet_offline.benchmark.cases import INT8, INT8_TENSORRT, BenchmarkCase
from tdnet_offline.export.network_export import export_network

_SEED = 0
_SIZE = (129, 257)
_CALIBRATION = 7, 16
"""Seed and frames of a street that no accuracy is measured on."""


def find_weights(
    variant: str, given: Path | None, size: tuple[int, int], frames: Frames, to: Path
) -> tuple[Path, str]:
    """Return a weights file, and its name in the results.

    Args:
        variant: name of the network.
        given: the user's file; None: packaged weights, or random ones.
        size: height and width of the network input, for random weights.
        frames: (F, H, W, 3) uint8 RGB; the norms of random weights are fitted to them.
        to: folder for random weights; an existing file is used again.

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


@torch.no_grad()
def random_network(variant: Variant, size: tuple[int, int], frames: Frames) -> SegmentationNetwork:
    """Create a network of random weights whose norms fit frames (F, H, W, 3) uint8 RGB.

    Otherwise, deep networks with random weights leave the range of float16; trained ones do not.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(_SEED)
        # The statistics of the norms hardly depend on the size; a small network takes less time.
        small = create_model(variant, input_size=variant.fitting_size(_SIZE))
    for module in small.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # mean over all batches, the first included
    preprocess = Preprocessor(small.input_size, torch.device("cpu"), torch.float32)
    chosen = [frames[index % len(frames)] for index in range(variant.clip_frames + 1)]
    images = torch.cat([preprocess(torch.from_numpy(image)) for image in chosen])
    clips = torch.stack([images[:-1], images[1:]])  # one value is not enough to fit a norm
    small.train()
    for path in range(variant.paths):
        if isinstance(small, TDNet):
            small.forward_clip(clips, path)
        else:
            small(clips[:, path])
    model = create_model(variant, input_size=size)
    own, fitted = model.state_dict(), small.state_dict()
    # Layer norms differ in size, and have no effect in both.
    fitting = {name: value for name, value in fitted.items() if value.shape == own[name].shape}
    model.load_state_dict(own | fitting)
    return model


def quantised_folder(case: BenchmarkCase, weights: Path, to: Path) -> Path:
    """Return the folder of a case's graphs in 8-bit integers; export them on first use.

    Args:
        case: its runtime is not PyTorch.
        weights: weights file.
        to: parent of the folder.

    Raises:
        TdnetError: the network cannot be exported, or a package is missing.
        OSError: the folder cannot be written.
    """
    wanted = INT8_TENSORRT if case.runtime.endswith("tensorrt") else INT8
    height, width = case.input_size
    folder = to / f"{case.variant}-{height}x{width}-{wanted}"
    if not folder.exists():
        settings = SegmenterSettings(case.variant, str(weights), input_size=case.input_size)
        camera = default_camera_size(case.input_size)
        export_network(settings, folder, wanted, street_frames(camera, *_CALIBRATION))
    return folder
