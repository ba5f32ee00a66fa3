"""Attention in bands gives what attention at once gives, and is chained alike."""

from __future__ import annotations

import pytest
import torch

from tdnet.backends.cpu.cpu_attention import HostAttention
from tdnet.network.attention_propagation import AttentionStep
from tdnet.network.temporal_memory import Context


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
    given = HostAttention(step).attend(context, query, value)
    expected = step.attend(context, query, value)
    assert given.dtype == dtype
    torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)
    assert torch.equal(value, before)


@torch.inference_mode()
def test_values_of_maps_need_not_lie_in_rows() -> None:
    step = folded_step(6)
    context = Context(torch.randn(1, 5, 3), torch.randn(1, 5, 6))
    query, value = torch.randn(1, 3, 8).transpose(1, 2), torch.randn(1, 6, 8).transpose(1, 2)
    given = HostAttention(step).attend(context, query, value)
    torch.testing.assert_close(given, step.attend(context, query, value))
    assert given.is_contiguous()


@torch.inference_mode()
def test_projects_as_before() -> None:
    step, values = folded_step(6), torch.randn(1, 5, 6)
    assert torch.equal(HostAttention(step).project(values), step.project(values))
