from __future__ import annotations

import pytest
import torch
from torch import nn

from tdnet.backends.cpu.cpu_pyramid_pooling import CpuPyramidPooling, PyramidMatrices
from tdnet.network.pyramid_pooling import BINS, PyramidPooling


def make(channels: int, groups: int, group: int) -> PyramidPooling:
    torch.manual_seed(0)
    pyramid = PyramidPooling(channels, groups, group).requires_grad_(False)
    for branch in pyramid.branches:
        branch.bn.running_mean.uniform_(-0.2, 0.2)
        branch.bn.running_var.uniform_(0.5, 1.5)
        branch.fold()
    return pyramid


def expected(pyramid: PyramidPooling, x: torch.Tensor) -> torch.Tensor:
    """Compute the plain formulation in float64: all groups, of which one is kept."""
    wide = x.double()
    parts = [wide[:, pyramid.kept]]
    for bins, branch in zip(BINS, pyramid.branches, strict=True):
        pooled = nn.functional.adaptive_avg_pool2d(wide, bins)
        y = nn.functional.conv2d(pooled, branch.conv.weight.double(), branch.conv.bias.double())
        large = nn.functional.interpolate(
            y.relu(), x.shape[2:], mode="bilinear", align_corners=True
        )
        parts.append(large[:, pyramid.kept_pooled])
    return torch.cat(parts, 1)


@pytest.mark.parametrize(("groups", "group"), [(1, 0), (2, 0), (2, 1)])
@pytest.mark.parametrize("size", [(9, 17), (6, 12), (5, 7), (33, 2)], ids=str)
@torch.inference_mode()
def test_equals_the_plain_formulation(groups: int, group: int, size: tuple[int, int]) -> None:
    pyramid = make(16, groups, group)
    x = torch.randn(1, 16, *size).contiguous(memory_format=torch.channels_last) + 1
    matrices = PyramidMatrices.create(size, torch.float32)
    result = CpuPyramidPooling(pyramid, matrices)(x)
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result.double(), expected(pyramid, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_sums_of_many_large_numbers_fit_half_precision(dtype: torch.dtype) -> None:
    """The sum of 2145 numbers of 100 exceeds float16."""
    pyramid = make(16, 2, 1).to(dtype)
    x = (torch.rand(1, 16, 33, 65) * 20 + 90).to(dtype, memory_format=torch.channels_last)
    result = CpuPyramidPooling(pyramid, PyramidMatrices.create((33, 65), dtype))(x)
    assert result.dtype == dtype
    torch.testing.assert_close(result.double(), expected(pyramid, x), rtol=0.03, atol=1.0)
