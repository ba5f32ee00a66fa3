"""Where a frame's results lie on the device, so that one copy brings them to the host."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ALIGNMENT = 256
_COUNTS_BYTES = 256 * 4


@dataclass(frozen=True)
class OutputBuffers:
    """The images of one frame, side by side in one piece of memory.

    Attributes:
        storage: all of the bytes; copy it to the storage of equal buffers on the host.
        labels: (H, W) uint8 class ids, 255 = unlabelled.
        confidence: (H, W) uint8; None if it is not wanted.
        overlay: (H, W, 3) uint8 RGB; None if it is not wanted.
        counts: (256,) int32, pixels by label; None if they are not wanted.
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
        """Allocate buffers; nothing else about them allocates.

        Args:
            size: height and width of the images.
            device: where they are.
            confidence: whether there is a confidence image.
            overlay: whether there is an overlay.
            counts: whether the pixels of each label are counted.
            pinned: on the host: memory that a GPU copies to while the host goes on.
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
