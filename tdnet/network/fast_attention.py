"""Fast attention on four scales, joined from coarse to fine (specification, "td2-fa18")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tdnet.backbones import FanetBackbone
from tdnet.network.layers import ConvNorm, Foldable, activation, resize, tokens

# Lower limit of the length of a query or key: far below any that occurs, not zero in float16.
_LEAST_LENGTH = 1e-6


class FastAttention(Foldable):
    """Attention without softmax: keys and values are summed before the queries are applied.

    y = q (k^T v) with queries and keys of length 1, then a 1x1 convolution, added to the input
    (Hu et al., "Real-time semantic segmentation with fast attention", 2020).

    Args:
        channels: c.
        key_channels: d, channels of queries and keys.
        positions: T, number of positions of a map.
    """

    def __init__(self, channels: int, key_channels: int, positions: int) -> None:
        super().__init__()
        self.query = ConvNorm(channels, key_channels)
        self.key = ConvNorm(channels, key_channels)
        self.value = ConvNorm(channels, channels, activation=activation("leaky_relu"))
        self.mix = ConvNorm(channels, channels, activation=activation("leaky_relu"))
        self._positions = positions
        self._length = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c, h, w) to the same shape."""
        query, key = (self._directions(projection(x)) for projection in (self.query, self.key))
        y = query @ (key.transpose(1, 2) @ tokens(self.value(x)))
        return x + self.mix(y.transpose(1, 2).reshape(x.shape))

    def fold(self) -> None:
        """Use means over the positions instead of sums, which overflow in float16.

        Queries and keys are divided by sqrt(T) each; the convolution after them is multiplied by
        T.
        """
        if self._length == 1.0:
            self._length = self._positions**-0.5
            weight = self.mix.conv.weight
            self.mix.conv.weight = nn.Parameter(weight.detach() * self._positions)

    def _directions(self, x: Tensor) -> Tensor:
        """Return the tokens (B, T, d) of a map with length 1, or 1 / sqrt(T) when folded."""
        return nn.functional.normalize(tokens(x), dim=2, eps=_LEAST_LENGTH) * self._length


class FastAttentionPyramid(nn.Module):
    """Fast attention on each scale; each coarser scale is resized and added to the next.

    Args:
        spec: description of the backbone; its width w sets the inner channels.
        size: (h, w) of the finest scale.
    """

    def __init__(self, spec: FanetBackbone, size: tuple[int, int]) -> None:
        super().__init__()
        levels = []
        height, width = size
        for channels in spec.layer_channels:
            levels.append(FastAttention(channels, spec.width // 2, height * width))
            height, width = -(-height // 2), -(-width // 2)
        self.attention = cast("Sequence[FastAttention]", nn.ModuleList(levels))
        # A padded 1x1 convolution, as published: the map grows by two rows and columns.
        self.up = nn.ModuleList(
            ConvNorm(channels, channels // 2, padding=1, activation=activation("leaky_relu"))
            for channels in spec.layer_channels[1:]
        )
        self.smooth = nn.ModuleList(
            ConvNorm(
                spec.layer_channels[level], 2 * spec.width, 3, activation=activation("leaky_relu")
            )
            for level in (0, 2)
        )
        self.out_channels = 4 * spec.width

    def forward(self, finest: Tensor, fine: Tensor, coarse: Tensor, coarsest: Tensor) -> Tensor:
        """Map the layers' outputs, the first of them (B, c, h, w), to (B, 4 w, h, w)."""
        joined = self.attention[3](coarsest)
        middle = joined = self._joined(2, coarse, joined)
        joined = self._joined(1, fine, joined)
        joined = self._joined(0, finest, joined)
        small, large = self.smooth[1](middle), self.smooth[0](joined)
        return torch.cat([resize(small, (large.shape[2], large.shape[3])), large], dim=1)

    def _joined(self, level: int, x: Tensor, coarser: Tensor) -> Tensor:
        up = self.up[level](coarser)
        return self.attention[level](x) + resize(up, (x.shape[2], x.shape[3]))
