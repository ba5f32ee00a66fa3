"""EfficientViT: inverted residuals, and attention of linear cost (Cai et al., ICCV 2023).

Specification, "EfficientViT segmentation".
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor, nn

from tdnet.backbones import EfficientVitBackbone
from tdnet.network.layers import ConvNorm, activation
from tdnet.network.resnet import BackboneFeatures

HEAD_CHANNELS = 16
"""Channels of a query, key or value of one attention head."""
# Published is the sum plus this number, which differs below 1e-8 only. PyTorch's ONNX exporter
# takes such an addition for one of zero and drops it.
_LEAST_SUM = 1e-15


class InvertedResidual(nn.Sequential):
    """1x1 convolution to more channels, depthwise 3x3, and 1x1 back (Sandler et al., CVPR 2018).

    Maps (B, in, H, W) to (B, out, H / stride, W / stride).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride of the depthwise convolution.
        norms: whether the first two convolutions have a norm each; a bias if not.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, norms: bool = True
    ) -> None:
        super().__init__()
        inner = self.expansion * in_channels
        self.expand = ConvNorm(in_channels, inner, norm=norms, activation=activation("hardswish"))
        self.depthwise = ConvNorm(
            inner,
            inner,
            3,
            stride=stride,
            groups=inner,
            norm=norms,
            activation=activation("hardswish"),
        )
        self.project = ConvNorm(inner, out_channels)


class Residual(nn.Module):
    """Add the result of a block to its input."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c, H, W) to the same shape."""
        return x + self.block(x)


class DepthwiseSeparable(nn.Sequential):
    """Depthwise 3x3 convolution with activation, then a 1x1 convolution; (B, c, H, W) kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(
            channels, channels, 3, groups=channels, activation=activation("hardswish")
        )
        self.project = ConvNorm(channels, channels)


class LinearAttention(nn.Module):
    """Multi-scale attention with ReLU in place of softmax, so keys and values are summed first.

    For each head, out = q (k^T v) / q (k^T 1). Half of the heads see a second scale: sums of 5x5
    positions. Products and quotient are computed in float32 at least.

    Args:
        channels: c, a multiple of `HEAD_CHANNELS`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner, heads = 3 * channels, channels // HEAD_CHANNELS
        self.qkv = nn.Conv2d(channels, inner, 1, bias=False)
        self.aggregate = nn.Sequential(
            nn.Conv2d(inner, inner, 5, padding=2, groups=inner, bias=False),
            nn.Conv2d(inner, inner, 1, groups=3 * heads, bias=False),
        )
        self.project = ConvNorm(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c, H, W) to the same shape."""
        qkv = self.qkv(x)
        maps = torch.cat([qkv, self.aggregate(qkv)], dim=1)
        kind = x.device.type
        is_casting = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        with torch.autocast(kind, enabled=False) if is_casting else nullcontext():
            y = _attend(maps.to(torch.promote_types(maps.dtype, torch.float32)))
        return self.project(y.to(x.dtype))


def _attend(maps: Tensor) -> Tensor:
    """Attend within groups of 48 channels, q, k and v: (B, 6 c, H, W) to (B, 2 c, H, W)."""
    height, width = maps.shape[2:]
    groups = maps.shape[1] // (3 * HEAD_CHANNELS)
    query, key, value = maps.reshape(-1, groups, 3, HEAD_CHANNELS, height * width).unbind(2)
    query, key = torch.relu(query), torch.relu(key)
    value = nn.functional.pad(value, (0, 0, 0, 1), value=1.0)
    found = (value @ key.transpose(2, 3)) @ query
    total = found[:, :, HEAD_CHANNELS:].clamp(min=_LEAST_SUM)
    result = found[:, :, :HEAD_CHANNELS] / total
    return result.reshape(-1, groups * HEAD_CHANNELS, height, width)


class AttentionBlock(nn.Module):
    """Attention to the whole map, then an inverted residual; both are added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = Residual(LinearAttention(channels))
        self.local = Residual(InvertedResidual(channels, channels, norms=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c, H, W) to the same shape."""
        return self.local(self.attention(x))


class EfficientVit(nn.Module):
    """Stem, two stages of inverted residuals and two of attention; each stage halves the map.

    Args:
        spec: widths and depths of stem and stages.
    """

    def __init__(self, spec: EfficientVitBackbone) -> None:
        super().__init__()
        (width, *widths), (depth, *depths) = spec.widths, spec.depths
        self.stem = nn.Sequential(
            ConvNorm(3, width, 3, stride=2, activation=activation("hardswish")),
            *(Residual(DepthwiseSeparable(width)) for _ in range(depth)),
        )
        stages = []
        for number, (out, blocks) in enumerate(zip(widths, depths, strict=True)):
            attends = number >= 2
            first = InvertedResidual(width, out, stride=2, norms=not attends)
            width, count = out, blocks if attends else blocks - 1
            rest = (
                AttentionBlock(out) if attends else Residual(InvertedResidual(out, out))
                for _ in range(count)
            )
            stages.append(nn.Sequential(first, *rest))
        self.stages = cast("Sequence[nn.Module]", nn.ModuleList(stages))

    def forward(self, x: Tensor) -> BackboneFeatures:
        """Map normalised frames (B, 3, H, W) to the outputs of stages 2 to 4, at 1/8 to 1/32."""
        x = self.stages[0](self.stem(x))
        fine = self.stages[1](x)
        coarse = self.stages[2](fine)
        return BackboneFeatures(coarse, (fine, coarse, self.stages[3](coarse)))


class ScaleFusion(nn.Module):
    """Project the scales to the same channels, resize and add them; then inverted residuals.

    Args:
        spec: description of the backbone; the result has its `fused_channels`.
    """

    def __init__(self, spec: EfficientVitBackbone) -> None:
        super().__init__()
        self.out_channels = spec.fused_channels
        self.projections = nn.ModuleList(
            ConvNorm(channels, spec.fused_channels) for channels in spec.widths[2:]
        )
        self.blocks = nn.Sequential(
            *(
                Residual(InvertedResidual(spec.fused_channels, spec.fused_channels))
                for _ in range(spec.fused_blocks)
            )
        )

    def forward(self, fine: Tensor, coarse: Tensor, coarsest: Tensor) -> Tensor:
        """Map (B, c, h, w) and maps at a half and a quarter of its size to (B, C, h, w)."""
        size = (fine.shape[2], fine.shape[3])
        total = self.projections[0](fine)
        for projection, x in zip(self.projections[1:], (coarse, coarsest), strict=True):
            total = total + nn.functional.interpolate(projection(x), size=size, mode="bicubic")
        fused: Tensor = self.blocks(total)
        return fused
