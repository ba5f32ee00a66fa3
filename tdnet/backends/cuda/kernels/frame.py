"""From camera pixels to network input in one pass over the device's memory."""

from __future__ import annotations

import torch
from torch import Tensor

from tdnet.errors import InputError
from tdnet.frames.preprocess import MEAN, STD
from tdnet.frames.resize_taps import antialias_taps

_BLOCK = 512


class FramePlan:
    """Resizes and normalises the frames of one camera size, as `Preprocessor` does.

    One kernel is used, because two (columns, then rows) would write and read a float32 image
    between them. With p camera pixels and n network pixels, 3 p bytes are read and, in half
    precision, 6 n bytes are written. From 1024 x 2048 to 769 x 1537, that is 6.3 MB and 7.1 MB;
    the intermediate image would add 37.8 MB. The cost: each number reads its vertical times its
    horizontal taps, 3 x 3 here, so a camera byte is read about five times, from the caches.

    All buffers are allocated here. A call launches one kernel on the current stream. It does not
    allocate or wait, and can be captured in a CUDA graph after the first call, which compiles.

    Args:
        camera_size: height and width of the camera image.
        size: height and width of the network input.
        device: device of the frames.
    """

    def __init__(
        self, camera_size: tuple[int, int], size: tuple[int, int], device: torch.device
    ) -> None:
        from tdnet.backends.cuda.kernels.frame_program import make_frame

        self._program = make_frame
        self.camera_size = camera_size
        self.size = size
        self._rows = antialias_taps(camera_size[0], size[0], device)
        self._columns = antialias_taps(camera_size[1], size[1], device)
        std = torch.tensor(STD, dtype=torch.float64)
        scale, offset = 1.0 / (255.0 * std), -torch.tensor(MEAN, dtype=torch.float64) / std
        self._normalisation = torch.cat([scale, offset]).float().to(device)
        self._grid = (-(-3 * size[1] // _BLOCK), size[0])

    def __call__(self, pixels: Tensor, frame: Tensor) -> None:
        """Fill a network input.

        Args:
            pixels: (H', W', 3) uint8 RGB of the camera size, contiguous.
            frame: (1, 3, H, W), floats of any precision, channels last in memory; written.

        Raises:
            InputError: a shape, type or layout is not allowed.
        """
        if pixels.shape != (*self.camera_size, 3) or pixels.dtype != torch.uint8:
            raise InputError(
                f"pixels of {tuple(pixels.shape)} {pixels.dtype}; allowed are "
                f"{(*self.camera_size, 3)} torch.uint8: make a plan for each camera size"
            )
        if frame.shape != (1, 3, *self.size) or not frame.is_floating_point():
            raise InputError(
                f"frame of {tuple(frame.shape)} {frame.dtype}; allowed are floats of "
                f"{(1, 3, *self.size)}: make a plan for each network size"
            )
        if not pixels.is_contiguous() or not frame.is_contiguous(
            memory_format=torch.channels_last
        ):
            raise InputError(
                "pixels or frame with gaps; allowed are contiguous pixels and a frame with "
                "channels last: copy them"
            )
        with torch.cuda.device_of(pixels):
            self._program[self._grid](
                pixels,
                frame,
                *self._rows,
                *self._columns,
                self._normalisation,
                *self.camera_size,
                *self.size,
                self._rows.per_pixel,
                self._columns.per_pixel,
                BLOCK=_BLOCK,
                enable_fp_fusion=True,
            )
