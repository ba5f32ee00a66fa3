"""Which input channels of a whole PSPNet's head belong to one pyramid group."""

from __future__ import annotations

from tdnet.network.pyramid_pooling import BINS, PyramidPooling


def group_channels(pyramid: PyramidPooling, channels: int) -> list[int]:
    """Number the channels that a pyramid keeps among those of the whole pyramid, in its order.

    The whole pyramid gives x, then the four pooled maps; a group is a slice of each
    (specification, "Pyramid pooling").

    Args:
        pyramid: keeps one group.
        channels: C, of x; a pooled map has a quarter of them.
    """
    pooled = channels // len(BINS)
    numbers = list(range(channels))[pyramid.kept]
    for first in range(channels, 2 * channels, pooled):
        numbers += list(range(first, first + pooled))[pyramid.kept_pooled]
    return numbers
