"""Attention that prefers near positions: a Gaussian of the distance, as channels of q and k."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdnet.variants import POSITION_CHANNELS


class PositionChannels(nn.Module):
    """Add channels to queries and keys whose product is -distance^2 / (2 reach^2).

    The softmax of q k^T thereby weighs by likeness times a Gaussian of the distance, without any
    further operation in the attention. With a = 1 / reach^2 and positions counted from the
    middle: -a |x - y|^2 / 2 = a x y - a |x|^2 / 2 - a |y|^2 / 2. Each factor that is no small
    whole number is split into two parts that bfloat16 holds exactly, so that the product is
    exact to 2^-16 of its terms in every number format.

    Args:
        size: (h, w) of the features.
        reach: standard deviation, in positions.
    """

    def __init__(self, size: tuple[int, int], reach: float) -> None:
        super().__init__()
        height, width = size
        rows = (torch.arange(height) - height // 2).float()[:, None].expand(size)
        columns = (torch.arange(width) - width // 2).float()[None].expand(size)
        weight = reach**-2
        ones = torch.ones(size)
        norms = _in_two(-weight / 2 * (rows.square() + columns.square()))
        query = (rows, columns, rows, columns, ones, ones, *norms)
        (row, row_rest), (column, column_rest) = (_in_two(weight * c) for c in (rows, columns))
        key = (row, column, row_rest, column_rest, *norms, ones, ones)
        assert len(query) == len(key) == POSITION_CHANNELS
        self.register_buffer("_query", torch.stack(query)[None], persistent=False)
        self.register_buffer("_key", torch.stack(key)[None], persistent=False)

    def on_query(self, query: Tensor, stride: int = 1) -> Tensor:
        """Append to queries (B, d, h', w') of every stride-th row and column."""
        return _append(query, self.get_buffer("_query"), stride)

    def on_key(self, key: Tensor, stride: int = 1) -> Tensor:
        """Append to keys (B, d, h', w') of every stride-th row and column."""
        return _append(key, self.get_buffer("_key"), stride)


def _in_two(numbers: Tensor) -> tuple[Tensor, Tensor]:
    coarse = numbers.to(torch.bfloat16).float()
    return coarse, (numbers - coarse).to(torch.bfloat16).float()


def _append(content: Tensor, positions: Tensor, stride: int) -> Tensor:
    sampled = positions[:, :, ::stride, ::stride].to(content.dtype)
    # `len` would fix the batch size of an exported graph.
    return torch.cat([content, sampled.expand(content.shape[0], -1, -1, -1)], dim=1)
