"""Resize and normalise images on a CPU, as products with banded matrices.

A resize is one matrix for each axis; each row has few neighbouring numbers that are not zero. Cut
into blocks of rows, it becomes a series of small dense products, which CPU libraries compute
fast. PyTorch's antialiased ``interpolate`` of floats takes three times as long.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tdnet.frames.resize_taps import antialias_taps

_CPU = torch.device("cpu")
# Larger blocks hold more zeros, smaller blocks need more calls.
_ROWS = 16
_COLUMNS = 16


class _Block(NamedTuple):
    """Some target pixels of an axis.

    Attributes:
        source: range of the source pixels.
        target: range of the target pixels.
        weights: (target, source).
    """

    source: slice
    target: slice
    weights: Tensor


class CpuResize:
    """Resizes images from one size to another, and scales and shifts each channel.

    Bilinear, with a filter when shrinking: equal to PyTorch's antialiased ``interpolate`` up to
    rounding.

    Args:
        source: height and width of the images.
        target: height and width of the results.
        scale: (3,) float32, factor of each channel.
        offset: (3,) float32, added after scaling.
    """

    def __init__(
        self, source: tuple[int, int], target: tuple[int, int], scale: Tensor, offset: Tensor
    ) -> None:
        self._size = target
        self._rows = _blocks(source[0], target[0], _ROWS)
        self._columns = [
            (_interleaved(block.source), _interleaved(block.target), _matrix(block.weights, scale))
            for block in _blocks(source[1], target[1], _COLUMNS)
        ]
        self._offset = offset.repeat(_COLUMNS)

    def __call__(self, picture: Tensor) -> Tensor:
        """Map (H', W', 3) uint8 to float32 (1, 3, H, W), channels last in memory."""
        height, width = self._size
        pixels = picture.flatten(1)
        low = torch.empty(height, pixels.shape[1])
        for rows in self._rows:
            torch.mm(rows.weights, pixels[rows.source].float(), out=low[rows.target])
        small = torch.empty(height, 3 * width)
        for source, target, matrix in self._columns:
            offset = self._offset[: matrix.shape[1]]
            torch.addmm(offset, low[:, source], matrix, out=small[:, target])
        return small.view(1, height, width, 3).permute(0, 3, 1, 2)


def _blocks(source: int, target: int, size: int) -> list[_Block]:
    """Cut the matrix that resizes an axis into blocks."""
    taps = antialias_taps(source, target, _CPU)
    starts, count = taps.starts.long(), len(taps.weights)
    blocks = []
    for begin in range(0, target, size):
        pixels = slice(begin, min(begin + size, target))
        first = int(starts[pixels].min())
        end = min(int(starts[pixels].max()) + count, source)
        # A tap beyond the edge of the image has weight 0.
        index = torch.arange(count)[:, None] + starts[pixels] - first
        index.clamp_(max=end - first - 1)
        weights = torch.zeros(end - first, pixels.stop - begin)
        weights.scatter_add_(0, index, taps.weights[:, pixels])
        blocks.append(_Block(slice(first, end), pixels, weights.t().contiguous()))
    return blocks


def _matrix(weights: Tensor, scale: Tensor) -> Tensor:
    """Expand weights (target, source) to interleaved channels: (3 * source, 3 * target)."""
    target, source = weights.shape
    matrix = torch.zeros(source, 3, target, 3)
    for channel in range(3):
        matrix[:, channel, :, channel] = weights.t() * scale[channel]
    return matrix.view(3 * source, 3 * target)


def _interleaved(pixels: slice) -> slice:
    return slice(3 * pixels.start, 3 * pixels.stop)
