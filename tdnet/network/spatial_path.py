"""BiSeNet's two paths through a frame (Yu et al., ECCV 2018, sections 3.1 and 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from tdnet.backbones import BisenetBackbone
from tdnet.network.layers import ConvNorm, activation
from tdnet.network.resnet import BackboneFeatures, ResNet


class TwoPaths(nn.Module):
    """A spatial path that keeps detail at 1/8, beside a ResNet that sees context.

    Args:
        spec: depth and width w; the spatial path has w, w and 2 w channels.
    """

    def __init__(self, spec: BisenetBackbone) -> None:
        super().__init__()
        width = spec.width
        self.spatial = nn.Sequential(
            *(
                ConvNorm(channels, out, 3, stride=2, activation=activation(leaky=False))
                for channels, out in ((3, width), (width, width), (width, 2 * width))
            )
        )
        self.context = ResNet(spec)

    def forward(self, x: Tensor) -> BackboneFeatures:
        """Map a normalised frame (B, 3, H, W) to scales at 1/8, and of the context 1/16, 1/32."""
        context = self.context(x)
        return BackboneFeatures(context.layer3, (self.spatial(x), *context.scales))
