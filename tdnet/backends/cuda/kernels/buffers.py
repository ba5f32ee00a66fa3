"""Buffers of the images of a frame, in one block that is downloaded in one copy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ALIGNMENT = 256
_COUNTS_BYTES = 256 * 4


@dataclass(frozen=True)
class OutputBuffers:
    """The images of one frame in one block of memory.

    Attributes:
        storage: all bytes; copy them to the storage of equal buffers on the CPU.
        labels: (H, W) uint8 class ids, 255 = unlabelled.
        confidence: (H, W) uint8; None if it is not requested.
        overlay: (H, W, 3) uint8 RGB; None if it is not requested.
        counts: (256,) int32, pixels by label; None if they are not requested.
    """

    storage: Tensor
    labels: Tensor
    confidence: Tensor | None
    overlay: Tensor | None
    counts: Tensor | None

    @staticmethod
    def create(
        size: tuple[int, int],
        device: torch.device,
        *,
        confidence: bool,
        overlay: bool,
        counts: bool,
        pinned: bool = False,
    ) -> OutputBuffers:
        """Allocate buffers.

        Args:
            size: height and width of the images.
            device: device of the buffers.
            confidence: whether there is a confidence image.
            overlay: whether there is an overlay.
            counts: whether the pixels of each label are counted.
            pinned: on the CPU: memory that a GPU writes to while the CPU continues.
        """
        pixels = size[0] * size[1]
        lengths = (
            _COUNTS_BYTES if counts else 0,
            pixels,
            pixels if confidence else 0,
            3 * pixels if overlay else 0,
        )
        starts = [0]
        for length in lengths:
            starts.append(-(-(starts[-1] + length) // _ALIGNMENT) * _ALIGNMENT)
        storage = torch.empty(starts[-1], dtype=torch.uint8, device=device, pin_memory=pinned)
        parts = [storage[start:][:length] for start, length in zip(starts, lengths, strict=False)]
        return OutputBuffers(
            storage=storage,
            labels=parts[1].view(size),
            confidence=parts[2].view(size) if confidence else None,
            overlay=parts[3].view(*size, 3) if overlay else None,
            counts=parts[0].view(torch.int32) if counts else None,
        )
