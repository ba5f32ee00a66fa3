"""Augmentation on the device: one variation per clip; motion and damage differ by frame."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor
from torch.nn.functional import interpolate

from tdnet.frames.preprocess import MEAN, STD
from tdnet_offline.damage import LOST_GREY, lost_rows
from tdnet_offline.datasets import IGNORED
from tdnet_offline.training.configuration import AugmentationConfig

_GREY = (0.299, 0.587, 0.114)
_STREAM = 3
"""Separates these random numbers from others of the same draw."""
_DAMAGE_STREAM = 6


class Augmentation:
    """Rotate, vary colours, mirror, move, resize, crop (specification, "Training"), then damage.

    Rotation leaves black corners with ignored labels. A side that would be smaller than the crop
    after resizing is resized to that of the crop, without loss of detail. Normalisation and
    colours are one matrix; rotation, motion, resizing and cropping are one resampling.

    Args:
        config: ranges of the random variation.
        size: (H, W) of the result.
    """

    def __init__(self, config: AugmentationConfig, size: tuple[int, int]) -> None:
        self._config = config
        self._size = size

    def __call__(self, frames: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            frames: (B, N, H', W', 3) uint8 RGB.
            labels: (B, H', W') uint8, 255 = ignored.
            draws: (B,) int64 on the CPU; the same draw gives the same variation.

        Returns:
            Frames (B, N, 3, H, W) float32, normalised, channels last in memory, and labels
            (B, H, W) int64.
        """
        given = (frames.shape[2], frames.shape[3])
        length = frames.shape[1]
        drawn = [_draw(self._config, draw, length, given, self._size) for draw in draws.tolist()]
        if any(clip.mirrored for clip in drawn):
            frames = _mirrored(frames, drawn, dim=3)
            labels = _mirrored(labels, drawn, dim=2)
        pictures, black = _colored(frames, drawn)
        still = not (self._config.rotation or self._config.motion)
        still = still and set(self._config.scales) == {1.0}
        if still and given == self._size:
            varied, kept = pictures, labels.long()
        else:
            pictures = _blurred(pictures, drawn)
            varied, kept = _warped(pictures, labels, black, drawn, self._size)
        if self._config.stripe or self._config.noise:
            _damage(varied, self._config, draws.tolist())
        return varied, kept


