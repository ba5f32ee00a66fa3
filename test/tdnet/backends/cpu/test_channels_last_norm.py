from __future__ import annotations

import pytest
import torch

from tdnet.backends.cpu.channels_last_norm import ChannelsLastNorm
from tdnet.network.layers import SpatialLayerNorm

EPS = 1e-5


def make(size: tuple[int, int]) -> SpatialLayerNorm:
    generator = torch.Generator().manual_seed(0)
    norm = SpatialLayerNorm(size).requires_grad_(False)
    norm.weight.copy_(torch.rand(size, generator=generator) + 0.5)
    norm.bias.copy_(torch.randn(size, generator=generator))
    return norm


def expected(norm: SpatialLayerNorm, x: torch.Tensor) -> torch.Tensor:
    """Each channel's map, minus its mean, over its deviation, in float64."""
    wide = x.double()
    mean = wide.mean((2, 3), keepdim=True)
    variance = wide.var((2, 3), correction=0, keepdim=True)
    return (wide - mean) / (variance + EPS).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize(
    ("channels", "size"), [(3, (5, 9)), (512, (17, 33)), (70000, (2, 3))], ids=str
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
@torch.inference_mode()
def test_equals_the_plain_formulation(
    channels: int, size: tuple[int, int], layout: torch.memory_format
) -> None:
    """With one band of positions, with several, and with one position a band."""
    norm = make(size)
    generator = torch.Generator().manual_seed(1)
    x = 3 * torch.randn(1, channels, *size, generator=generator) + 7
    result = ChannelsLastNorm(norm)(x.contiguous(memory_format=layout))
    torch.testing.assert_close(result.double(), expected(norm, x), rtol=1e-4, atol=1e-4)
    assert result.is_contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_bfloat16_is_rounded_at_the_end_only() -> None:
    norm = make((17, 33))
    generator = torch.Generator().manual_seed(1)
    x = (torch.randn(1, 512, 17, 33, generator=generator) + 2).bfloat16()
    result = ChannelsLastNorm(norm)(x.contiguous(memory_format=torch.channels_last))
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), expected(norm, x), rtol=2**-8, atol=1e-4)


@torch.inference_mode()
def test_a_constant_channel_becomes_the_bias() -> None:
    norm = make((5, 9))
    result = ChannelsLastNorm(norm)(torch.full((1, 2, 5, 9), 4.0))
    torch.testing.assert_close(result, norm.bias.expand(1, 2, 5, 9), rtol=0, atol=1e-4)
