"""Attention and layer norm in bands compute what they compute at once."""

from __future__ import annotations

import pytest
import torch

from tdnet.backends.cpu.cpu_layers import ChannelsLastNorm, CpuAttention
from tdnet.network.attention_propagation import AttentionStep
from tdnet.network.layers import SpatialLayerNorm
from tdnet.network.temporal_memory import Context

EPS = 1e-5


def folded_step(channels: int) -> AttentionStep:
    step = AttentionStep(channels).eval().requires_grad_(False)
    step.projection.register_parameter("bias", None)
    return step


@torch.inference_mode()
@pytest.mark.parametrize(
    ("queries", "memory"),
    # One band; many, and a last one that is shorter; more positions than a band has scores.
    [(35, 6), (1100, 2000), (2, 300_000)],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_bands_change_nothing(
    queries: int, memory: int, dtype: torch.dtype, tolerance: float
) -> None:
    generator = torch.Generator().manual_seed(queries)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    step = folded_step(12).to(dtype)
    context = Context(numbers(1, memory, 4), step.project(numbers(1, memory, 12)))
    query, value = numbers(1, queries, 4), numbers(1, queries, 12)
    before = value.clone()
    given = CpuAttention(step).attend(context, query, value)
    expected = step.attend(context, query, value)
    assert given.dtype == dtype
    torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)
    assert torch.equal(value, before)


@torch.inference_mode()
def test_values_of_maps_need_not_lie_in_rows() -> None:
    step = folded_step(6)
    context = Context(torch.randn(1, 5, 3), torch.randn(1, 5, 6))
    query, value = torch.randn(1, 3, 8).transpose(1, 2), torch.randn(1, 6, 8).transpose(1, 2)
    given = CpuAttention(step).attend(context, query, value)
    torch.testing.assert_close(given, step.attend(context, query, value))
    assert given.is_contiguous()


@torch.inference_mode()
def test_projects_as_before() -> None:
    step, values = folded_step(6), torch.randn(1, 5, 6)
    assert torch.equal(CpuAttention(step).project(values), step.project(values))


def layer_norm(size: tuple[int, int]) -> SpatialLayerNorm:
    generator = torch.Generator().manual_seed(0)
    norm = SpatialLayerNorm(size).requires_grad_(False)
    norm.weight.copy_(torch.rand(size, generator=generator) + 0.5)
    norm.bias.copy_(torch.randn(size, generator=generator))
    return norm


def expected(norm: SpatialLayerNorm, x: torch.Tensor) -> torch.Tensor:
    """Normalise the map of each channel in float64."""
    wide = x.double()
    mean = wide.mean((2, 3), keepdim=True)
    variance = wide.var((2, 3), correction=0, keepdim=True)
    return (wide - mean) / (variance + EPS).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize(
    ("channels", "size"), [(3, (5, 9)), (512, (17, 33)), (70000, (2, 3))], ids=str
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
@torch.inference_mode()
def test_layer_norm_equals_the_plain_formulation(
    channels: int, size: tuple[int, int], layout: torch.memory_format
) -> None:
    """One band of positions, several bands, and one position in each band."""
    norm = layer_norm(size)
    generator = torch.Generator().manual_seed(1)
    x = 3 * torch.randn(1, channels, *size, generator=generator) + 7
    result = ChannelsLastNorm(norm)(x.contiguous(memory_format=layout))
    torch.testing.assert_close(result.double(), expected(norm, x), rtol=1e-4, atol=1e-4)
    assert result.is_contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_bfloat16_is_rounded_at_the_end_only() -> None:
    norm = layer_norm((17, 33))
    generator = torch.Generator().manual_seed(1)
    x = (torch.randn(1, 512, 17, 33, generator=generator) + 2).bfloat16()
    result = ChannelsLastNorm(norm)(x.contiguous(memory_format=torch.channels_last))
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), expected(norm, x), rtol=2**-8, atol=1e-4)


@torch.inference_mode()
def test_a_constant_channel_becomes_the_bias() -> None:
    norm = layer_norm((5, 9))
    result = ChannelsLastNorm(norm)(torch.full((1, 2, 5, 9), 4.0))
    torch.testing.assert_close(result, norm.bias.expand(1, 2, 5, 9), rtol=0, atol=1e-4)
