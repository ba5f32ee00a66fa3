"""Pyramid pooling: adds context of the whole frame to the features of each position."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdnet.network.layers import ConvNorm, resize

BINS = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """Average-pool to four grids, project, resize back, keep one group of the channels.

    All G groups together are PSPNet's pyramid; a TDNet path keeps one (specification, "Pyramid
    pooling"; paper, section 3.1).

    Args:
        channels: C, channels of the input.
        groups: G, number of channel groups.
        group: group to keep, 0 to G - 1.
    """

    def __init__(self, channels: int, groups: int = 1, group: int = 0) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            ConvNorm(channels, channels // 4, activation=nn.ReLU(inplace=True)) for _ in BINS
        )
        self.kept = _slice(channels, groups, group)
        self.kept_pooled = _slice(channels // 4, groups, group)
        self.in_channels = channels
        self.out_channels = 2 * channels // groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, 2 * C / G, h, w): the group of x, then of the four grids."""
        size = (x.shape[2], x.shape[3])
        parts = [x[:, self.kept]]
        for bins, branch in zip(BINS, self.branches, strict=True):
            pooled = branch(nn.functional.adaptive_avg_pool2d(x, bins))
            parts.append(resize(pooled[:, self.kept_pooled], size))
        return torch.cat(parts, dim=1)


def _slice(channels: int, groups: int, group: int) -> slice:
    width = channels // groups
    return slice(group * width, (group + 1) * width)
