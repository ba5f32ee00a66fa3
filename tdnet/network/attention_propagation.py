"""Attention propagation: sub-features of past frames for the current one (paper, section 3.2).

One step is A(k, v; q) = W softmax(q k^T / sqrt(d)) v + b. The softmax weighs the positions of
another frame by similarity, which compensates motion. W and 1 / sqrt(d) are applied to the few
memory tokens instead of the many results, which computes the same (specification,
"Identities").

The paper adds A to the frame's values, and a layer norm follows. Without the norm, a gate weighs
what is added, by channel: v + sigmoid(G v + c - 1) A. It opens where the frame's own values are of
little use, such as in lost rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tdnet.network.temporal_memory import Context, MemoryEntry

DROPOUT = 0.1
START = -1.0
"""Added in gates, so that they start about 27 % open."""


class AttentionStep(nn.Module):
    """One step A(k, v; q) between two neighbouring frames.

    Args:
        value_channels: D.
        gated: whether a gate weighs the sum. Then W has no bias, so that a memory of zeros adds
            nothing.
    """

    def __init__(self, value_channels: int, *, gated: bool = False) -> None:
        super().__init__()
        self.projection = nn.Linear(value_channels, value_channels, bias=not gated)
        self.gate = nn.Linear(value_channels, value_channels) if gated else None
        self.dropout = nn.Dropout(DROPOUT)

    @property
    def is_folded(self) -> bool:
        """Whether the bias was dropped because the norm after it cancels it."""
        bias: Tensor | None = self.projection.bias
        return bias is None

    def project(self, value: Tensor) -> Tensor:
        """Apply W to the values (B, S, D) of a memory frame; the bias follows in `attend`."""
        return nn.functional.linear(value, self.projection.weight)

    def attend(self, context: Context, query: Tensor, value: Tensor) -> Tensor:
        """Add the attended context to values (B, T, D), with queries (B, T, d)."""
        # Softmax computes in float32 internally for every input format.
        weights = torch.softmax(query @ context.key.transpose(1, 2), dim=-1)
        if self.gate is not None:
            found = self.dropout(self.dropout(weights) @ context.value)
            return value + torch.sigmoid(self.gate(value) + START) * found
        if self.is_folded:
            return torch.baddbmm(value, weights, context.value)
        found = self.dropout(weights) @ context.value + self.projection.bias
        return value + self.dropout(found)


class AttentionPropagation(nn.Module):
    """The chain of attention steps from the oldest memory frame to the current one.

    Args:
        value_channels: D.
        memory_frames: number of past frames and of steps; N - 1 in the paper.
        gated: see `AttentionStep`.
    """

    def __init__(self, value_channels: int, memory_frames: int, *, gated: bool = False) -> None:
        super().__init__()
        steps = (AttentionStep(value_channels, gated=gated) for _ in range(memory_frames))
        self.steps = cast("Sequence[AttentionStep]", nn.ModuleList(steps))

    def context(self, memory: Sequence[MemoryEntry]) -> Context:
        """Chain the memory, oldest first, to the context of the newest frame.

        u_1 = A(k_0, v_0; q_1), u_2 = A(k_1, u_1 + v_1; q_2), ...: each past frame attends to the
        one before it. Independent of the current frame.
        """
        value = memory[0].value
        for step, older, newer in zip(self.steps, memory, memory[1:], strict=False):
            context = Context(older.key, step.project(value))
            value = step.attend(context, newer.query, newer.value)
        return Context(memory[-1].key, self.steps[-1].project(value))

    def forward(self, context: Context, query: Tensor, value: Tensor) -> Tensor:
        """Add the attended context to the frame's values (B, T, D), with its queries (B, T, d)."""
        return self.steps[-1].attend(context, query, value)
