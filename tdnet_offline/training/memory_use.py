"""Whether a network in training uses its memory: numbers that a good mean IoU can hide."""

from __future__ import annotations

import math

import torch

from tdnet.network.tdnet import ClipAttention


@torch.no_grad()
def memory_use(attention: ClipAttention) -> dict[str, float]:
    """Measure how a batch's last frames use the past.

    Returns:
        ``attention_entropy``: entropy of the newest frame's attention over that of uniform
        attention, 0 to 1; at 1 every query gets the same mean of all positions.
        ``visible_memory``: share of the spatial variance of the joined features that the memory
        brings, 0 to 1. Constants per channel do not count, since the spatial norm deletes them.
    """
    context = attention.context
    weights = torch.softmax((attention.query @ context.key.transpose(1, 2)).float(), dim=-1)
    entropy = torch.special.entr(weights).sum(dim=-1).mean() / math.log(weights.shape[-1])
    own = attention.value.float()
    brought = attention.joined.float() - own
    variances = [tokens.var(dim=1).sum(dim=1) for tokens in (brought, own)]
    visible = (variances[0] / (variances[0] + variances[1]).clamp(min=1e-12)).mean()
    return {"attention_entropy": float(entropy), "visible_memory": float(visible)}
