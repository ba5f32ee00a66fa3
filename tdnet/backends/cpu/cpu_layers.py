"""Attention and layer norm on a CPU, computed in bands that stay in the processor's cache."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdnet.network.attention_propagation import AttentionStep
from tdnet.network.layers import NORM_EPS, SpatialLayerNorm
from tdnet.network.temporal_memory import Context

# Attention scores of a band: 1 MiB in float32, the size of a core's own cache.
_BAND_SCORES = 1 << 18
# Numbers of a band of the layer norm.
_BAND_NUMBERS = 1 << 17


class CpuAttention(nn.Module):
    """One attention step A(k, v; q) for one stream; computes a band of queries at a time.

    Args:
        step: folded step to take the weights from.
    """

    def __init__(self, step: AttentionStep) -> None:
        super().__init__()
        self.projection = step.projection

    def project(self, value: Tensor) -> Tensor:
        """Apply W to the values (1, S, D) of a memory frame."""
        return nn.functional.linear(value, self.projection.weight)

    def attend(self, context: Context, query: Tensor, value: Tensor) -> Tensor:
        """Add the attended context to values (1, T, D), with queries (1, T, d)."""
        keys, projected, own = context.key[0].t(), context.value[0], value[0]
        result = torch.empty_like(own, memory_format=torch.contiguous_format)
        length = max(1, _BAND_SCORES // len(projected))
        bands = (tensor.split(length) for tensor in (query[0], own, result))
        for queries, base, out in zip(*bands, strict=True):
            torch.addmm(base, torch.softmax(queries @ keys, dim=-1), projected, out=out)
        return result[None]


class ChannelsLastNorm(nn.Module):
    """`SpatialLayerNorm` of one frame in channels last, computed in float32.

    PyTorch's layer norm needs each channel's map contiguous. That costs two transpositions and,
    for bfloat16, two copies in float32.

    Args:
        norm: layer norm to take the weights from.
    """

    def __init__(self, norm: SpatialLayerNorm) -> None:
        super().__init__()
        self.weight = nn.Parameter(norm.weight.detach().reshape(-1, 1), requires_grad=False)
        self.bias = nn.Parameter(norm.bias.detach().reshape(-1, 1), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (1, C, h, w), in the number format of x."""
        _, channels, height, width = x.shape
        positions = x[0].permute(1, 2, 0).reshape(-1, channels).contiguous()
        length = max(1, _BAND_NUMBERS // channels)
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
