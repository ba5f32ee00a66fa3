"""Pyramid pooling on a CPU: means and resizes as products with precomputed matrices.

Both are linear in the map, and the four grids have 50 cells together. One product computes all
means, and one product for each grid writes its part of the result in place. PyTorch's operations
pass over the map once for each grid and once more to join the parts. Only the kept group of each
branch is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from tdnet.network.layers import ConvNorm
from tdnet.network.pyramid_pooling import BINS, PyramidPooling


class PyramidMatrices(NamedTuple):
    """Matrices that all pyramids of a network share: T positions, n * n cells a grid, 50 in all.

    Attributes:
        cells: (50, T), a power of two if the position belongs to the cell, else 0: exact in
            every number format.
        scale: (50, 1) float32 that turns the sum into a mean.
        positions: for each grid (T, n * n), the weights of its cells at the positions.
    """

    cells: Tensor
    scale: Tensor
    positions: tuple[Tensor, ...]

    @staticmethod
    def create(size: tuple[int, int], dtype: torch.dtype) -> PyramidMatrices:
        """Compute the matrices.

        Args:
            size: height and width of the maps.
            dtype: number format of the maps.
        """
        mean = torch.cat([_by_axes(_means, size, bins) for bins in BINS])
        of_one = mean.amax(1, keepdim=True)
        power = torch.exp2(torch.ceil(torch.log2(of_one)))
        cells = torch.where(mean > 0, power, 0.0)
        positions = tuple(_by_axes(_weights, size, bins).to(dtype) for bins in BINS)
        return PyramidMatrices(cells.to(dtype), of_one / power, positions)


class CpuPyramidPooling(nn.Module):
    """`PyramidPooling` of one frame in channels last.

    Args:
        pyramid: folded pyramid to take the weights from.
        matrices: matrices for the size and number format of the maps.
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
    """Return the matrix (bins, length) that computes the means of the bins of an axis."""
    return nn.functional.adaptive_avg_pool1d(torch.eye(length), bins).t()


def _weights(length: int, bins: int) -> Tensor:
    """Return the bilinear weights (length, bins) of the bins along an axis, corners aligned."""
    rows = nn.functional.interpolate(
        torch.eye(bins)[None], length, mode="linear", align_corners=True
    )
    return rows[0].t()


def _by_axes(axis: Callable[[int, int], Tensor], size: tuple[int, int], bins: int) -> Tensor:
    """Return the matrix of both axes together."""
    return torch.kron(axis(size[0], bins).contiguous(), axis(size[1], bins).contiguous())
