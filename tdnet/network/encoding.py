"""Encoding: a path's features as query, key and value (paper, section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from tdnet.network.layers import ConvNorm, tokens
from tdnet.temporal_memory import MemoryEntry


class Encoding(nn.Module):
    """Projections of a path's features to query, key and value.

    Args:
        channels: C, channels of the features.
        key_channels: channels of query and key.
        value_channels: D, channels of the value.
        sample_before_projection: whether memory entries are projected from sampled features
            in training; in inference both orders give the same numbers.
    """

    def __init__(
        self,
        channels: int,
        key_channels: int,
        value_channels: int,
        *,
        sample_before_projection: bool,
    ) -> None:
        super().__init__()
        self.query = _projection(channels, key_channels)
        self.key = _projection(channels, key_channels)
        self.value = nn.Conv2d(channels, value_channels, 1)
        self.sample_before_projection = sample_before_projection

    def memory_entry(self, features: Tensor, stride: int) -> MemoryEntry:
        """What a frame leaves in memory: q, k, v of every stride-th row and column, as tokens.

        Args:
            features: (B, C, h, w).
            stride: s; positions (0, 0), (0, s), ... are taken.
        """
        if self.sample_before_projection or not self.training:
            sampled = features[:, :, ::stride, ::stride]
            maps = (self.query(sampled), self.key(sampled), self.value(sampled))
        else:
            maps = tuple(
                projection(features)[:, :, ::stride, ::stride]
                for projection in (self.query, self.key, self.value)
            )
        return self.entry(*maps)

    def entry(self, query: Tensor, key: Tensor, value: Tensor) -> MemoryEntry:
        """Give sampled maps (B, d, h', w') and (B, D, h', w') as tokens, keys over sqrt(d)."""
        scale = key.shape[1] ** -0.5
        return MemoryEntry(tokens(query), tokens(key) * scale, tokens(value))


def _projection(channels: int, key_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels, key_channels, bias=True, activation=nn.LeakyReLU(0.01)),
        nn.Conv2d(key_channels, key_channels, 1),
    )
