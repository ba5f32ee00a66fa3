"""Augmentation on the device: one draw for all frames of a clip and, in space, its labels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor

from tdnet.preprocess import MEAN, STD
from tdnet_offline.datasets import IGNORED
from tdnet_offline.training.configuration import AugmentationConfig

_GREY = (0.299, 0.587, 0.114)
_STREAM = 3
"""Sets these random numbers apart from others of the same draw."""


class Augmentation:
    """Varies colours, normalises, then mirrors, turns, scales and crops in one resampling.

    Beside the picture, frames have the mean colour and labels are ignored.

    Args:
        config: ranges of what is drawn.
        size: (H, W) of the result.
    """

    def __init__(self, config: AugmentationConfig, size: tuple[int, int]) -> None:
        self._config = config
        self._size = size

    def __call__(self, frames: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Vary a batch.

        Args:
            frames: (B, N, H', W', 3) uint8 RGB.
            labels: (B, H', W') uint8, 255 = ignored.
            draws: (B,) int64 on the CPU; the same draw gives the same variation.

        Returns:
            Frames (B, N, 3, H, W) float32, normalised, channels last in memory, and labels
            (B, H, W) int64.
        """
        given = (frames.shape[2], frames.shape[3])
        drawn = [_draw(self._config, draw, given, self._size) for draw in draws.tolist()]
        if any(clip.mirrored for clip in drawn):
            frames = _mirrored(frames, drawn, dim=3)
            labels = _mirrored(labels, drawn, dim=2)
        pictures = _colored(frames, drawn)
        still = self._config.rotation == 0 and set(self._config.scale) == {1.0}
        if still and given == self._size:
            return pictures, labels.long()
        return _warped(pictures, labels, drawn, self._size)


def plain(frames: Tensor, labels: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Normalise a batch as `Augmentation` does, without variation; of another size: resized."""
    batch, length, height, width, _ = frames.shape
    identity = [_Drawn(np.eye(3), 0.0, False, np.eye(3)[:2])] * batch
    pictures = _colored(frames, identity)
    if (height, width) == size:
        return pictures, labels.long()
    shrunk = torch.nn.functional.interpolate(
        pictures.flatten(0, 1), size, mode="bilinear", align_corners=False, antialias=True
    )
    nearest = torch.nn.functional.interpolate(labels[:, None], size, mode="nearest-exact")
    return shrunk.reshape(batch, length, 3, *size), nearest[:, 0].long()


class _Drawn(NamedTuple):
    """What was drawn for a clip.

    Attributes:
        color: (3, 3), from RGB to RGB.
        pivot: share of the mean grey that is added, so that contrast keeps it.
        mirrored: left to right, before all else.
        matrix: (2, 3), from pixels of the frame to pixels of the crop.
    """

    color: np.ndarray
    pivot: float
    mirrored: bool
    matrix: np.ndarray


def _draw(
    config: AugmentationConfig, draw: int, given: tuple[int, int], size: tuple[int, int]
) -> _Drawn:
    random = np.random.default_rng((draw, _STREAM))
    jitter = config.color_jitter
    brightness, contrast, saturation = random.uniform(1 - jitter, 1 + jitter, 3)
    grey = np.tile(_GREY, (3, 1))
    color = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey)
    mirrored = bool(config.flip and random.random() < 0.5)
    angle = math.radians(random.uniform(-config.rotation, config.rotation))
    scale = math.exp(random.uniform(*np.log(config.scale)))
    # Where the scaled frame is larger than the crop any part of it, where smaller any place.
    places = random.uniform(size=2)
    center = [
        (side - 1) / 2 + (place - 0.5) * (scale * of_frame - side)
        for place, side, of_frame in zip(places, size, given, strict=True)
    ]
    turn = scale * np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    middle = np.array([given[1] - 1, given[0] - 1]) / 2
    shift = np.array([center[1], center[0]]) - turn @ middle
    return _Drawn(color, brightness * (1 - contrast), mirrored, np.column_stack([turn, shift]))


def _mirrored(items: Tensor, drawn: list[_Drawn], dim: int) -> Tensor:
    """Mirror along `dim` of each clip, where it was drawn; still uint8, which costs least."""
    pairs = zip(items, drawn, strict=True)
    return torch.stack([item.flip(dim - 1) if clip.mirrored else item for item, clip in pairs])


def _colored(frames: Tensor, drawn: list[_Drawn]) -> Tensor:
    """Change colours and normalise: (B, N, H, W, 3) uint8 to (B, N, 3, H, W) float32.

    Brightness, contrast, saturation and normalisation are one matrix, which costs one pass.
    """
    device = frames.device
    mean, std = _on_device(MEAN, device), _on_device(STD, device)
    sample = frames[:, :, ::4, ::4].float().mean(dim=(1, 2, 3))
    grey = sample @ _on_device(_GREY, device) / 255
    pivot = _on_device([clip.pivot for clip in drawn], device) * grey
    color = _on_device([clip.color.T / 255 for clip in drawn], device)
    pixels = frames.reshape(len(drawn), -1, 3).float()
    # The range of a picture, 0 to 1, after normalisation.
    lowest, highest = -mean / std, (1 - mean) / std
    normal = torch.bmm(pixels, color / std).add_((pivot[:, None, None] - mean) / std)
    torch.clamp(normal, lowest, highest, out=normal)
    return normal.reshape(frames.shape).permute(0, 1, 4, 2, 3)


def _on_device(numbers: npt.ArrayLike, device: torch.device) -> Tensor:
    """Bring numbers to the device as float32, without waiting for what it still computes."""
    return torch.from_numpy(np.array(numbers, np.float32)).to(device, non_blocking=True)


def _warped(
    pictures: Tensor, labels: Tensor, drawn: list[_Drawn], size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Resample pictures (bilinear) and labels (nearest) into the crop."""
    batch, length, _, height, width = pictures.shape
    matrix = _on_device([clip.matrix for clip in drawn], pictures.device)
    maps = pictures.reshape(batch, length * 3, height, width)
    moved = warp_affine(maps, matrix, size, align_corners=True)
    # Zero is what lies outside of both: the mean colour, and the ignored label.
    shifted = labels[:, None].float() - IGNORED
    places = warp_affine(shifted, matrix, size, mode="nearest", align_corners=True)
    frames = moved.reshape(batch * length, 3, *size).to(memory_format=torch.channels_last)
    return frames.reshape(batch, length, 3, *size), (places[:, 0] + IGNORED).round().long()
