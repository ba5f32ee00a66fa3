"""Attention on a CPU: a band of queries at a time, so that its scores stay in the cache."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdnet.network.attention_propagation import AttentionStep
from tdnet.network.temporal_memory import Context

# Scores of a band; as numbers of 4 bytes they fill the cache that each core has for itself.
_BAND_SCORES = 1 << 18


class HostAttention(nn.Module):
    """One step A(k, v; q) for one stream; the scores of all queries are never there at once.

    Args:
        step: folded, whose weights are taken.
    """

    def __init__(self, step: AttentionStep) -> None:
        super().__init__()
        self.projection = step.projection

    def project(self, value: Tensor) -> Tensor:
        """Apply W to the values (1, S, D) of a memory frame."""
        return nn.functional.linear(value, self.projection.weight)

    def attend(self, context: Context, query: Tensor, value: Tensor) -> Tensor:
        """Gather the projected values (1, S, D) for the queries (1, T, d), onto (1, T, D)."""
        keys, found, own = context.key[0].t(), context.value[0], value[0]
        result = torch.empty_like(own, memory_format=torch.contiguous_format)
        length = max(1, _BAND_SCORES // len(found))
        bands = (tensor.split(length) for tensor in (query[0], own, result))
        for asking, base, place in zip(*bands, strict=True):
            torch.addmm(base, torch.softmax(asking @ keys, dim=-1), found, out=place)
        return result[None]
