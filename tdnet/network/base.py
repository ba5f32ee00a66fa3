"""Common part of all networks: their settings, the check of their input, folding."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from tdnet.class_map.classes import MAX_NETWORK_CLASSES
from tdnet.errors import InputError
from tdnet.network.layers import Foldable
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory
from tdnet.variants import MAX_PIXELS, MAX_SIDE, MIN_SIDE, Variant, feature_size


class StreamingNetwork(nn.Module, ABC):
    """A network that segments the frames of a stream one after the other.

    Args:
        variant: description of the network.
        num_classes: K, channels of the logits.
        input_size: height and width of the frames.
        memory_stride: s, rows and columns between positions stored in the memory.

    Raises:
        InputError: a class count, size or stride is out of range.
    """

    def __init__(
        self,
        variant: Variant,
        num_classes: int,
        input_size: tuple[int, int],
        memory_stride: int,
    ) -> None:
        super().__init__()
        if not 1 <= num_classes <= MAX_NETWORK_CLASSES:
            raise InputError(
                f"num_classes is {num_classes}; allowed are 1 to {MAX_NETWORK_CLASSES}"
            )
        fits = all(MIN_SIDE <= side <= MAX_SIDE for side in input_size)
        if not fits or input_size[0] * input_size[1] > MAX_PIXELS:
            raise InputError(
                f"input size {input_size[0]} x {input_size[1]}; allowed are sides of {MIN_SIDE} "
                f"to {MAX_SIDE} pixels, and {MAX_PIXELS >> 20} megapixels"
            )
        if memory_stride < 1:
            raise InputError(f"memory_stride is {memory_stride}; allowed are 1 and more")
        self.variant = variant
        self.num_classes = num_classes
        self.input_size = (int(input_size[0]), int(input_size[1]))
        self.memory_stride = memory_stride

    @property
    def feature_size(self) -> tuple[int, int]:
        """Height and width (h, w) of features and logits."""
        return feature_size(self.input_size)

    def new_memory(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> TemporalMemory:
        """Allocate the empty memory of one stream."""
        return TemporalMemory(self.variant, self.input_size, self.memory_stride, device, dtype)

    @abstractmethod
    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream with sub-network ``memory.path``.

        Work that the logits do not need is left to `commit_memory`.

        Args:
            frame: (1, 3, H, W) normalised RGB at :attr:`input_size`.
            memory: memory of the stream; advanced by one frame. Committed first if necessary.
            access: how the frame uses the memory. With neither read nor write, the memory is not
                committed either.

        Returns:
            Logits (1, K, h, w) at stride 8.

        Raises:
            InputError: the frame has another size.
        """

    @abstractmethod
    def commit_memory(self, memory: TemporalMemory) -> None:
        """Store the newest frame and chain the full memory; do nothing if that is done already.

        This work depends on past frames only.
        """

    def check_size(self, frame: Tensor) -> None:
        """Check that a tensor has the size that the network was created for.

        Raises:
            InputError: with the remedy.
        """
        given = tuple(frame.shape[-2:])
        if frame.dim() != 4 or frame.shape[1] != 3 or given != self.input_size:
            height, width = self.input_size
            raise InputError(
                f"frame of shape {tuple(frame.shape)}; {self.variant.name} was created for "
                f"(B, 3, {height}, {width}): resize the frame, or create the model with "
                f"input_size=({', '.join(map(str, given))})"
            )

    def fold(self) -> None:
        """Fold every batch norm into its convolution: same numbers, fewer operations.

        For inference only: a folded network cannot be trained or saved.
        """
        for module in self.modules():
            if isinstance(module, Foldable):
                module.fold()
