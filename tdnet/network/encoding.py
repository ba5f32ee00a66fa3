"""Encoding: a path's features as query, key and value (paper, section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from tdnet.network.layers import ConvNorm, tokens
from tdnet.network.position import PositionChannels
from tdnet.network.temporal_memory import MemoryEntry


class Encoding(nn.Module):
    """Projections of a path's features to query, key and value.

    Args:
        channels: C, channels of the features.
        key_channels: channels of query and key.
        value_channels: D, channels of the value.
        sample_before_projection: whether memory entries are projected from sampled features
            in training; in inference both orders give the same numbers.
        position: appends positions to queries and keys; None: attention goes by content only.
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
        """What a frame leaves in memory: q, k, v of every stride-th row and column, as tokens.

        Args:
            features: (B, C, h, w).
            stride: s; positions (0, 0), (0, s), ... are taken.
        """
        if self.sample_before_projection or not self.training:
            sampled = features[:, :, ::stride, ::stride]
            query, key = self.queries(sampled, stride), self.keys(sampled, stride)
            return self.entry(query, key, self.value(sampled))
        maps = (self.queries(features), self.keys(features), self.value(features))
        return self.entry(*(item[:, :, ::stride, ::stride] for item in maps))

    def entry(self, query: Tensor, key: Tensor, value: Tensor) -> MemoryEntry:
        """Turn sampled maps (B, d, h', w') and (B, D, h', w') into tokens."""
        return MemoryEntry(tokens(query), tokens(key), tokens(value))


def _projection(channels: int, key_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels, key_channels, bias=True, activation=nn.LeakyReLU(0.01)),
        nn.Conv2d(key_channels, key_channels, 1),
    )
