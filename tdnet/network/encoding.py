"""Encoding: the features of a path as query, key and value (paper, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdnet.network.layers import LEAKY_SLOPE, ConvNorm, tokens
from tdnet.network.temporal_memory import MemoryEntry
from tdnet.variants import POSITION_CHANNELS


class Encoding(nn.Module):
    """Projections of a path's features to query, key and value.

    Args:
        channels: C, channels of the features.
        key_channels: channels of query and key.
        value_channels: D, channels of the value.
        sample_before_projection: whether memory entries are projected from sampled features
            in training; in inference both orders compute the same.
        position: appends positions to queries and keys; None: attention by content only.
    """

    def __init__(
        self,
        channels: int,
        key_channels: int,
        value_channels: int,
        *,
        sample_before_projection: bool,
        position: PositionChannels | None = None,
    ) -> None:
        super().__init__()
        self.query = _projection(channels, key_channels)
        self.key = _projection(channels, key_channels)
        self.value = nn.Conv2d(channels, value_channels, 1)
        self.sample_before_projection = sample_before_projection
        self.position = position

    def queries(self, features: Tensor, stride: int = 1) -> Tensor:
        """Map features (B, C, h', w') of every stride-th row and column to queries."""
        query = self.query(features)
        return query if self.position is None else self.position.on_query(query, stride)

    def keys(self, features: Tensor, stride: int = 1) -> Tensor:
        """Map features (B, C, h', w') of every stride-th row and column to keys over sqrt(d)."""
        key = self.key(features)
        key = key * key.shape[1] ** -0.5
        return key if self.position is None else self.position.on_key(key, stride)

    def memory_entry(self, features: Tensor, stride: int) -> MemoryEntry:
        """Make the memory entry: query, key and value of every stride-th row and column.

        Args:
            features: (B, C, h, w).
            stride: s; positions (0, 0), (0, s), ... are stored.
        """
        if self.sample_before_projection or not self.training:
            sampled = features[:, :, ::stride, ::stride]
            query, key = self.queries(sampled, stride), self.keys(sampled, stride)
            return self.entry(query, key, self.value(sampled))
        maps = (self.queries(features), self.keys(features), self.value(features))
        return self.entry(*(item[:, :, ::stride, ::stride] for item in maps))

    def entry(self, query: Tensor, key: Tensor, value: Tensor) -> MemoryEntry:
        """Make an entry of sampled maps (B, d, h', w') and (B, D, h', w')."""
        return MemoryEntry(tokens(query), tokens(key), tokens(value))


def _projection(channels: int, key_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels, key_channels, bias=True, activation=nn.LeakyReLU(LEAKY_SLOPE)),
        nn.Conv2d(key_channels, key_channels, 1),
    )


class PositionChannels(nn.Module):
    """Append channels to queries and keys whose product is -distance^2 / (2 reach^2).

    The softmax of q k^T then weighs by similarity times a Gaussian of the distance, without
    another operation in the attention. With a = 1 / reach^2 and positions counted from the
    centre: -a |x - y|^2 / 2 = a x y - a |x|^2 / 2 - a |y|^2 / 2. Each factor that is not a small
    integer is split into two parts that bfloat16 represents exactly. The product is then exact
    to 2^-16 of its terms in every number format.

    Args:
        size: (h, w) of the features.
        reach: standard deviation of the Gaussian, in positions.
    """

    def __init__(self, size: tuple[int, int], reach: float) -> None:
        super().__init__()
        device = torch.empty(0).device
        # On the meta device, these operations import PyTorch's compiler, which takes a second.
        with torch.device("cpu"):
            query, key = _position_channels(size, reach)
        self.register_buffer("_query", query.to(device), persistent=False)
        self.register_buffer("_key", key.to(device), persistent=False)

    def on_query(self, query: Tensor, stride: int = 1) -> Tensor:
        """Append to queries (B, d, h', w') of every stride-th row and column."""
        return _append(query, self.get_buffer("_query"), stride)

    def on_key(self, key: Tensor, stride: int = 1) -> Tensor:
        """Append to keys (B, d, h', w') of every stride-th row and column."""
        return _append(key, self.get_buffer("_key"), stride)


def _position_channels(size: tuple[int, int], reach: float) -> tuple[Tensor, Tensor]:
    """Return the channels (1, 8, h, w) of the queries and of the keys."""
    height, width = size
    rows = (torch.arange(height) - height // 2).float()[:, None].expand(size)
    columns = (torch.arange(width) - width // 2).float()[None].expand(size)
    weight = reach**-2
    ones = torch.ones(size)
    norms = _split(-weight / 2 * (rows.square() + columns.square()))
    query = (rows, columns, rows, columns, ones, ones, *norms)
    (row, row_rest), (column, column_rest) = (_split(weight * c) for c in (rows, columns))
    key = (row, column, row_rest, column_rest, *norms, ones, ones)
    assert len(query) == len(key) == POSITION_CHANNELS
    return torch.stack(query)[None], torch.stack(key)[None]


def _split(numbers: Tensor) -> tuple[Tensor, Tensor]:
    coarse = numbers.to(torch.bfloat16).float()
    return coarse, (numbers - coarse).to(torch.bfloat16).float()


def _append(content: Tensor, positions: Tensor, stride: int) -> Tensor:
    sampled = positions[:, :, ::stride, ::stride].to(content.dtype)
    # `len` would make the batch size of an exported graph constant.
    return torch.cat([content, sampled.expand(content.shape[0], -1, -1, -1)], dim=1)
