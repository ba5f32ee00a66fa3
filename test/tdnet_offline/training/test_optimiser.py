"""Learning rates as published; what decays and what does not."""

from __future__ import annotations

import json

import pytest
import torch
from support.reference_fill import REFERENCE
from torch import nn

from tdnet.network import create_model
from tdnet_offline.training.auxiliary import auxiliary_heads
from tdnet_offline.training.configuration import OptimisationConfig
from tdnet_offline.training.optimiser import (
    create_optimiser,
    learning_rate,
    parameter_groups,
)

RATES = json.loads((REFERENCE / "learning_rate.json").read_text())


def test_learning_rates_are_the_published_ones() -> None:
    config = OptimisationConfig()
    assert {key: learning_rate(int(key), config) for key in RATES} == pytest.approx(
        RATES, rel=1e-9
    )


def test_without_warm_up_the_rate_starts_at_its_peak() -> None:
    config = OptimisationConfig(iterations=10, warm_up=0, learning_rate=0.5)
    rates = [learning_rate(i, config) for i in range(12)]
    assert rates[0] == 0.5
    assert rates[:11] == sorted(rates[:11], reverse=True)
    assert rates[9] > 0
    assert rates[10:] == [0, 0]


def test_the_rate_moves_only_in_the_warm_up_and_down_after_it() -> None:
    config = OptimisationConfig(iterations=60, warm_up=20, learning_rate=1.0)
    rates = [learning_rate(i, config) for i in range(61)]
    assert max(rates) == pytest.approx(rates[20]) == pytest.approx(1.0)
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_only_weights_of_convolutions_and_linear_layers_decay() -> None:
    network = create_model("td4-psp18-nano", input_size=(33, 65))
    trained = nn.ModuleList([network, auxiliary_heads(network)])
    decayed, others = parameter_groups(trained, 1e-4)
    assert (decayed["weight_decay"], others["weight_decay"]) == (1e-4, 0.0)
    names = {id(item): name for name, item in trained.named_parameters()}
    chosen = [[names[id(item)] for item in group["params"]] for group in (decayed, others)]
    assert sorted(chosen[0] + chosen[1]) == sorted(names.values())
    # By the shapes of this network: weights of norms have one axis, or are h x w maps.
    assert set(chosen[0]) == {
        name
        for name, item in trained.named_parameters()
        if item.dim() >= 2 and ".norm." not in name
    }
    assert any("projection.weight" in name for name in chosen[0])


def test_shared_parameters_appear_once_and_frozen_ones_never() -> None:
    shared, frozen = nn.Linear(3, 3), nn.Linear(3, 3).requires_grad_(False)
    groups = parameter_groups(nn.ModuleList([shared, nn.Sequential(shared), frozen]), 0.1)
    assert [list(map(id, group["params"])) for group in groups] == [
        [id(shared.weight)],
        [id(shared.bias)],
    ]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_an_optimiser_shrinks_what_decays_only(name: str) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    before = [item.detach().clone() for item in layers.parameters()]
    config = OptimisationConfig(optimizer=name, weight_decay=0.1)  # type: ignore[arg-type]
    optimiser = create_optimiser(layers, config)
    for group in optimiser.param_groups:
        group["lr"] = 0.5
    for item in layers.parameters():
        item.grad = torch.zeros_like(item)
    optimiser.step()
    weight, *others = layers.parameters()
    torch.testing.assert_close(weight, before[0] * (1 - 0.5 * 0.1))
    for item, old in zip(others, before[1:], strict=True):
        assert torch.equal(item, old)
