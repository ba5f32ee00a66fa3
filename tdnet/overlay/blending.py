"""Blend class colours over an image, with the same integer arithmetic on CPU and GPU."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.uint8]

# With at most 128 steps, byte * weight fits a signed 16-bit integer, the fastest type.
_STEPS = 128


@dataclass(frozen=True)
class BlendTables:
    """Tables of the blending: ``image * keep / 128 + tint[label]``, or the image unchanged.

    Image and colour are rounded separately, the image down, so that their sum stays below 256.

    Attributes:
        keep: weight of the image, 0 to 128.
        tint: (256, 3) uint8, the weighted colour by class id; 0 if the image is unchanged.
        untouched: (256,) uint8, 255 for ids whose pixels keep the image exactly, else 0.
    """

    keep: int
    tint: Array
    untouched: Array

    @staticmethod
    def create(color_table: Array, visible: npt.NDArray[np.bool_], alpha: float) -> BlendTables:
        """Compute the tables.

        Args:
            color_table: (256, 3) uint8 RGB by class id.
            visible: (256,) whether the pixels of an id are coloured.
            alpha: opacity of the colours, 0 to 1; rounded to 1/128.
        """
        weight = round(alpha * _STEPS)
        tint = (color_table.astype(np.int32) * weight + _STEPS // 2) // _STEPS
        tint[~visible] = 0
        untouched = np.where(visible, 0, 255).astype(np.uint8)
        return BlendTables(_STEPS - weight, tint.astype(np.uint8), untouched)


class CpuBlender:
    """Blends on the CPU by table look-ups of OpenCV.

    PyTorch takes 2.5 times as long on idle cores, and 15 times on busy ones.
    """

    def __init__(self, tables: BlendTables) -> None:
        self._tint = tables.tint[:, None]
        self._kept = (np.arange(256) * tables.keep // _STEPS).astype(np.uint8)
        self._untouched = tables.untouched

    def blend(self, image: Tensor, labels: Tensor) -> Array:
        """Blend one image.

        Args:
            image: (H, W, 3) uint8 RGB, contiguous.
            labels: (H, W) uint8 class ids on the same device.

        Returns:
            (H, W, 3) uint8 RGB, a new array.
        """
        pixels, ids = image.numpy(), labels.contiguous().numpy()
        blended = cv2.add(cv2.applyColorMap(ids, self._tint), cv2.LUT(pixels, self._kept))
        restored = cv2.copyTo(pixels, cv2.LUT(ids, self._untouched), blended)
        return np.asarray(restored, np.uint8)


class DeviceBlender:
    """Blends on the device of the tensors, and downloads the result once."""

    def __init__(self, tables: BlendTables, device: torch.device) -> None:
        self._keep = tables.keep
        self._tint = torch.from_numpy(tables.tint).to(device)
        self._untouched = torch.from_numpy(tables.untouched[:, None].repeat(3, 1)).to(device)

    def blend(self, image: Tensor, labels: Tensor) -> Array:
        """Blend one image; see `CpuBlender.blend`, whose bytes it returns."""
        index = labels.flatten().to(torch.int32)
        kept = image.to(torch.int16).mul_(self._keep).floor_divide_(_STEPS).to(torch.uint8)
        restored = self._untouched.index_select(0, index).view(image.shape)
        restored.bitwise_and_(image - kept)
        tint = self._tint.index_select(0, index).view(image.shape)
        array: Array = kept.add_(restored).add_(tint).cpu().numpy()
        return array
