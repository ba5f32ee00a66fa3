"""Pyramid pooling on a CPU: means and resizes as products with matrices that are made once.

Both are linear in the map, and the four grids have 50 cells together: one product gives all
means, and one a grid writes its part of the result in place, where PyTorch's operations pass over
the map for each grid and once more to join the parts. Of a branch, only the kept group is
computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from tdnet.network.layers import ConvNorm
from tdnet.network.pyramid_pooling import BINS, PyramidPooling


class PyramidMatrices(NamedTuple):
    """What all pyramids of a network share: T positions, n * n cells a grid, 50 of all grids.

    Attributes:
        cells: (50, T), a power of two where a position belongs to a cell, else 0: exact in any
            number format.
        scale: (50, 1) float32 that makes a mean of the sum.
        positions: for each grid (T, n * n), its cells' weights at the positions.
    """

    cells: Tensor
    scale: Tensor
    positions: tuple[Tensor, ...]

    @staticmethod
    def create(size: tuple[int, int], dtype: torch.dtype) -> PyramidMatrices:
        """Compute them.

        Args:
            size: height and width of the maps.
            dtype: the maps' number format.
        """
        mean = torch.cat([_by_axes(_means, size, bins) for bins in BINS])
        of_one = mean.amax(1, keepdim=True)
        power = torch.exp2(torch.ceil(torch.log2(of_one)))
        cells = torch.where(mean > 0, power, 0.0)
        positions = tuple(_by_axes(_weights, size, bins).to(dtype) for bins in BINS)
        return PyramidMatrices(cells.to(dtype), of_one / power, positions)


class HostPyramidPooling(nn.Module):
    """`PyramidPooling` of one frame in channels last.

    Args:
        pyramid: folded; whose weights are taken.
        matrices: for the maps' size and number format.
    """

    def __init__(self, pyramid: PyramidPooling, matrices: PyramidMatrices) -> None:
        super().__init__()
        self._matrices = matrices
        self._kept = pyramid.kept
        self.out_channels = pyramid.out_channels
        branches = cast("Sequence[ConvNorm]", pyramid.branches)
        group = pyramid.kept_pooled
        self._weights = [branch.conv.weight.detach()[group].flatten(1) for branch in branches]
        self._biases = [
            None if branch.conv.bias is None else branch.conv.bias.detach()[group]
            for branch in branches
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Map (1, C, h, w) to (1, 2 * C / G, h, w)."""
        _, channels, height, width = x.shape
        maps = x[0].permute(1, 2, 0).reshape(-1, channels)
        sums = torch.mm(self._matrices.cells, maps)
        means = sums.float().mul_(self._matrices.scale).to(x.dtype)

        result = x.new_empty(len(maps), self.out_channels)
        end = self._kept.stop - self._kept.start
        result[:, :end] = maps[:, self._kept]
        grids = means.split([bins * bins for bins in BINS])
        for grid, weight, bias, positions in zip(
            grids, self._weights, self._biases, self._matrices.positions, strict=True
        ):
            start, end = end, end + len(weight)
            branch = nn.functional.linear(grid, weight, bias).relu_()
            torch.mm(positions, branch, out=result[:, start:end])
        return result.view(1, height, width, -1).permute(0, 3, 1, 2)


def _means(length: int, bins: int) -> Tensor:
    """(bins, length): what an axis is multiplied by to give the means of its bins."""
    return nn.functional.adaptive_avg_pool1d(torch.eye(length), bins).t()


def _weights(length: int, bins: int) -> Tensor:
    """(length, bins): the bilinear weights of the bins along an axis, corners aligned."""
    rows = nn.functional.interpolate(
        torch.eye(bins)[None], length, mode="linear", align_corners=True
    )
    return rows[0].t()


def _by_axes(axis: Callable[[int, int], Tensor], size: tuple[int, int], bins: int) -> Tensor:
    """The matrix of both axes together."""
    return torch.kron(axis(size[0], bins).contiguous(), axis(size[1], bins).contiguous())
