"""Initial weights follow the specification, so that every part can learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from tdnet.network import create_model
from tdnet.network.layers import SkipInitialisation, SpatialLayerNorm
from tdnet.network.tdnet import TDNet
from tdnet.variants import ResNetBackbone, Variant, get_variant, list_variants

SIZE = (65, 129)


def small(name: str) -> Variant:
    """Return a variant of a width at which deviations can be estimated quickly."""
    variant = get_variant(name)
    narrow = variant.backbone
    if isinstance(narrow, ResNetBackbone):
        narrow = replace(narrow, width=16)
    return replace(
        variant,
        backbone=narrow,
        key_channels=32,
        value_channels=64,
        head_channels=32,
    )


def projections(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """Convolutions and linear layers outside the backbones."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and "backbone." not in name:
            yield name, module


@pytest.mark.parametrize("name", list_variants())
def test_weights_have_one_over_the_root_of_their_inputs_and_biases_are_zero(name: str) -> None:
    torch.manual_seed(1)
    network = create_model(small(name), 19, SIZE)
    found = list(projections(network))
    assert len(found) >= 5
    for part, module in found:
        fan_in = module.weight[0].numel()
        count = module.weight.numel()
        # Five standard errors of a deviation that is estimated of so many numbers.
        error = 5 / (2 * count) ** 0.5
        weight = module.weight.detach()
        assert float(weight.std()) * fan_in**0.5 == pytest.approx(1, abs=error), part
        assert abs(float(weight.mean())) < 5 / (count * fan_in) ** 0.5, part
        assert module.bias is None or not bool(module.bias.any()), part


@pytest.mark.parametrize("name", ["td4-psp18", "td2-fa18", "td4-bise18"])
def test_spatial_norms_start_with_one_and_zero(name: str) -> None:
    network = create_model(small(name), 19, SIZE)
    norms = [module for module in network.modules() if isinstance(module, SpatialLayerNorm)]
    assert len(norms) == network.variant.paths
    for norm in norms:
        assert bool((norm.weight == 1).all())
        assert bool((norm.bias == 0).all())


def relative_gradient(layer: nn.Conv2d) -> float:
    assert layer.weight.grad is not None
    return float(layer.weight.grad.norm() / layer.weight.detach().norm())


@pytest.mark.parametrize("name", ["td4-psp18", "td4-psp18-nano", "td2-psp50", "td2-fa18"])
def test_queries_and_keys_learn_from_the_first_step(name: str) -> None:
    """Uniform attention, or attention with zero result, would give them no gradients."""
    torch.manual_seed(1)
    network = create_model(small(name), 5, SIZE).train()
    assert isinstance(network, TDNet)
    clip = torch.randn(2, network.variant.clip_frames, 3, *SIZE)
    labels = torch.randint(0, 5, (2, *network.feature_size))
    nn.functional.cross_entropy(network.forward_clip(clip, 0).full, labels).backward()
    reference = relative_gradient(network.paths[0].head.conv.conv)
    for parts in ("query", "key"):
        # Path 0 attends with its queries to the keys of the past frames.
        path = network.paths[0 if parts == "query" else network.variant.paths - 1]
        for module in getattr(path.encoding, parts).modules():
            if isinstance(module, nn.Conv2d):
                assert relative_gradient(module) > 1e-3 * reference > 0


def test_skipped_initialisation_draws_no_numbers() -> None:
    before = torch.get_rng_state()
    with SkipInitialisation():
        model = create_model("td4-psp18-nano", input_size=SIZE)
    assert torch.equal(torch.get_rng_state(), before)
    state, expected = (
        model.state_dict(),
        create_model("td4-psp18-nano", input_size=SIZE).state_dict(),
    )
    assert {name: item.shape for name, item in state.items()} == {
        name: item.shape for name, item in expected.items()
    }
    assert not torch.equal(torch.get_rng_state(), before)