def plain(frames: Tensor, labels: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Normalise a batch without variation; resize it if it has another size."""
    batch, length, height, width, _ = frames.shape
    identity = [_Drawn(np.eye(3), 0.0, False, (1.0, 1.0), np.eye(3)[None, :2])] * batch
    pictures, _ = _colored(frames, identity)
    if (height, width) == size:
        return pictures, labels.long()
    shrunk = interpolate(pictures.flatten(0, 1), size, mode="bilinear", antialias=True)
    nearest = interpolate(labels[:, None], size, mode="nearest-exact")
    return shrunk.reshape(batch, length, 3, *size), nearest[:, 0].long()


class _Drawn(NamedTuple):
    """Random variation of a clip.

    Attributes:
        color: (3, 3) matrix from RGB to RGB.
        pivot: share of the mean grey to add, so that contrast keeps the mean.
        mirrored: mirror left to right, before all else.
        factors: by which height and width are resized, before cropping.
        matrices: (N, 2, 3), from pixels of each frame to pixels of the crop; (1, 2, 3) if they
            are the same for all frames.
    """

    color: np.ndarray
    pivot: float
    mirrored: bool
    factors: tuple[float, float]
    matrices: np.ndarray


def _draw(
    config: AugmentationConfig,
    draw: int,
    length: int,
    given: tuple[int, int],
    size: tuple[int, int],
) -> _Drawn:
    random = np.random.default_rng((draw, _STREAM))
    jitter = config.color_jitter
    brightness, contrast, saturation = random.uniform(1 - jitter, 1 + jitter, 3)
    grey = np.tile(_GREY, (3, 1))
    color = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey)
    mirrored = bool(config.flip and random.random() < 0.5)
    angle = math.radians(random.uniform(-config.rotation, config.rotation))
    scale = config.scales[int(random.integers(len(config.scales)))]
    places = random.uniform(size=2)

    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    middle = np.array([given[1] - 1, given[0] - 1]) / 2
    turned = np.eye(3)
    turned[:2] = np.column_stack([turn, middle - turn @ middle])
    # For each axis, x then y: the side after resizing, at least that of the crop.
    crop = np.eye(3)
    for axis, (of_frame, side, place) in enumerate(
        zip(given[::-1], size[::-1], places[::-1], strict=True)
    ):
        resized = max(round(of_frame * scale), side)
        factor = (resized - 1) / max(1, of_frame - 1)
        crop[axis, axis] = factor
        crop[axis, 2] = -round(place * (resized - side))
    factors = (float(crop[1, 1]), float(crop[0, 0]))
    moves = _moves(config.motion * random.uniform(-1, 1, 3), length if config.motion else 1, given)
    matrices = (crop @ turned @ moves)[:, :2]
    return _Drawn(color, brightness * (1 - contrast), mirrored, factors, matrices)


def _moves(amounts: np.ndarray, length: int, size: tuple[int, int]) -> np.ndarray:
    """Return the matrices of a simulated camera motion, in pixels of the frames: (N, 3, 3).

    From one frame to the next the picture grows about its middle by the first amount. It shifts
    sideways by half of the second and vertically by an eighth of the third, of its width. The
    last frame stays as it is.
    """
    height, width = size
    zoom, right, down = amounts
    moves = np.tile(np.eye(3), (length, 1, 1))
    for move, age in zip(moves, range(length - 1, -1, -1), strict=True):
        factor = (1 + zoom) ** -age
        move[0, 0] = move[1, 1] = factor
        move[0, 2] = (1 - factor) * (width - 1) / 2 - age * right / 2 * width
        move[1, 2] = (1 - factor) * (height - 1) / 2 - age * down / 8 * width
    return moves


def _mirrored(items: Tensor, drawn: list[_Drawn], dim: int) -> Tensor:
    """Mirror the drawn clips along `dim`; as uint8, the cheapest."""
    pairs = zip(items, drawn, strict=True)
    return torch.stack([item.flip(dim - 1) if clip.mirrored else item for item, clip in pairs])


def _colored(frames: Tensor, drawn: list[_Drawn]) -> tuple[Tensor, Tensor]:
    """Change colours and normalise: (B, N, H, W, 3) uint8 to (B, N, 3, H, W) float32.

    Returns:
        The images, and (B, 3) the value of black.
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
    black = (pivot[:, None] - mean) / std
    normal = torch.bmm(pixels, color / std).add_(black[:, None])
    torch.clamp(normal, lowest, highest, out=normal)
    pictures = normal.reshape(frames.shape).permute(0, 1, 4, 2, 3)
    return pictures, torch.clamp(black, lowest, highest)


def _on_device(numbers: npt.ArrayLike, device: torch.device) -> Tensor:
    """Copy numbers to the device as float32, without synchronisation."""
    return torch.from_numpy(np.array(numbers, np.float32)).to(device, non_blocking=True)


def _blurred(pictures: Tensor, drawn: list[_Drawn]) -> Tensor:
    """Remove the detail that frames lose along sides that shrink."""
    if all(min(clip.factors) >= 1 for clip in drawn):
        return pictures
    size = pictures.shape[-2:]
    result = pictures.clone()
    for number, clip in enumerate(drawn):
        if min(clip.factors) < 1:
            pairs = zip(size, clip.factors, strict=True)
            less = [max(1, round(side * min(1.0, factor))) for side, factor in pairs]
            small = interpolate(pictures[number], less, mode="bilinear")
            result[number] = interpolate(small, size, mode="bilinear")
    return result


def _warped(
    pictures: Tensor, labels: Tensor, black: Tensor, drawn: list[_Drawn], size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Resample pictures (bilinear) and labels (nearest) into the crop."""
    batch, length, _, height, width = pictures.shape
    matrices = _on_device([clip.matrices for clip in drawn], pictures.device)
    last = matrices[:, -1]
    border = black[:, None, :, None, None]
    matrices = matrices.flatten(0, 1)  # one for each frame, or for each clip without motion
    maps = (pictures - border).reshape(len(matrices), -1, height, width)
    moved = warp_affine(maps, matrices, size, align_corners=True)
    # Both are zero outside the frame: black, and the ignored label.
    shifted = labels[:, None].float() - IGNORED
    places = warp_affine(shifted, last, size, mode="nearest", align_corners=True)
    frames = (moved.reshape(batch, length, 3, *size) + border).flatten(0, 1)
    frames = frames.contiguous(memory_format=torch.channels_last)
    return frames.reshape(batch, length, 3, *size), (places[:, 0] + IGNORED).round().long()


def _damage(frames: Tensor, config: AugmentationConfig, draws: list[int]) -> None:
    """Damage a share of the frames (B, N, 3, H, W) in place, each on its own: stripe or noise.

    The amount is drawn between half of the recipe's value and the value.
    """
    device = frames.device
    mean, std = (_on_device(item, device)[:, None, None] for item in (MEAN, STD))
    lost = (LOST_GREY / 255 - mean) / std
    lowest, highest = -mean / std, (1 - mean) / std
    kinds = [kind for kind in ("stripe", "noise") if getattr(config, kind)]
    for draw, clip in zip(draws, frames, strict=True):
        random = np.random.default_rng((draw, _DAMAGE_STREAM))
        for frame in clip:
            if random.random() >= config.damaged:
                continue
            kind = kinds[int(random.integers(len(kinds)))]
            amount = random.uniform(0.5, 1) * getattr(config, kind)
            if kind == "stripe":
                frame[:, lost_rows(frame.shape[1], amount, random)] = lost
                continue
            generator = torch.Generator(device).manual_seed(int(random.integers(1 << 62)))
            grain = torch.randn(frame.shape, generator=generator, device=device)
            frame.add_(grain * (amount / 255 / std)).clamp_(lowest, highest)
