"""Counted costs agree with a count by hand and with the published figures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tdnet import create_model, get_variant, list_variants
from tdnet.errors import UnknownNameError
from tdnet_offline.operations import count_operations

NATIVE = (769, 1537)


@pytest.mark.parametrize(
    ("variant", "published"), [("td4-psp18", 239), ("td2-psp50", 541), ("psp101", 1200)]
)
def test_native_cost_is_near_the_published_one(variant: str, published: float) -> None:
    # Counters differ in what they count; attention is 6 % of td4-psp18.
    assert count_operations(variant, NATIVE).multiply_adds / 1e9 == pytest.approx(
        published, rel=0.07
    )


def test_a_single_frame_network_costs_its_convolutions() -> None:
    model = create_model("psp18-nano", input_size=(65, 129))
    counted = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(layer, nn.Conv2d)
        counted += output.numel() * layer.weight[0].numel()

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        model.step(torch.zeros(1, 3, 65, 129), model.new_memory())
    assert counted > 0
    assert count_operations("psp18-nano", (65, 129)).multiply_adds == counted


def test_the_memory_is_part_of_the_cost() -> None:
    size = (129, 257)
    cost = count_operations("td4-psp18-nano", size)
    variant = get_variant("td4-psp18-nano")
    model = create_model(variant.name, input_size=size)
    # Each of the three frames leaves q, k and v of every second row and column at stride 8.
    positions = 9 * 17
    channels = 2 * variant.token_channels + variant.value_channels
    # Beside them, their values chained for the next frame.
    numbers = positions * (3 * channels + variant.value_channels)
    assert cost.memory_bytes == 4 * numbers == model.new_memory().nbytes
    attention = 17 * 33 * positions * (variant.token_channels + variant.value_channels)
    with torch.inference_mode():
        memory = model.new_memory()
        with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
            model.step(torch.zeros(1, 3, *size), memory)
    assert cost.multiply_adds - counter.get_total_flops() // 2 > attention


@pytest.mark.parametrize("variant", list_variants())
def test_parameters_are_those_of_the_network(variant: str) -> None:
    with torch.device("meta"):
        model = create_model(variant)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert count_operations(variant).num_parameters == parameters


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="td4-psp18"):
        count_operations("td4-psp17")
