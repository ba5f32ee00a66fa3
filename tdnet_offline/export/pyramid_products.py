"""Pyramid pooling as matrix products, which every runtime has.

Adaptive pooling to grids that do not divide the map becomes a heap of gathers where it is
exported. Means and resizes are linear, so that one product each gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tdnet.backends.cpu.cpu_pyramid_pooling import PyramidMatrices
from tdnet.network.layers import ConvNorm
from tdnet.network.pyramid_pooling import BINS, PyramidPooling


class PyramidProducts(nn.Module):
    """`PyramidPooling` of maps of one size, any number of frames.

    Args:
        pyramid: folded, in float32; whose weights are taken.
        size: (h, w) of the maps.
    """

    def __init__(self, pyramid: PyramidPooling, size: tuple[int, int]) -> None:
        super().__init__()
        matrices = PyramidMatrices.create(size, torch.float32)
        self.register_buffer("cells", matrices.cells.t().contiguous())
        self.register_buffer("scale", matrices.scale.t().contiguous())
        branches = cast("Sequence[ConvNorm]", pyramid.branches)
        group = pyramid.kept_pooled
        for bins, branch, positions in zip(BINS, branches, matrices.positions, strict=True):
            assert branch.conv.bias is not None  # a folded norm has left one
            self.register_buffer(f"positions{bins}", positions.t().contiguous())
            self.register_buffer(f"weight{bins}", branch.conv.weight.detach()[group].flatten(1))
            self.register_buffer(f"bias{bins}", branch.conv.bias.detach()[group].unsqueeze(1))
        self._kept = pyramid.kept

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, 2 * C / G, h, w)."""
        means = (x.flatten(2) @ self.get_buffer("cells")) * self.get_buffer("scale")
        parts = [x[:, self._kept].flatten(2)]
        grids = means.split([bins * bins for bins in BINS], dim=2)
        for bins, grid in zip(BINS, grids, strict=True):
            weight, bias = self.get_buffer(f"weight{bins}"), self.get_buffer(f"bias{bins}")
            parts.append((weight @ grid + bias).relu() @ self.get_buffer(f"positions{bins}"))
        joined = torch.cat(parts, dim=1)
        return joined.unflatten(2, (x.shape[2], x.shape[3]))
