"""Attention propagation: sub-features of past frames carried to now (paper, section 3.2).

One step is A(k, v; q) = W softmax(q k^T / sqrt(d)) v + b. The softmax weighs the positions of
another frame by likeness, which compensates motion. W is applied to the few memory tokens
instead of the many results, which is the same number (specification, "Identities").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tdnet.temporal_memory import Context, MemoryEntry

DROPOUT = 0.1


class AttentionStep(nn.Module):
    """One step A(k, v; q) between two neighbouring frames.

    Args:
        value_channels: D.
    """

    def __init__(self, value_channels: int) -> None:
        super().__init__()
        self.projection = nn.Linear(value_channels, value_channels)
        self.dropout = nn.Dropout(DROPOUT)

    def project(self, value: Tensor) -> Tensor:
        """Apply W to the values (B, S, D) of a memory frame; the bias follows in `attend`."""
        return nn.functional.linear(value, self.projection.weight)

    def attend(self, context: Context, query: Tensor) -> Tensor:
        """Gather the projected values (B, S, D) for the queries (B, T, d): (B, T, D)."""
        scale = query.shape[-1] ** -0.5
        scores = (query * scale) @ context.key.transpose(1, 2)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
        result = self.dropout(weights) @ context.value
        if self.projection.bias is not None:
            result = result + self.projection.bias
        return self.dropout(result)


class AttentionPropagation(nn.Module):
    """The chain of attention steps from the oldest memory frame to the current one.

    Args:
        value_channels: D.
        memory_frames: past frames, the number of steps; N - 1 in the paper.
    """

    def __init__(self, value_channels: int, memory_frames: int) -> None:
        super().__init__()
        steps = (AttentionStep(value_channels) for _ in range(memory_frames))
        self.steps = cast("Sequence[AttentionStep]", nn.ModuleList(steps))

    def context(self, memory: Sequence[MemoryEntry]) -> Context:
        """Chain the memory, oldest first, up to what the newest frame offers.

        u_1 = A(k_0, v_0; q_1), u_2 = A(k_1, u_1 + v_1; q_2), ...: each past frame asks the one
        before it. Nothing here depends on the current frame.
        """
        value = memory[0].value
        for step, older, newer in zip(self.steps, memory, memory[1:], strict=False):
            carried = step.attend(Context(older.key, step.project(value)), newer.query)
            value = carried + newer.value
        return Context(memory[-1].key, self.steps[-1].project(value))

    def forward(self, context: Context, query: Tensor) -> Tensor:
        """Carry the context over to the current frame's queries (B, T, d): (B, T, D)."""
        return self.steps[-1].attend(context, query)
