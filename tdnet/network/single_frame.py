"""The single-frame networks: baselines of TDNet, its starting points and its teachers."""

from __future__ import annotations

from torch import Tensor

from tdnet.network.base import StreamingNetwork
from tdnet.network.extractor import create_extractor
from tdnet.network.layers import Head, initialise
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory
from tdnet.variants import Variant


class SingleFrameNetwork(StreamingNetwork):
    """A network that segments every frame by itself, such as PSPNet (specification, "psp101").

    Args and errors as in :class:`StreamingNetwork`.
    """

    def __init__(
        self,
        variant: Variant,
        num_classes: int,
        input_size: tuple[int, int],
        memory_stride: int,
    ) -> None:
        super().__init__(variant, num_classes, input_size, memory_stride)
        self.backbone, self.pyramid = create_extractor(variant.backbone, self.feature_size)
        channels = self.pyramid.out_channels
        self.head = Head(channels, variant.head_channels, num_classes, variant.head)
        for part in (self.pyramid, self.head):
            initialise(part)

    def forward(self, frames: Tensor) -> Tensor:
        """Map normalised frames (B, 3, H, W) to logits (B, K, h, w)."""
        self.check_size(frames)
        return self.head(self.pyramid(*self.backbone(frames).scales))

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment a frame; the memory only counts it. See `StreamingNetwork.step`."""
        logits = self(frame)
        if access.write:
            memory.advance(None)
        return logits

    def commit_memory(self, memory: TemporalMemory) -> None:
        """Do nothing: the memory has no capacity."""
