"""What all networks share: their settings, the check of their input, folding for inference."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from tdnet.errors import InputError
from tdnet.network.layers import ConvNorm
from tdnet.temporal_memory import TemporalMemory
from tdnet.variants import Variant, feature_size

MIN_SIDE = 33
MAX_SIDE = 8193
# Twice those of the images that the networks were made for. What attention takes grows with the
# square: for so many 2 GiB in float32, for 4K more than 8.
MAX_PIXELS = 4 << 20


class StreamingNetwork(nn.Module, ABC):
    """A network that segments the frames of a stream one after the other.

    Args:
        variant: the description that it is built from.
        num_classes: K, channels of the logits.
        input_size: height and width of the frames.
        memory_stride: s, rows and columns between positions left in memory.

    Raises:
        InputError: a class count, size or stride out of range.
    """

    def __init__(
        self,
        variant: Variant,
        num_classes: int,
        input_size: tuple[int, int],
        memory_stride: int,
    ) -> None:
        super().__init__()
        if not 1 <= num_classes <= 255:
            raise InputError(f"num_classes is {num_classes}; allowed are 1 to 255")
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
        height, width = self.feature_size
        stride = self.memory_stride
        return TemporalMemory(
            paths=self.variant.paths,
            capacity=self.variant.memory_capacity,
            positions=-(-height // stride) * -(-width // stride),
            key_channels=self.variant.key_channels,
            value_channels=self.variant.value_channels,
            device=device,
            dtype=dtype,
        )

    @abstractmethod
    def step(self, frame: Tensor, memory: TemporalMemory) -> Tensor:
        """Segment the next frame of a stream and leave its sub-features in the memory.

        Args:
            frame: (1, 3, H, W) normalised RGB at :attr:`input_size`.
            memory: the stream's memory; advanced by one frame.

        Returns:
            Logits (1, K, h, w) at stride 8.

        Raises:
            InputError: the frame has another size.
        """

    def check_size(self, frame: Tensor) -> None:
        """Refuse a tensor of another size than the network was created for.

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

        For inference only; the network cannot be trained or saved afterwards.
        """
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
