"""From camera pixels to network input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tdnet.errors import InputError
from tdnet.frames.cpu_resize import CpuResize

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# Limit of cached camera sizes: a folder of images may hold any number of sizes.
_KEPT_SIZES = 8


def check_picture(image: npt.NDArray[np.uint8]) -> None:
    """Check that an image is an (H, W, 3) uint8 RGB array.

    Raises:
        InputError: another shape or number type.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        given = getattr(image, "dtype", type(image).__name__)
        raise InputError(f"image of {given}; allowed is a uint8 array: convert it first")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"image of shape {image.shape}; allowed is (H, W, 3), RGB, not empty")


def upload(image: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """Copy an (H, W, 3) uint8 RGB array to the device; on the CPU, share its memory.

    Raises:
        InputError: another shape or number type.
    """
    check_picture(image)
    if not image.flags.writeable or min(image.strides) < 0:
        image = image.copy()  # PyTorch cannot share read-only or reversed memory
    return torch.from_numpy(image).to(device)


class Preprocessor:
    """Resize and normalise frames on the device.

    Args:
        size: height and width of the network input.
        device: device of the frames.
        dtype: number format of the result.
    """

    def __init__(self, size: tuple[int, int], device: torch.device, dtype: torch.dtype) -> None:
        self.size = size
        self.device = device
        self._dtype = dtype
        std = torch.tensor(STD, dtype=torch.float64)
        scale = 1.0 / (255.0 * std)
        offset = -torch.tensor(MEAN, dtype=torch.float64) / std
        self._scale = scale.float().view(1, 3, 1, 1).to(device)
        self._offset = offset.float().view(1, 3, 1, 1).to(device)
        self._cpu_resizes: dict[tuple[int, int], CpuResize] = {}

    def __call__(self, image: Tensor) -> Tensor:
        """Map (H', W', 3) uint8 RGB to normalised (1, 3, H, W), channels last in memory."""
        size = (image.shape[0], image.shape[1])
        if self.device.type == "cpu" and size != self.size:
            frame = self._cpu_resize(size)(image)
        else:
            frame = torch.addcmul(self._offset, resize_picture(image, self.size), self._scale)
        return frame.to(self._dtype, memory_format=torch.channels_last)

    def _cpu_resize(self, size: tuple[int, int]) -> CpuResize:
        if size not in self._cpu_resizes:
            if len(self._cpu_resizes) >= _KEPT_SIZES:
                self._cpu_resizes.clear()
            scale, offset = self._scale.flatten(), self._offset.flatten()
            self._cpu_resizes[size] = CpuResize(size, self.size, scale, offset)
        return self._cpu_resizes[size]


def resize_picture(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (H', W', 3) uint8 RGB to float32 (1, 3, H, W), still 0 to 255, channels last.

    Shrinking is filtered, so that far and thin objects do not flicker. At the same size, pixels
    do not change.
    """
    picture = image.permute(2, 0, 1).unsqueeze(0)
    picture = picture.to(torch.float32, memory_format=torch.channels_last)
    if tuple(image.shape[:2]) == size:
        return picture
    return nn.functional.interpolate(
        picture, size=size, mode="bilinear", align_corners=False, antialias=True
    )
