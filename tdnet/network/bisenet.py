"""BiSeNet: a spatial path and a context path, refined and fused (Yu et al., ECCV 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from tdnet.backbones import BisenetBackbone
from tdnet.network.layers import ConvNorm, activation, resize
from tdnet.network.resnet import BackboneFeatures, ResNet


class TwoPaths(nn.Module):
    """A spatial path for detail at 1/8, and a ResNet for context (sections 3.1 and 3.2).

    Args:
        spec: depth and width w; the spatial path has w, w and 2 w channels.
    """

    def __init__(self, spec: BisenetBackbone) -> None:
        super().__init__()
        width = spec.width
        self.spatial = nn.Sequential(
            *(
                ConvNorm(channels, out, 3, stride=2, activation=activation("relu"))
                for channels, out in ((3, width), (width, width), (width, 2 * width))
            )
        )
        self.context = ResNet(spec)

    def forward(self, x: Tensor) -> BackboneFeatures:
        """Map normalised frames (B, 3, H, W) to scales at 1/8, and context at 1/16 and 1/32."""
        context = self.context(x)
        return BackboneFeatures(context.layer3, (self.spatial(x), *context.scales))


class AttentionRefinement(nn.Module):
    """Reduce the channels of a map and weigh each by the mean of the whole frame (figure 2).

    Args:
        channels: channels of the input.
        out_channels: channels of the result.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvNorm(channels, out_channels, 3, activation=activation("relu"))
        self.weigh = ConvNorm(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c, H', W') to (B, out, H', W')."""
        x = self.conv(x)
        return x * torch.sigmoid(self.weigh(adaptive_avg_pool2d(x, 1)))


class FeatureFusion(nn.Module):
    """Join maps, and add the result again with channel weights from the whole frame (figure 2).

    Args:
        channels: channels of all maps together, and of the result.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = ConvNorm(channels, channels, activation=activation("relu"))
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, *maps: Tensor) -> Tensor:
        """Map maps (B, c_i, h, w) to (B, sum of c_i, h, w)."""
        x = self.join(torch.cat(maps, dim=1))
        weights = self.excite(torch.relu(self.squeeze(adaptive_avg_pool2d(x, 1))))
        return x + x * torch.sigmoid(weights)


class FusionPyramid(nn.Module):
    """Refine context from coarse to fine, then fuse it with the spatial path.

    Args:
        spec: description of the backbone; the result has 4 w channels for its width w.
    """

    def __init__(self, spec: BisenetBackbone) -> None:
        super().__init__()
        _, _, fine, coarse = spec.layer_channels
        inner = 2 * spec.width
        self.whole = ConvNorm(coarse, inner, activation=activation("relu"))
        self.refine = nn.ModuleList(
            AttentionRefinement(channels, inner) for channels in (fine, coarse)
        )
        self.smooth = nn.ModuleList(
            ConvNorm(inner, inner, 3, activation=activation("relu")) for _ in range(2)
        )
        self.fusion = FeatureFusion(2 * inner)
        self.out_channels = 2 * inner

    def forward(self, spatial: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """Map (B, 2 w, h, w), and context at 1/16 and 1/32, to (B, 4 w, h, w)."""
        context = self.refine[1](coarse) + self.whole(adaptive_avg_pool2d(coarse, 1))
        context = self.smooth[1](resize(context, (fine.shape[2], fine.shape[3])))
        context = self.refine[0](fine) + context
        context = self.smooth[0](resize(context, (spatial.shape[2], spatial.shape[3])))
        return self.fusion(spatial, context)
