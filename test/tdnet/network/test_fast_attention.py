"""Fast attention computes its formula, within the range of float16."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tdnet.network.fast_attention import FastAttention, FastAttentionPyramid
from tdnet.network.layers import ConvNorm
from tdnet.variants import FanetBackbone

SIZE = (7, 11)


def attention(channels: int = 12, keys: int = 6, size: tuple[int, int] = SIZE) -> FastAttention:
    torch.manual_seed(0)
    block = FastAttention(channels, keys, size[0] * size[1]).eval().requires_grad_(False)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.75, 1.25)
            module.bias.uniform_(-0.2, 0.2)
    return block


def projected(part: ConvNorm, x: Tensor) -> Tensor:
    """1x1 convolution and norm at each position, in float64: (C, T)."""
    norm = part.bn
    y = part.conv.weight.double()[:, :, 0, 0] @ x
    scale = norm.weight.double() / (norm.running_var.double() + 1e-5).sqrt()
    return (y - norm.running_mean.double()[:, None]) * scale[:, None] + norm.bias.double()[:, None]


def by_pairs(block: FastAttention, x: Tensor) -> Tensor:
    """The formula with the attention of each pair of positions, in the order (q k^T) v."""
    maps = x[0].flatten(1).double()
    query, key = (projected(part, maps) for part in (block.query, block.key))
    query, key = (each / each.norm(dim=0) for each in (query, key))
    value = nn.functional.leaky_relu(projected(block.value, maps), 0.01)
    y = value @ (query.T @ key).T
    result = maps + nn.functional.leaky_relu(projected(block.mix, y), 0.01)
    return result.reshape(x.shape).float()


@pytest.mark.parametrize("folded", [False, True])
def test_every_position_asks_every_other(folded: bool) -> None:
    block, x = attention(), torch.randn(1, 12, *SIZE)
    expected = by_pairs(block, x)
    if folded:
        for part in [block, *block.children()]:
            part.fold()
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)


def test_folding_twice_is_folding_once() -> None:
    block, x = attention(), torch.randn(1, 12, *SIZE)
    block.fold()
    once = block(x)
    block.fold()
    assert torch.equal(block(x), once)


def test_float16_holds_the_sums_of_a_large_map_once_folded() -> None:
    """If queries, keys and values agree, the sums exceed the range of float16."""
    size = (96, 192)
    block = attention(size=size)
    for part in (block.query, block.key, block.value):
        part.bn.bias += 20
    block.mix.conv.weight /= (
        size[0] * size[1]
    )  # training keeps the result in the range of the norm too
    x = torch.randn(1, 12, *size)
    expected = block(x)
    plain = copy.deepcopy(block).half()
    assert not bool(torch.isfinite(plain(x.half())).all())
    for part in [block, *block.children()]:
        part.fold()
    result = block.half()(x.half()).float()
    torch.testing.assert_close(result, expected, rtol=0.02, atol=0.05)


def test_scales_of_any_size_are_joined() -> None:
    torch.manual_seed(0)
    spec = FanetBackbone(18, width=8)
    pyramid = FastAttentionPyramid(spec, (13, 25)).eval().requires_grad_(False)
    sizes = ((13, 25), (7, 13), (4, 7), (2, 4))
    levels = [
        torch.randn(2, channels, *size)
        for channels, size in zip(spec.layer_channels, sizes, strict=True)
    ]
    whole = pyramid(*levels)
    assert whole.shape == (2, pyramid.out_channels, 13, 25)
    for number in range(4):  # each contributes to the result
        without = [item * (index != number) for index, item in enumerate(levels)]
        assert float((pyramid(*without) - whole).abs().max()) > 1e-3
