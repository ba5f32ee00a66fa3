"""Counted bytes agree with counts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tdnet import create_model
from tdnet.errors import InputError, UnknownNameError
from tdnet_offline.frame_traffic import FrameTraffic, TrafficCounter, count_traffic

SIZE = (65, 129)


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


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        count_traffic("td4-psp81")
    with pytest.raises(InputError):
        count_traffic("psp18", (1, 1))
