"""Counted operations and bytes agree with a count by hand and with the published figures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tdnet import create_model, get_variant, list_variants
from tdnet.errors import InputError, UnknownNameError
from tdnet_offline.operations import (
    FrameTraffic,
    TrafficCounter,
    count_operations,
    count_traffic,
)

NATIVE = (769, 1537)
SIZE = (65, 129)


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


def test_a_small_network_by_hand() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten())
    picture = torch.zeros(1, 3, 4, 5)
    with torch.inference_mode(), TrafficCounter() as counter:
        layers(picture) * 2
    maps = 8 * 4 * 5
    convolution = 3 * 4 * 5 + 8 * 3 * 3 * 3 + 8 + maps
    # ReLU reads and writes its map in place, flattening moves nothing, the product makes another.
    everything = convolution + 2 * maps + 2 * maps
    assert counter.traffic == FrameTraffic(2 * convolution, 2 * everything, 2 * 2 * maps)


def test_what_is_no_longer_used_is_not_live() -> None:
    with torch.inference_mode(), TrafficCounter() as counter:
        numbers = torch.zeros(100)
        for _ in range(5):
            numbers = numbers + 1
    assert counter.traffic.live_bytes == 2 * 200


def test_products_of_a_single_frame_network_are_its_convolutions() -> None:
    model = create_model("psp18-nano", input_size=SIZE)
    moved = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal moved
        weights = sum(parameter.numel() for parameter in layer.parameters())
        moved += inputs[0].numel() + weights + output.numel()

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        model.step(torch.zeros(1, 3, *SIZE), model.new_memory())
    traffic = count_traffic("psp18-nano", SIZE)
    assert traffic.product_bytes == 2 * moved > 0
    assert traffic.all_bytes > traffic.product_bytes


def test_the_memory_is_part_of_the_traffic() -> None:
    alone, with_memory = (count_traffic(name, SIZE) for name in ("psp18-nano", "td4-psp18-nano"))
    assert with_memory.product_bytes > alone.product_bytes


def test_traffic_of_an_unknown_network_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        count_traffic("td4-psp81")
    with pytest.raises(InputError):
        count_traffic("psp18", (1, 1))
