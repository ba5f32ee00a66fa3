"""The single-frame networks that TDNet is compared with, started from and taught by."""

from __future__ import annotations

from torch import Tensor

from tdnet.network.base import StreamingNetwork
from tdnet.network.extractor import create_extractor
from tdnet.network.head import Head
from tdnet.network.layers import initialise
from tdnet.network.temporal_memory import Context, FrameFeatures
from tdnet.variants import Variant


class SingleFrameNetwork(StreamingNetwork):
    """A network that sees every frame by itself: PSPNet and others (specification, "psp101").

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

    def segment(
        self, frame: Tensor, path: int, context: Context | None
    ) -> tuple[Tensor, FrameFeatures | None]:
        """Segment a frame; nothing is remembered of it."""
        return self(frame), None
