"""What all networks share: their settings, the check of their input, folding for inference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tdnet.errors import InputError
from tdnet.network.layers import Foldable
from tdnet.network.temporal_memory import (
    READ_AND_WRITE,
    Context,
    FrameFeatures,
    MemoryAccess,
    MemoryEntry,
    TemporalMemory,
)
from tdnet.variants import MAX_PIXELS, MAX_SIDE, MIN_SIDE, Variant, feature_size


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
            key_channels=self.variant.token_channels,
            value_channels=self.variant.value_channels,
            device=device,
            dtype=dtype,
        )

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream with sub-network ``memory.path``.

        Nothing is done that the logits do not need; what the frame leaves is stored by `settle`.

        Args:
            frame: (1, 3, H, W) normalised RGB at :attr:`input_size`.
            memory: the stream's memory; advanced by one frame, and settled before if nobody did.
            access: what is done with the memory; with neither read nor write it stays unsettled.

        Returns:
            Logits (1, K, h, w) at stride 8.

        Raises:
            InputError: the frame has another size.
        """
        self.check_size(frame)
        if access.read or access.write:
            self.settle(memory)
        context = memory.context if access.read else None
        logits, left = self.segment(frame, memory.path, context)
        if access.write:
            memory.leave(left)
        return logits

    def settle(self, memory: TemporalMemory) -> None:
        """Do what depends on past frames only: store what the newest left, ready the context.

        Nothing happens where that is done already.
        """
        if memory.left is not None:
            memory.store(self.remember(memory.left, memory.newest_path))
        if memory.capacity and memory.is_full and memory.context is None:
            memory.keep(self.ready(memory.entries(), memory.path))

    @abstractmethod
    def segment(
        self, frame: Tensor, path: int, context: Context | None
    ) -> tuple[Tensor, FrameFeatures | None]:
        """Segment a frame with a sub-network.

        Args:
            frame: (1, 3, H, W) normalised RGB.
            path: 0 to N - 1.
            context: what `ready` made for this path; None while the memory is not full.

        Returns:
            Logits (1, K, h, w), and what the memory needs of the frame, if anything.
        """

    def remember(self, left: FrameFeatures, path: int) -> MemoryEntry:
        """Make the memory entry of a frame that `path` segmented.

        It is not called for networks without memory, whose `segment` leaves nothing.
        """
        raise NotImplementedError(f"{self.variant.name} remembers nothing")

    def ready(self, entries: Sequence[MemoryEntry], path: int) -> Context:
        """Chain a full memory, oldest first, for the frame that `path` will segment.

        It is not called for networks without memory.
        """
        raise NotImplementedError(f"{self.variant.name} remembers nothing")

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
            if isinstance(module, Foldable):
                module.fold()
