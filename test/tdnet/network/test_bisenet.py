"""The parts of BiSeNet compute what the paper's figure shows."""

from __future__ import annotations

import torch
from torch import nn

from tdnet.network.bisenet import AttentionRefinement, FeatureFusion, FusionPyramid, TwoPaths
from tdnet.variants import BisenetBackbone


def prepared(module: nn.Module) -> nn.Module:
    return module.eval().requires_grad_(False)


def test_refinement_weighs_channels_by_the_whole_map() -> None:
    torch.manual_seed(0)
    block = prepared(AttentionRefinement(6, 4))
    x = torch.randn(2, 6, 5, 7)
    plain = block.conv(x)
    means = plain.sum(dim=(2, 3)) / 35
    logits = means @ block.weigh.conv.weight[:, :, 0, 0].T / (1 + 1e-5) ** 0.5
    weights = 1 / (1 + torch.exp(-logits))
    torch.testing.assert_close(block(x), plain * weights[:, :, None, None])


def test_fusion_adds_the_joined_map_and_its_weighed_self() -> None:
    torch.manual_seed(0)
    block = prepared(FeatureFusion(8))
    one, other = torch.randn(1, 3, 5, 7), torch.randn(1, 5, 5, 7)
    joined = block.join(torch.cat([one, other], dim=1))
    means = joined.sum(dim=(2, 3)) / 35
    squeezed = (means @ block.squeeze.weight[:, :, 0, 0].T + block.squeeze.bias).clamp(min=0)
    logits = squeezed @ block.excite.weight[:, :, 0, 0].T + block.excite.bias
    weights = 1 + 1 / (1 + torch.exp(-logits))
    torch.testing.assert_close(block(one, other), joined * weights[:, :, None, None])


def test_scales_are_an_eighth_a_sixteenth_and_a_thirty_second() -> None:
    spec = BisenetBackbone(18, width=8)
    backbone, pyramid = prepared(TwoPaths(spec)), prepared(FusionPyramid(spec))
    torch.manual_seed(0)
    features = backbone(torch.randn(1, 3, 97, 193))
    shapes = [tuple(scale.shape[1:]) for scale in features.scales]
    assert shapes == [(16, 13, 25), (32, 7, 13), (64, 4, 7)]
    assert features.layer3 is features.scales[1]
    whole = pyramid(*features.scales)
    assert whole.shape == (1, pyramid.out_channels, 13, 25)
    for number in range(3):  # each contributes to the result
        without = [item * (index != number) for index, item in enumerate(features.scales)]
        assert float((pyramid(*without) - whole).abs().max()) > 1e-3
