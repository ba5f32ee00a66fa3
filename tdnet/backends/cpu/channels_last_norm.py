"""The spatial layer norm of a CPU: over maps whose channels lie beside each other in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdnet.network.layers import NORM_EPS, SpatialLayerNorm

# Positions are worked on in bands of so many numbers, which stay in the processor's cache.
_BAND = 1 << 17


class ChannelsLastNorm(nn.Module):
    """`SpatialLayerNorm` of one frame in channels last, computed in float32.

    PyTorch's layer norm wants each channel's map in one piece: that costs two transpositions and,
    for bfloat16, two copies in float32.

    Args:
        norm: whose weights are taken.
    """

    def __init__(self, norm: SpatialLayerNorm) -> None:
        super().__init__()
        self.weight = nn.Parameter(norm.weight.detach().reshape(-1, 1), requires_grad=False)
        self.bias = nn.Parameter(norm.bias.detach().reshape(-1, 1), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (1, C, h, w), in the number format of x."""
        _, channels, height, width = x.shape
        positions = x[0].permute(1, 2, 0).reshape(-1, channels).contiguous()
        length = max(1, _BAND // channels)
        bands = positions.split(length)

        mean = torch.zeros(channels)
        for band in bands:
            mean += band.sum(0, dtype=torch.float32)
        mean /= len(positions)
        variance = torch.zeros(channels)
        for band in bands:
            variance += (band.float() - mean).square_().sum(0)
        variance /= len(positions)

        scale = (variance + NORM_EPS).rsqrt_()
        shift = -mean * scale
        result = torch.empty_like(positions)
        parts = zip(
            bands,
            result.split(length),
            self.weight.split(length),
            self.bias.split(length),
            strict=True,
        )
        for band, place, weight, bias in parts:
            place.copy_(torch.addcmul(shift, band.float(), scale).mul_(weight).add_(bias))
        return result.view(1, height, width, channels).permute(0, 3, 1, 2)
