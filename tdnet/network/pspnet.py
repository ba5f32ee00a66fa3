"""PSPNet: the single-frame networks that TDNet is compared with, started from and taught by."""

from __future__ import annotations

from torch import Tensor

from tdnet.network.base import StreamingNetwork
from tdnet.network.head import Head
from tdnet.network.pyramid_pooling import PyramidPooling
from tdnet.network.resnet import ResNet
from tdnet.temporal_memory import Context, FrameFeatures
from tdnet.variants import Variant


class PSPNet(StreamingNetwork):
    """Pyramid scene parsing network: every frame by itself (specification, "psp101").

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
        self.backbone = ResNet(variant.backbone)
        self.pyramid = PyramidPooling(self.backbone.out_channels)
        self.head = Head(self.pyramid.out_channels, variant.head_channels, num_classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Map normalised frames (B, 3, H, W) to logits (B, K, h, w)."""
        self.check_size(frames)
        return self.head(self.pyramid(self.backbone(frames).layer4))

    def segment(
        self, frame: Tensor, path: int, context: Context | None
    ) -> tuple[Tensor, FrameFeatures | None]:
        """Segment a frame; nothing is remembered of it."""
        return self(frame), None
