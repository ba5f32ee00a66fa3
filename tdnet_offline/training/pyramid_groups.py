"""Which input channels of a single-frame network's head belong to one path's features."""

from __future__ import annotations

from tdnet.network.extractor import Pyramid
from tdnet.network.pyramid_pooling import BINS, PyramidPooling


def kept_channels(pyramid: Pyramid) -> list[int]:
    """Number the channels that a path's pyramid keeps among those of the whole, in its order.

    The whole pyramid gives x, then the four pooled maps; a group is a slice of each
    (specification, "Pyramid pooling"). Other families have no groups, and keep everything.

    Args:
        pyramid: of a path.
    """
    if not isinstance(pyramid, PyramidPooling):
        return list(range(pyramid.out_channels))
    channels = pyramid.in_channels
    pooled = channels // len(BINS)
    numbers = list(range(channels))[pyramid.kept]
    for first in range(channels, 2 * channels, pooled):
        numbers += list(range(first, first + pooled))[pyramid.kept_pooled]
    return numbers
